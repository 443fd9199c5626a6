"""Units whose other properties the ladder shows keep the rules of streams."""

from collections.abc import Callable

from amaranth.lib import wiring

from tenuto import conmerge_timing, hardware_timing
from tenuto.rtl.conmerge import ConMerge
from tenuto.rtl.dot_array import DotArray
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof
from tenuto.rtl.restore import Restore


def _proof(name: str, depth: int, unit: Callable[[], wiring.Component]) -> Proof:
    return Proof(
        name=f"{name}-offers",
        claim="an offered output stays, unchanged, until it is taken",
        top=lambda: Observed(unit()),
        depth=depth,
        is_bounded=True,
    )


_RESTORE = hardware_timing.Restore(lanes=1, bits=3, num_places=2, row_beats=2)
_CONMERGE = conmerge_timing.ConMerge(rows=2, lanes=2, merge_limit=2, max_columns=4)
_ARRAY = conmerge_timing.DotArray(rows=2, lanes=2, merge_limit=2, dot_length=1, bits=2, max_depth=2)

PROOFS = (
    _proof("restore", 8, lambda: Restore(_RESTORE)),
    _proof("conmerge", 14, lambda: ConMerge(_CONMERGE)),
    _proof("dot-array", 8, lambda: DotArray(_ARRAY)),
)
