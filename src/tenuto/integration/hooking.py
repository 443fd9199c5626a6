"""Hook every place of one transformer that the techniques concern."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.reduction import Funnel, Reduction
from tenuto.algorithms.schedule import Table, predicted_spans
from tenuto.integration.all_or_nothing import all_or_nothing
from tenuto.integration.attention_place import AttentionPlace
from tenuto.integration.block_place import BlockPlace
from tenuto.integration.calibration import Calibration
from tenuto.integration.eager_attentions import eager_attentions
from tenuto.integration.eager_place import EagerPlace
from tenuto.integration.engine import Engine
from tenuto.integration.families import BlockFamily, ModelFamily
from tenuto.integration.feed_forward import feed_forwards
from tenuto.integration.ffn_place import FFNPlace
from tenuto.integration.funnel_place import FunnelPlace
from tenuto.integration.fused_place import FusedPlace
from tenuto.integration.grid_watch import GridWatch
from tenuto.integration.guide_place import GuidePlace
from tenuto.integration.handle import Accelerated
from tenuto.integration.memory import Key
from tenuto.integration.row_place import RowPlace
from tenuto.integration.shards import SplitHooks, check_parallel
from tenuto.integration.steps import Moment, StepTracker
from tenuto.integration.untraced import untraced

Place = (
    AttentionPlace
    | BlockPlace
    | EagerPlace
    | FFNPlace
    | FunnelPlace
    | FusedPlace
    | GuidePlace
    | RowPlace
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is to be done in a transformer.

    Attributes:
        reduction: About tokens and whole blocks.
        ffn_reuse: About hidden values of feed-forwards, None where nothing.
        eager: About attention scores, None where nothing.
    """

    reduction: Reduction
    ffn_reuse: FFNReuse | None = None
    eager: EagerPrediction | None = None

    @property
    def predicts_scores(self) -> bool:
        """Whether attention scores are predicted."""
        return self.eager is not None and not self.eager.is_off


def hook(
    model: nn.Module,
    family: ModelFamily,
    settings: Settings,
    scheduler: Callable[[], Any],
    calibration: Calibration | None,
) -> Accelerated:
    """Hook one transformer.

    Args:
        model: The transformer.
        family: Its row in the table.
        settings: What is to be done in it.
        scheduler: Returns the present scheduler of its loop, None where that is not known.
        calibration: Checked at the beginning of every run, None where there is none.
    """
    rows = family.blocks_of(model)
    spans = spans_of(settings.reduction, rows)
    engine = Engine(model, family, settings.reduction, StepTracker(scheduler), bool(spans))

    def check_run(moment: Moment) -> None:
        check_parallel(model, settings.reduction, settings.predicts_scores)
        if calibration is not None:
            calibration.check_run(moment.num_steps, scheduler())

    engine.check_run = check_run
    splits = SplitHooks(model)
    with splits.lifted(), all_or_nothing(model):
        places = _all_places(engine, rows, spans, settings, type(model).__name__)
        grids = GridWatch(engine, model, family)
        root = _root_hooks(model, engine, places)
    engine.counters.modules_hooked = len(places)
    return Accelerated(
        model,
        engine,
        (splits.put_back, *(each.remove for each in (*places, grids, *root)), splits.lift),
    )


def _root_hooks(model: nn.Module, engine: Engine, places: list[Place]) -> list[RemovableHandle]:
    """Hook the model's own call."""

    def follow(*_: object) -> None:
        moved = [place.follow() for place in places]
        if any(moved):  # a LoRA came or went: perhaps other operations
            engine.counters.tables.clear()

    return [
        model.register_forward_pre_hook(untraced(follow)),
        model.register_forward_pre_hook(untraced(engine.enter), with_kwargs=True),
        model.register_forward_hook(untraced(engine.leave)),
        model.register_forward_hook(untraced(lambda *_: engine.abort()), always_call=True),
    ]


def _all_places(
    engine: Engine,
    rows: list[tuple[BlockFamily, nn.Module]],
    spans: tuple[tuple[int, int], ...],
    settings: Settings,
    model_class: str,
) -> list[Place]:
    """Hook the places of every technique."""
    places: list[Place] = []
    if settings.eager is not None:  # innermost: others ask and count before it predicts
        places += _eager_places(engine, rows, settings.eager)
    places += _places(engine, rows, spans)
    if settings.ffn_reuse is not None and not settings.ffn_reuse.is_off:
        found = feed_forwards(rows, model_class, settings.ffn_reuse.blocks)
        places += [FFNPlace(engine, settings.ffn_reuse, layers, key) for key, layers in found]
    return places


