"""Times a device's operations at the shapes of a trace, for the GPU model (`tenuto gpu-table`)."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch

from tenuto.accelerators.gpu_table import VERSION, GpuTable, Kind, Peaks, Timed
from tenuto.accelerators.work import LINEAR
from tenuto.errors import HardwareError
from tenuto.hardware_gpu import Gpu
from tenuto.traces.schema import Part, Trace

_TINY_CALLS = 200
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How to measure.

    Attributes:
        name: Of the row that is made.
        device: As torch names it.
        dtype: "float16", "bfloat16" or "float32".
        repeats: Timed calls of each operation; the median counts.
    """

    name: str
    device: str = "cuda"
    dtype: str = "float16"
    repeats: int = 20

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"`dtype` must be one of {sorted(_DTYPES)}, got {self.dtype!r}")
        if self.repeats < 1:
            raise ValueError(f"`repeats` must be at least 1, got {self.repeats!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What is not measured.

    Attributes:
        idle_w, board_w, die_mm2: As in `Gpu`.
        like: A known GPU with the same peaks; None: the best measured rates stand for them.
    """

    idle_w: float
    board_w: float
    die_mm2: float
    like: Gpu | None = None

    def peaks(self, operations: Sequence[Timed], element_bytes: int) -> Peaks:
        """Return the rates that efficiencies refer to."""
        own = {"idle_w": self.idle_w, "board_w": self.board_w, "die_mm2": self.die_mm2}
        if self.like is None:
            return Peaks(
                macs_per_s=max(op.macs / op.seconds for op in operations),
                bytes_per_s=max(op.num_elements * element_bytes / op.seconds for op in operations),
                num_sms=1, source="rates: the best measured; power and area: given", **own,
            )  # fmt: skip
        return Peaks(
            macs_per_s=self.like.macs_per_s, bytes_per_s=self.like.bytes_per_s,
            num_sms=self.like.num_sms, source=f"tenuto's table of GPUs, {self.like.name}", **own,
        )  # fmt: skip


def shapes_of(traces: Iterable[Trace]) -> list[Timed]:
    """List the distinct operations of traces, without times: `seconds` is 1."""
    found: dict[tuple[Any, ...], Timed] = {}
    for trace in traces:
        table = trace.operations
        columns = (table.part, table.rows, table.inner, table.columns, table.count)
        for row in np.unique(np.stack(columns), axis=1).T.tolist():
            for op in _operations_of(*row):
                found.setdefault((op.kind, op.rows, op.inner, op.columns, op.count), op)
    return list(found.values())


def _operations_of(part: int, rows: int, inner: int, columns: int, count: int) -> Iterator[Timed]:
    if part in LINEAR:
        yield Timed(kind="matmul", rows=rows, inner=inner, columns=columns, seconds=1.0)
        yield Timed(kind="elementwise", rows=rows, columns=columns, seconds=1.0)
    if part in (Part.SCORES, Part.CROSS_SCORES):
        yield Timed(
            kind="attention", rows=rows, inner=inner, columns=columns, count=count, seconds=1.0
        )
    if part == Part.QUERY:
        yield Timed(kind="gather", rows=max(rows // 2, 1), columns=inner, seconds=1.0)


def measured(
    traces: Iterable[Trace], setting: Setting, board: Board, step: Callable[[str], None]
) -> GpuTable:
    """Time every operation on the device.

    Args:
        traces: Whose shapes.
        setting: Where and how.
        board: Power, area, and whose peaks.
        step: Called with each operation's kind.

    Raises:
        HardwareError: The device is not there, or an operation does not fit into its memory.
    """
    try:
        device = torch.device(setting.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise HardwareError(f"torch has no device {setting.device!r} here: {first}") from None
    operations: list[Timed] = []
    for op in shapes_of(traces):
        operations.append(_timed(op, setting))
        step(op.kind)
    element_bytes = _DTYPES[setting.dtype].itemsize
    return GpuTable(
        version=VERSION, name=setting.name, device=_device_name(device), torch=torch.__version__,
        element_bytes=element_bytes, launch_s=_launch_s(setting),
        peaks=board.peaks(operations, element_bytes), operations=tuple(operations),
    )  # fmt: skip


def _timed(op: Timed, setting: Setting) -> Timed:
    try:
        run = _call(op, setting)
        return replace(op, seconds=_seconds(run, setting))
    except (torch.OutOfMemoryError, MemoryError):
        raise HardwareError(
            f"{op.kind} of {op.rows} x {op.inner} x {op.columns} x {op.count} does not fit into "
            f"the memory of {setting.device!r}: measure a smaller trace"
        ) from None


def _call(op: Timed, setting: Setting) -> Callable[[], object]:
    kind: Kind = op.kind

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=setting.device).to(_DTYPES[setting.dtype])

    if kind == "matmul":
        left, right = random(op.rows, op.inner), random(op.inner, op.columns)
        return lambda: torch.mm(left, right)
    if kind == "attention":
        query = random(1, op.count, op.rows, op.inner)
        key, value = (random(1, op.count, op.columns, op.inner) for _ in range(2))
        attention = torch.nn.functional.scaled_dot_product_attention
        return lambda: attention(query, key, value)
    if kind == "elementwise":
        first, second = random(op.rows, op.columns), random(op.rows, op.columns)
        return lambda: torch.add(first, second, out=first)
    source = random(2 * op.rows, op.columns)
    index = torch.randperm(2 * op.rows, device=setting.device)[: op.rows]
    return lambda: torch.index_select(source, 0, index)


def _seconds(run: Callable[[], object], setting: Setting, calls: int = 1) -> float:
    """Median time of a call, after two that do not count."""
    synchronize = torch.cuda.synchronize if setting.device.startswith("cuda") else lambda: None
    times: list[float] = []
    for _ in range(setting.repeats + 2):
        synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            run()
        synchronize()
        times.append((time.perf_counter() - start) / calls)
    return median(times[2:])


def _launch_s(setting: Setting) -> float:
    """Time between dependent kernels that have nothing to do."""
    one = torch.zeros(1, device=setting.device)
    return _seconds(lambda: one.add_(1), setting, _TINY_CALLS)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    from tenuto.evaluation.machine import this_machine

    return f"{this_machine().cpu}, {torch.get_num_threads()} threads"
