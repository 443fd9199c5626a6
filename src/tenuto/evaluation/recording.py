"""Record one run of a workload as a trace folder."""

from collections.abc import Sequence
from pathlib import Path

from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import Workload
from tenuto.integration.composed import Composed
from tenuto.integration.composition import Technique
from tenuto.integration.stats import Stats
from tenuto.integration.tracing import tracing
from tenuto.traces.schema import Manifest
from tenuto.traces.writer import check_free


def check_recording(specs: Sequence[str], folder: Path) -> tuple[Technique | Composed, ...]:
    """Return the techniques that specs name together, before any model is loaded.

    Args:
        specs: As for `contender`; none, or "off" alone, for the untouched model.
        folder: Must not hold a finished trace.

    Raises:
        ValueError: A spec is unknown or not a technique of tenuto, or the folder holds a trace.
    """
    check_free(folder)
    techniques: list[Technique | Composed] = []
    for spec in specs:
        found = contender(spec)
        if not found.techniques and found.kind != "off":
            raise ValueError(f"`--technique` must be one that tenuto runs itself, got {spec!r}")
        if found.num_steps is not None:
            raise ValueError(f"`--technique` must leave the steps to --steps, got {spec!r}")
        techniques += found.techniques
    return tuple(techniques)


def record(
    workload: Workload,
    techniques: Sequence[Technique | Composed],
    caption: str,
    folder: Path,
    *,
    tile_rows: int = 128,
    pack_every: int = 1,
) -> Stats:
    """Draw one caption and write what was computed.

    Args:
        workload: A loaded pipeline.
        techniques: What is on; none for the untouched model.
        caption: What to draw, from the noise of the workload's seed.
        folder: Created; must not hold a finished trace.
        tile_rows: Rows of a tile, a multiple of 16.
        pack_every: As for `tracing`.

    Returns:
        What `Handle.stats` says of the run.

    Raises:
        ValueError, UnsupportedModelError: As `tracing`.
    """
    manifest = Manifest(
        model=workload.model, kind="recorded", num_steps=workload.num_steps, num_blocks=1,
        tile_rows=tile_rows, seed=workload.seed, prompts=(caption,),
        sources=("recorded by tenuto trace",),
    )  # fmt: skip
    with tracing(
        workload.pipe, techniques, folder, manifest=manifest, pack_every=pack_every
    ) as handle:
        workload.generate(caption, 0)
        return handle.stats()