def _eager_places(
    engine: Engine, rows: list[tuple[BlockFamily, nn.Module]], eager: EagerPrediction
) -> list[Place]:
    """Hook the attentions that are predicted; none where the setting is off."""
    attentions = eager_attentions(rows, eager)
    engine.approximates_every_call = not eager.is_off
    if eager.is_off:
        engine.idle_places["keep ratio of 1"] = len(attentions)
        return []
    return [EagerPlace(engine, attention, eager) for attention in attentions]


def _places(
    engine: Engine,
    rows: list[tuple[BlockFamily, nn.Module]],
    spans: tuple[tuple[int, int], ...],
) -> list[Place]:
    """Hook every place of every block that the technique concerns."""
    if engine.reduction.funnel is not None:
        return _funnels(engine, engine.reduction.funnel, rows)
    places: list[Place] = []
    firsts: dict[str, int] = {}
    for index, (row, block) in enumerate(rows):
        first = firsts.setdefault(row.blocks, index)
        is_shared = engine.reduction.shared_pairs and not row.nested  # nested: other token grids
        places.extend(_places_of_block(engine, row, block, index, first if is_shared else index))
        if spans or engine.reduction.guide in ("input", "block"):
            places.append(BlockPlace(engine, block, row, index, spans))
    return places


def _funnels(
    engine: Engine, funnel: Funnel, rows: list[tuple[BlockFamily, nn.Module]]
) -> list[Place]:
    """Hook the attention products of all blocks."""
    places: list[Place] = []
    for index, (row, block) in enumerate(rows):
        for part, name in (("self", row.self_attention), ("self2", row.image_attention)):
            if (module := _part(block, name)) is not None:
                places.append(FunnelPlace(engine, funnel, module, row.text_first, (index, part)))
    return places


def spans_of(
    reduction: Reduction, rows: list[tuple[BlockFamily, nn.Module]]
) -> tuple[tuple[int, int], ...]:
    """Return the runs of blocks that are forecast as one, over all steps."""
    covers_all = all(row.chained and _parts_of(row) <= reduction.parts for row, _ in rows)
    if reduction.predict_at != "blocks" or reduction.predict == "none" or not covers_all:
        return ()
    schedule, num_blocks = reduction.schedule, len(rows)
    if not isinstance(schedule, Table):
        return ((0, num_blocks - 1),) if 1.0 in schedule.ratios() else ()
    steps = range(len(schedule.steps))
    return tuple(sorted({s for k in steps for s in predicted_spans(schedule.row(k, num_blocks))}))


def _parts_of(row: BlockFamily) -> set[str]:
    """Return the parts that a block of this family has."""
    has_ffn = row.feed_forward is not None or row.fused is not None
    return {"self", *(["cross"] if row.cross_attention else []), *(["ffn"] if has_ffn else [])}


def _places_of_block(
    engine: Engine, row: BlockFamily, block: nn.Module, index: int, pairs_index: int
) -> list[Place]:
    """Hook the parts of one block, and what they are matched on."""
    parts, guide = engine.reduction.parts, engine.reduction.guide

    def pairs_key(part: str) -> Key:
        shared = "self" if part == "cross" and "self" in parts else part
        return (pairs_index, shared if guide == "module" else guide)

    places: list[Place] = []
    attention = getattr(block, row.self_attention)
    is_fused = row.fused is not None and {"self", "ffn"} <= parts
    if "self" in parts:
        key = (index, "fused" if is_fused else "self")
        places.append(
            AttentionPlace(engine, attention, row, key, pairs_key("self"), compact=is_fused)
        )
        if is_fused:
            places.append(FusedPlace(engine, block, row, key, pairs_key("self")))
        if (second := _part(block, row.image_attention)) is not None:
            alone = replace(row, joint=None)
            key = (index, "self2")
            places.append(AttentionPlace(engine, second, alone, key, pairs_key("self2")))
    elif guide == "attn":
        places.append(GuidePlace(engine, block, row.self_attention, index, row.text_first))
    if "cross" in parts and (module := _part(block, row.cross_attention)) is not None:
        places.append(RowPlace(engine, module, (index, "cross"), pairs_key("cross")))
    if "ffn" in parts and (module := _part(block, row.feed_forward)) is not None:
        key, text_first = (index, "ffn"), row.text_first
        places.append(RowPlace(engine, module, key, pairs_key("ffn"), text_first))
    elif guide == "ffn" and (name := row.feed_forward or (row.fused and row.fused[1])):
        places.append(GuidePlace(engine, block, name, index, row.text_first))
    if row.fused is not None and not is_fused and "ffn" in parts:
        reason = "feed-forward fused with the attention: `scope` must name both"
        engine.idle_places[reason] = engine.idle_places.get(reason, 0) + 1
    return places


def _part(block: nn.Module, name: str | None) -> nn.Module | None:
    """Return a part of a block, None where this kind of block or this block has none."""
    return None if name is None else getattr(block, name, None)
