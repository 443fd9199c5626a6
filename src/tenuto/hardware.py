"""Frozen specifications of machines; cycle models read them, and so do sweeps and presets.

Units are in the names. A specification that cannot be built is refused here, before any cycle is
counted.
"""

from dataclasses import dataclass
from typing import Literal


def _positive(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not value > 0:
            raise ValueError(f"`{name}` must be greater than 0, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicArray:
    """Processing elements that pass operands to their neighbours; one multiplier each.

    Timed by SCALE-Sim's closed forms, in the best of its three dataflows.
    """

    pe_rows: int
    pe_columns: int

    def __post_init__(self) -> None:
        _positive(self, "pe_rows", "pe_columns")

    @property
    def macs_per_cycle(self) -> int:
        """Of one array."""
        return self.pe_rows * self.pe_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class DotProductArray:
    """Units that each make one output: inputs along rows, weights along columns (EXION's SDUE).

    Attributes:
        unit_rows: Rows of units; outputs of as many tokens at once.
        unit_columns: Columns of units.
        dot_length: Multipliers of a unit.
        pipeline_cycles: From the last operands to the output, once an operation.
    """

    unit_rows: int = 16
    unit_columns: int = 16
    dot_length: int
    pipeline_cycles: int = 8

    def __post_init__(self) -> None:
        _positive(self, "unit_rows", "unit_columns", "dot_length")

    @property
    def macs_per_cycle(self) -> int:
        """Of one array."""
        return self.unit_rows * self.unit_columns * self.dot_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Sram:
    """On-chip memory, double-buffered: half holds what is used, half what comes next."""

    capacity_bytes: int
    macro_bytes: int = 524288

    def __post_init__(self) -> None:
        _positive(self, "capacity_bytes", "macro_bytes")


DramKind = Literal["lpddr5", "gddr6", "hbm2e"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """Off-chip memory; `peak_bytes_per_s` over all channels."""

    kind: DramKind
    peak_bytes_per_s: float

    def __post_init__(self) -> None:
        _positive(self, "peak_bytes_per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorUnit:
    """Norms, activations and softmax; rates of the whole chip."""

    elements_per_cycle: int
    exponentials_per_cycle: int

    def __post_init__(self) -> None:
        _positive(self, "elements_per_cycle", "exponentials_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """The DATM engine (ORBIS-R): similarity array, gain lanes, histogram, pair writer.

    Attributes:
        macs_per_cycle: Of the integer similarity array.
        gain_lanes: Subtract, clip and add lanes of the greedy selection.
        tokens_per_cycle: Quantized on the way in, and written as pairs on the way out.
        bits: Of the quantized similarity operands.
        is_hidden: It runs beside the main pipeline, for the next step; else it stops the pipeline.
    """

    macs_per_cycle: int
    gain_lanes: int
    tokens_per_cycle: float = 1.0
    bits: int = 8
    is_hidden: bool = True

    def __post_init__(self) -> None:
        _positive(self, "macs_per_cycle", "gain_lanes", "tokens_per_cycle", "bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """The eager predictor (EXION's EPRE): products as shifts and sums, of the whole chip."""

    macs_per_cycle: int

    def __post_init__(self) -> None:
        _positive(self, "macs_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """How output sparsity becomes fewer tiles.

    Attributes:
        granularity: "none" computes every tile, "column" leaves out dead columns of 16-row blocks,
            "merged" lays tiles over one another besides (EXION's ConMerge).
        columns_per_cycle: Mask columns of a 16-row block that are planned each cycle, on the chip.
    """

    granularity: Literal["none", "column", "merged"] = "merged"
    columns_per_cycle: int = 16

    def __post_init__(self) -> None:
        _positive(self, "columns_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An accelerator: cores, memories and the units that make it skip work.

    Attributes:
        name: For tables.
        num_cores: Arrays of one kind.
        array: Of one core.
        clock_hz: Of everything on the chip.
        operand_bits: Of weights and activations in the arrays and memories.
        is_floating: Floating-point multipliers (they cost more); else integer ones.
        node_nm: Process, for energy and area.
        issue_cycles: Before each operation: descriptors, synchronization of the cores, the first
            access to memory. Assumed: 100 ns at 800 MHz, one DRAM latency.
        sram: Of the whole chip, local memories included.
        dram: Off-chip memory.
        vector: Special-function units of the whole chip.
        matcher: Present: reduced tokens are skipped, partners are found by this engine. With a
            trace that reduces tokens and no matcher, matching runs on the arrays and vector units.
        skips_tokens: Gathers kept tokens on load and restores the others on store.
        forecasts: Restores from stored histories too.
        predictor: Present: unneeded scores, query rows, keys and values are skipped.
        reuses_ffn: Feed-forward elements are reused from an earlier step.
        compaction: What the arrays gain from output sparsity.
        sources: What is published of this machine and what is assumed.
    """

    name: str
    num_cores: int
    array: SystolicArray | DotProductArray
    clock_hz: float
    operand_bits: int
    is_floating: bool = False
    node_nm: int
    issue_cycles: int = 80
    sram: Sram
    dram: Dram
    vector: VectorUnit
    matcher: Matcher | None = None
    skips_tokens: bool = False
    forecasts: bool = False
    predictor: Predictor | None = None
    reuses_ffn: bool = False
    compaction: Compaction = Compaction(granularity="none")
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _positive(self, "num_cores", "clock_hz", "operand_bits", "node_nm")
        needed = 2 * self.macs_per_cycle_of_core * self.operand_bits // 8
        if self.sram.capacity_bytes < needed:
            raise ValueError(
                f"`sram.capacity_bytes` must hold two operand tiles of a core ({needed} bytes), "
                f"got {self.sram.capacity_bytes}"
            )
        sparse = self.predictor is not None or self.reuses_ffn
        if sparse and isinstance(self.array, SystolicArray):
            raise ValueError(
                "`array` must be of dot-product units to use masks, got a systolic one"
            )

    @property
    def macs_per_cycle_of_core(self) -> int:
        """Multipliers of one core."""
        return self.array.macs_per_cycle

    @property
    def macs_per_cycle(self) -> int:
        """Multipliers of the chip."""
        return self.num_cores * self.array.macs_per_cycle
