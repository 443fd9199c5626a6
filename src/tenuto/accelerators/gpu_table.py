"""GPUs from a table that was measured on them: times of single operations become efficiencies.

`tenuto gpu-table` writes such a table (`tenuto.evaluation.gpu_times`); `load("my-gpu.json")` reads
it. Peaks, power and die area stay quoted; launch time and efficiencies are the measured ones.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tenuto.config import from_dict
from tenuto.errors import HardwareError
from tenuto.hardware_gpu import Curve, Gpu

VERSION = 1
Kind = Literal["matmul", "attention", "elementwise", "gather"]
_FASTEST = 1.05
"""Of the peak: what a measured product may reach before the peak must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One operation and its median time.

    Attributes:
        kind: "matmul" rows x inner times inner x columns; "attention" of `rows` queries and
            `columns` keys of `inner` channels in `count` heads; "elementwise": the sum of two
            matrices; "gather": `rows` rows out of twice as many.
        seconds: Of one call among many.
    """

    kind: Kind
    rows: int
    inner: int = 1
    columns: int
    count: int = 1
    seconds: float

    def __post_init__(self) -> None:
        for name in ("rows", "inner", "columns", "count", "seconds"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be greater than 0 and finite, got {value!r}")

    @property
    def macs(self) -> float:
        """Multiply-accumulates; 0 for what only moves data."""
        products = {"matmul": 1, "attention": 2}.get(self.kind, 0)
        return float(products * self.rows * self.inner * self.columns * self.count)

    @property
    def num_elements(self) -> float:
        """Elements read and written by what only moves data."""
        passes = {"elementwise": 3, "gather": 2}.get(self.kind, 0)
        return float(passes * self.rows * self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What is not measured here, or only as the best that was seen; `source` says which."""

    macs_per_s: float
    bytes_per_s: float
    num_sms: int
    idle_w: float
    board_w: float
    die_mm2: float
    source: str

    def __post_init__(self) -> None:
        for name in ("macs_per_s", "bytes_per_s", "num_sms", "idle_w", "board_w", "die_mm2"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be greater than 0 and finite, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTable:
    """A measured GPU: `element_bytes` of its operands, `launch_s` of a kernel, the operations."""

    version: int
    name: str
    device: str
    torch: str
    element_bytes: int
    launch_s: float
    peaks: Peaks
    operations: tuple[Timed, ...]

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"`version` must be {VERSION}, got {self.version!r}")
        if not 0 <= self.launch_s < math.inf:
            raise ValueError(f"`launch_s` must be at least 0 and finite, got {self.launch_s!r}")
        missing = {"matmul", "attention", "elementwise"} - {op.kind for op in self.operations}
        if missing:
            raise ValueError(f"`operations` must hold all kinds, got none of {sorted(missing)}")
        for op in self.operations:
            if op.macs > _FASTEST * self.peaks.macs_per_s * op.seconds:
                raise ValueError(
                    f"`peaks.macs_per_s` must be what no operation passes, but a {op.kind} of "
                    f"{op.macs:.3g} took {op.seconds:.3g} s, got {self.peaks.macs_per_s:.3g}"
                )


def read_gpu_table(file: Path) -> GpuTable:
    """Read a table.

    Raises:
        HardwareError: The file is missing, no JSON, of another version or incomplete, or holds a
            time that cannot be; the sentence names the file and the key.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"`table` must be a JSON object, got a {type(content).__name__}")
        return from_dict(GpuTable, _with_records(content), "")
    except OSError as error:
        raise HardwareError(f"no GPU table {str(file)!r}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise HardwareError(f"{file.name} is no table of `tenuto gpu-table`: {error}") from None


def _with_records(content: dict[str, Any]) -> dict[str, Any]:
    """Build the list of operations, so that a mistake is named with its place in the list."""
    operations = content.get("operations", ())
    if not isinstance(operations, list):
        raise TypeError(f"`operations` must be a list, got {operations!r}")
    made = tuple(from_dict(Timed, op, f"operations[{i}]") for i, op in enumerate(operations))
    return content | {"operations": made}


def write_gpu_table(table: GpuTable, file: Path) -> None:
    """Write a table as JSON."""
    file.write_text(json.dumps(asdict(table), indent=1) + "\n", encoding="utf-8")


def gpu_from(table: GpuTable) -> Gpu:
    """Turn times into efficiencies.

    A call's time contains its launch, which the model adds by itself: it is taken off, down to
    what the peak allows. Equal sizes are averaged.
    """
    peaks, of_kind = table.peaks, lambda kind: [op for op in table.operations if op.kind == kind]
    return Gpu(
        name=table.name, macs_per_s=peaks.macs_per_s, bytes_per_s=peaks.bytes_per_s,
        num_sms=peaks.num_sms, launch_s=table.launch_s, idle_w=peaks.idle_w, board_w=peaks.board_w,
        die_mm2=peaks.die_mm2, element_bytes=table.element_bytes,
        matmul=_curve((op.macs, peaks.macs_per_s, op.seconds - table.launch_s)
                      for op in of_kind("matmul")),
        attention=_curve((op.macs, peaks.macs_per_s, op.seconds - table.launch_s)
                         for op in of_kind("attention")),
        elementwise=_curve((op.num_elements * table.element_bytes, peaks.bytes_per_s,
                            op.seconds - table.launch_s) for op in of_kind("elementwise")),
        sources=(
            f"launch time and efficiencies: measured on {table.device} with torch {table.torch}",
            f"peaks, power, area: {peaks.source}",
        ),
    )  # fmt: skip


def _curve(points: Iterable[tuple[float, float, float]]) -> Curve:
    """Efficiencies of (work, peak a second, seconds), by rising work."""
    shares: dict[float, list[float]] = {}
    for work, peak, seconds in points:
        ideal = work / peak
        shares.setdefault(work, []).append(ideal / max(seconds, ideal))
    rising = sorted(shares)
    return Curve(
        work=tuple(rising),
        efficiency=tuple(sum(shares[work]) / len(shares[work]) for work in rising),
    )
