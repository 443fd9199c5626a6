"""`accelerate` a pipeline or transformer: check everything, then hook every place."""

from dataclasses import replace
from typing import Any

from torch import nn

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.reduction import Funnel, Reduction
from tenuto.algorithms.schedule import Table, predicted_spans
from tenuto.errors import AlreadyAcceleratedError, CalibrationError, UnsupportedModelError
from tenuto.integration.attention_place import AttentionPlace
from tenuto.integration.block_place import BlockPlace
from tenuto.integration.calibration import Calibration, load_calibration
from tenuto.integration.composition import (
    NO_REDUCTION,
    Technique,
    TokenReduction,
    check_reuses,
    composition_of,
)
from tenuto.integration.engine import Engine
from tenuto.integration.families import BlockFamily, ModelFamily, family_of
from tenuto.integration.feed_forward import check_weights, feed_forwards
from tenuto.integration.ffn_place import FFNPlace
from tenuto.integration.funnel_place import FunnelPlace
from tenuto.integration.fused_place import FusedPlace
from tenuto.integration.grid_watch import GridWatch
from tenuto.integration.guide_place import GuidePlace
from tenuto.integration.handle import Accelerated, Handle, is_accelerated
from tenuto.integration.memory import Key
from tenuto.integration.row_place import RowPlace
from tenuto.integration.steps import StepTracker

Place = AttentionPlace | BlockPlace | FFNPlace | FunnelPlace | FusedPlace | GuidePlace | RowPlace
_FOLLOWING = AttentionPlace | FFNPlace | FusedPlace | GuidePlace
"""Places with hooks on single layers, which adapters may wrap."""

_DENOISERS = ("transformer", "transformer_2", "unet")


def accelerate(pipe_or_model: Any, *techniques: Technique, strict: bool = True) -> Handle:
    """Make a diffusers pipeline, or a transformer of one, faster by a technique.

    Only instances are hooked, never classes; weights and configuration are not touched.

    Args:
        pipe_or_model: A diffusers pipeline with a transformer, or a transformer itself.
        techniques: One token reduction, one `FFNReuse`, or both (`tenuto.integration.composition`).
        strict: Raise when numbers stop being finite in a run with reduced calls; False goes on
            densely and counts it.

    Returns:
        The handle: statistics, and the way back. Also a context manager.

    Raises:
        UnsupportedModelError: The model's class, or a part of it, cannot be hooked.
        AlreadyAcceleratedError: The model has a handle that was not removed.
        CalibrationError: A calibration does not fit the model.
        TypeError: Something else than a technique is given.
        ValueError: None or two of a kind are given, a schedule is for other blocks, or the
            techniques leave one another nothing to do.
    """
    composition = composition_of(techniques)
    models = _denoisers(pipe_or_model)
    families = [family_of(model) for model in models]
    for model in models:
        if is_accelerated(model):
            raise AlreadyAcceleratedError(
                f"{type(model).__name__} must not be accelerated already: call `remove()` on its "
                "handle first"
            )
    technique = composition.token_reduction
    calibration = None if technique is None else calibration_of(technique)
    reduction = NO_REDUCTION if technique is None else reduction_of(technique, calibration)
    reuse = composition.ffn_reuse
    for model, family in zip(models, families, strict=True):  # all of them before any is hooked
        _check_fit(model, family, reduction, calibration)
        if reuse is not None:
            rows = family.blocks_of(model)
            check_weights(feed_forwards(rows, type(model).__name__), reuse)
            check_reuses(reuse, reduction, len(rows))
    pipe = None if isinstance(pipe_or_model, nn.Module) else pipe_or_model
    accelerated = []
    for model, family in zip(models, families, strict=True):
        accelerated.append(_hook(model, family, (reduction, reuse), pipe, calibration))
        accelerated[-1].engine.counters.is_strict = strict
    return Handle(accelerated)


