"""Frozen specification of a GPU: a roofline, and efficiencies that are constants or curves."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Efficiency by size of the work: interpolated over its logarithm, level beyond the ends.

    Attributes:
        work: Multiply-accumulates or bytes of an operation, rising.
        efficiency: Share of the peak at each, in (0, 1].
    """

    work: tuple[float, ...]
    efficiency: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.work or len(self.work) != len(self.efficiency):
            raise ValueError(
                f"`work` must be as long as `efficiency` and not empty, got {len(self.work)} and "
                f"{len(self.efficiency)}"
            )
        if not self.work[0] > 0 or any(not a < b for a, b in pairwise(self.work)):
            raise ValueError(f"`work` must be greater than 0 and rise, got {self.work!r}")
        if not all(0 < value <= 1 for value in self.efficiency):
            raise ValueError(f"`efficiency` must be in (0, 1], got {self.efficiency!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU as a roofline with efficiencies. Rates are dense; sparse peaks appear nowhere.

    Attributes:
        macs_per_s: Half the dense FLOP/s: of the tensor units in half precision, or of single
            precision.
        bytes_per_s: Peak of the memory.
        num_sms: Streaming multiprocessors; tiles of 128 x 128 fill them in waves.
        launch_s: Between dependent kernels, eager mode.
        compute_efficiency: Of large matrix products, of the peak.
        attention_efficiency: Of fused attention.
        memory_efficiency: Of elementwise kernels.
        idle_w, board_w: Power doing nothing, and at the limit.
        die_mm2: Of the whole die.
        element_bytes: Of weights and activations.
        matmul, attention, elementwise: Measured efficiencies by size; each takes the place of the
            constant above, `matmul` also that of the waves of tiles.
    """

    name: str
    macs_per_s: float
    bytes_per_s: float
    num_sms: int
    launch_s: float = 0.0
    compute_efficiency: float = 1.0
    attention_efficiency: float = 1.0
    memory_efficiency: float = 1.0
    idle_w: float
    board_w: float
    die_mm2: float
    element_bytes: int = 2
    matmul: Curve | None = None
    attention: Curve | None = None
    elementwise: Curve | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("macs_per_s", "bytes_per_s", "num_sms", "idle_w", "board_w", "die_mm2"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be greater than 0, got {getattr(self, name)!r}")
        for name in ("compute_efficiency", "attention_efficiency", "memory_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be in (0, 1], got {getattr(self, name)!r}")
