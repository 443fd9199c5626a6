"""`tracing`: record what an accelerated pipeline does as a trace folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenuto.algorithms.dito import DiTo
from tenuto.integration.accelerate import accelerate
from tenuto.integration.composed import Composed, reduction_of, resolved
from tenuto.integration.composition import Technique
from tenuto.integration.families import family_of
from tenuto.integration.handle import Accelerated, Handle
from tenuto.integration.trace_recorder import TraceRecorder
from tenuto.integration.trace_sink import TraceSink
from tenuto.traces.schema import BLOCK_ROWS, Manifest
from tenuto.traces.writer import TraceWriter


@contextmanager
def tracing(
    pipe_or_model: Any,
    techniques: Sequence[Technique | Composed],
    folder: Path,
    *,
    manifest: Manifest,
    pack_every: int = 1,
) -> Iterator[Handle]:
    """Accelerate a pipeline inside a with block and record every call of its transformers.

    The run's result is what it would be without recording, bit for bit. The manifest is written
    when the block ends without an exception; until then readers refuse the folder, and the same
    call begins it anew.

    Args:
        pipe_or_model: As for `accelerate`.
        techniques: The same; none records the untouched pipeline.
        folder: Created; must not hold a finished trace.
        manifest: Model, prompts, seed and tile rows; the rest is filled in here.
        pack_every: Count merged tiles of one in so many 16-row blocks of each tile; 1: of all.

    Raises:
        ValueError: The folder holds a trace, `pack_every` is below 1, or as `accelerate`.
        UnsupportedModelError: As `accelerate`; or a layer runs in pieces.
    """
    if not 1 <= pack_every <= manifest.tile_rows // BLOCK_ROWS:
        raise ValueError(
            f"`pack_every` must be in [1, {manifest.tile_rows // BLOCK_ROWS}], the blocks of a "
            f"tile, got {pack_every!r}"
        )
    with accelerate(pipe_or_model, *(techniques or (DiTo.neutral(),))) as handle:
        complete = replace(
            manifest, kind="recorded", packed_share=1 / pack_every, **_described(techniques),
            scheduler=type(getattr(pipe_or_model, "scheduler", None)).__name__,
        )  # fmt: skip
        with TraceWriter(folder, complete) as writer:
            sink = TraceSink(writer, pack_every)
            with handle.observed(lambda accelerated: _recorder(accelerated, sink)):
                yield handle
            sink.finish()


def _recorder(accelerated: Accelerated, sink: TraceSink) -> TraceRecorder:
    model = accelerated.model
    first_block = sink.add_blocks(accelerated.engine.num_blocks)
    return TraceRecorder(model, family_of(model), sink, first_block)


def _described(techniques: Sequence[Technique | Composed]) -> dict[str, Any]:
    """Return what a manifest says of techniques."""
    settings = tuple(repr(technique) for technique in techniques)
    if not techniques:
        return {"techniques": (), "settings": settings, "restoration": "none"}
    composition, calibration = resolved(tuple(techniques))
    names: list[str] = []
    restoration = "none"
    if composition.token_reduction is not None:
        reduction = reduction_of(composition.token_reduction, calibration)
        ratios = reduction.schedule.ratios()
        if any(0 < ratio < 1 for ratio in ratios) or reduction.funnel is not None:
            is_blind = reduction.guide == "input"
            names.append(f"token reduction, {'in' if is_blind else 'out'}put-guided")
            restoration = "copy"
        if reduction.predict != "none" and any(ratios):
            names.append("forecasts")
            restoration = "forecast"
    if composition.ffn_reuse is not None and not composition.ffn_reuse.is_off:
        names.append("FFN-Reuse")
    if composition.eager is not None and not composition.eager.is_off:
        names.append("eager prediction")
    return {"techniques": tuple(names), "settings": settings, "restoration": restoration}