def _denoisers(pipe_or_model: Any) -> list[nn.Module]:
    """Return the transformers to hook."""
    if isinstance(pipe_or_model, nn.Module):
        return [pipe_or_model]
    found = [getattr(pipe_or_model, name, None) for name in _DENOISERS]
    models = [model for model in found if isinstance(model, nn.Module)]
    if not models:
        raise UnsupportedModelError(
            f"`pipe_or_model` must have a transformer or unet, got {type(pipe_or_model).__name__}"
        )
    return models


def calibration_of(technique: TokenReduction) -> Calibration | None:
    """Load the calibration that a technique names, None where it names none."""
    is_named = isinstance(technique, DiTo) and isinstance(technique.schedule, str)
    return load_calibration(technique.schedule) if is_named else None  # type: ignore[arg-type]


def _check_fitted(reduction: Reduction, spans: tuple[tuple[int, int], ...]) -> None:
    """Raise where fitted weights would be used on something else than they were fitted to."""
    if reduction.predict != "fitted":
        return
    if reduction.fitted_weights is None:
        raise CalibrationError(
            "`schedule` must be a calibration with forecast weights (method forecast) for "
            "predict='fitted', got one without"
        )
    if not spans or any(0 < ratio < 1 for ratio in reduction.schedule.ratios()):
        raise ValueError(
            "`predict`='fitted' must come with ratio=1, predict_at='blocks' and a scope of all "
            "parts: the weights are fitted to what all blocks add together"
        )


def reduction_of(technique: TokenReduction, calibration: Calibration | None) -> Reduction:
    """Return what the engine does under a technique and the calibration that it names, if any."""
    if not isinstance(technique, DiTo) or calibration is None:
        return technique.reduction()
    table = Table(tuple(technique.ratio if ratio else 0.0 for ratio in calibration.ratios))
    return technique.reduction(table, calibration.forecast_weights)


def _check_fit(
    model: nn.Module, family: ModelFamily, reduction: Reduction, calibration: Calibration | None
) -> None:
    """Raise where the calibration or the schedule is for another model."""
    if calibration is not None:
        calibration.check_model(model)
    rows = family.blocks_of(model)
    funnel = reduction.funnel
    for schedule in (reduction.schedule,) if funnel is None else (funnel.queries, funnel.keys):
        for step_index in range(len(schedule.steps) if isinstance(schedule, Table) else 0):
            schedule.row(step_index, len(rows))
    _check_fitted(reduction, _spans(reduction, rows))


def _hook(
    model: nn.Module,
    family: ModelFamily,
    settings: tuple[Reduction, FFNReuse | None],
    pipe: Any,
    calibration: Calibration | None,
) -> Accelerated:
    """Hook one transformer."""
    reduction, reuse = settings

    def scheduler() -> Any:
        return getattr(pipe, "scheduler", None)

    rows = family.blocks_of(model)
    spans = _spans(reduction, rows)
    engine = Engine(model, family, reduction, StepTracker(scheduler), bool(spans))
    if calibration is not None:
        engine.check_run = lambda moment: calibration.check_run(moment.num_steps, scheduler())
    places = _places(engine, rows, spans)
    if reuse is not None and not reuse.is_off:
        found = feed_forwards(rows, type(model).__name__)
        places += [FFNPlace(engine, reuse, layers, key) for key, layers in found]
    engine.counters.modules_hooked = len(places)
    grids = GridWatch(engine, model, family)

    def follow(*_: object) -> None:
        moved = [place.follow() for place in places if isinstance(place, _FOLLOWING)]
        if any(moved):  # a LoRA came or went: other layers, other operations
            engine.counters.tables.clear()

    root = [
        model.register_forward_pre_hook(follow),
        model.register_forward_pre_hook(engine.enter, with_kwargs=True),
        model.register_forward_hook(engine.leave),
        model.register_forward_hook(lambda *_: engine.abort(), always_call=True),
    ]
    return Accelerated(
        model,
        engine,
        tuple(each.remove for each in (*places, grids, *root)),
    )


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


def _spans(
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
