"""When everything is done: units that overlap take the longest, what cannot overlap adds up.

Within an operation the arrays, the vector units and the DRAM overlap (double buffering). Prediction
and mask planning of the next block overlap with the arrays of this one. Matching works for the next
step, so it overlaps with a whole step. Whatever is longer than the arrays' own time is a stall with
the name of the unit that was waited for; cycles of all names add up to the run's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators import matching
from tenuto.accelerators.arrays import dot_product_cycles, systolic_cycles
from tenuto.accelerators.dram import effective_bytes_per_s
from tenuto.accelerators.traffic import Traffic
from tenuto.accelerators.work import LINEAR, Work
from tenuto.hardware import Chip, SystolicArray
from tenuto.traces.schema import ATTENTION_CORES, Operations, Part

Floats = NDArray[np.float64]
CAUSES = (
    "array_busy", "array_underfilled", "array_imbalance", "array_matching", "issue", "stall_dram",
    "stall_vector", "stall_restore", "stall_prediction", "stall_compaction", "stall_matching",
)  # fmt: skip
"""Where cycles go. The first four are the arrays' own: work that counts; edges, fill and partly
filled tiles; waiting for the busiest core; matching that they do themselves. Before each operation
comes its issue."""

_BESIDE = (Part.MATCH, Part.PREDICT_PROJECTION, Part.PREDICT_SCORES)
"""Issued to units of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Cycles of a run.

    Attributes:
        causes: By name of `CAUSES`; they add up to the run's cycles.
        operation_cycles: Of each operation, before stalls of a whole block or step.
        vector_elements, exponentials, predictor_macs, matcher_macs, matcher_steps: Events.
    """

    causes: dict[str, float]
    operation_cycles: Floats
    vector_elements: float
    exponentials: float
    predictor_macs: float
    matcher_macs: float
    matcher_steps: float

    @property
    def cycles(self) -> float:
        """Of the run."""
        return sum(self.causes.values())


def timeline_of(table: Operations, work: Work, traffic: Traffic, chip: Chip) -> Timeline:
    """Compose the units' times."""
    elements, exponentials = _vector_work(work)
    in_arrays = _software_matching(work, chip)
    balanced = _array_cycles(work, chip)
    array = balanced * work.imbalance
    vector = np.maximum(
        (elements + _compares(work, chip)) / chip.vector.elements_per_cycle,
        exponentials / chip.vector.exponentials_per_cycle,
    )
    dram = _dram_cycles(traffic, chip)
    own = array + in_arrays
    stall = np.maximum.reduce([own, vector, dram]) - own
    issue = np.where(work.rows > 0, float(chip.issue_cycles), 0.0)
    issue[np.isin(work.part, _BESIDE)] = 0.0
    total = own + stall + issue
    waits_dram = (dram >= vector) & (stall > 0)
    is_restore = np.isin(work.part, (Part.RESTORE, Part.REMEMBER))
    busy = work.macs / chip.macs_per_cycle
    prediction, planning = _predictor_cycles(work, chip), _planning_cycles(work, chip)
    late = _late(table, total, np.stack([prediction, planning]))
    causes = {
        "array_busy": busy.sum(),
        "array_underfilled": (balanced - busy).sum(),
        "array_imbalance": (array - balanced).sum(),
        "array_matching": in_arrays.sum(),
        "issue": issue.sum(),
        "stall_dram": stall[waits_dram & ~is_restore].sum(),
        "stall_vector": stall[~waits_dram & ~is_restore].sum(),
        "stall_restore": stall[is_restore].sum(),
        "stall_prediction": late[0],
        "stall_compaction": late[1],
        "stall_matching": _matching_stall(table, work, chip, total),
    }
    macs, steps = _matcher_events(work, chip)
    return Timeline(
        causes={name: float(causes[name]) for name in CAUSES}, operation_cycles=total,
        vector_elements=float((elements + _compares(work, chip)).sum()),
        exponentials=float(exponentials.sum()),
        predictor_macs=float(_predictor_macs(work).sum()) if chip.predictor else 0.0,
        matcher_macs=macs, matcher_steps=steps,
    )  # fmt: skip


def _array_cycles(work: Work, chip: Chip) -> Floats:
    """Cycles of every product with all cores equally loaded; 0 for overheads."""
    is_product = np.isin(work.part, (*LINEAR, *ATTENTION_CORES))
    rows = np.where(is_product, work.rows, 0.0)
    if isinstance(chip.array, SystolicArray):
        return systolic_cycles(
            chip.array, chip.num_cores, np.ceil(rows), work.columns, work.inner, work.count
        )
    high, wide = chip.array.unit_rows, chip.array.unit_columns
    dense = np.ceil(rows / high) * np.ceil(work.columns / wide) * work.count
    share = {
        "none": np.ones(len(rows)),
        "column": work.condensed_share,
        "merged": work.merged_share,
    }[chip.compaction.granularity]
    is_input_sparse = np.isin(work.part, (Part.FFN_DOWN, Part.VALUES))
    live_inner = 1.0 if chip.compaction.granularity == "none" else work.column_share
    inner = np.where(is_input_sparse, np.ceil(work.inner * live_inner), work.inner)
    tiles = np.where(is_input_sparse, dense, np.ceil(dense * share))
    cycles = dot_product_cycles(chip.array, chip.num_cores, tiles, inner)
    # Packing is counted in whole tiles; it never undercuts the multiplications that count.
    return np.maximum(cycles, work.macs / chip.macs_per_cycle)


def _vector_work(work: Work) -> tuple[Floats, Floats]:
    """(elementwise operations, exponentials) of each operation.

    A score takes one exponential and two elementwise steps (maximum and sum), half of them while
    the scores are made and half while they weigh the values. A hidden element takes one
    activation. Norms, gates and residuals take five steps a channel, booked on the layers that end
    a residual branch; a restored value one for each stored output and two for the correction.
    """
    outputs = work.rows * work.columns * work.count
    is_scores = np.isin(work.part, (Part.SCORES, Part.CROSS_SCORES))
    is_values = np.isin(work.part, (Part.VALUES, Part.CROSS_VALUES))
    keys = np.where(is_scores, work.columns, np.where(is_values, work.inner, 0.0))
    scores = work.rows * work.count * keys * work.density / 2
    ends_branch = np.isin(work.part, (Part.PROJECTION, Part.FFN_DOWN, Part.RESIDUAL_BLOCK))
    elements = 2 * scores
    elements += np.where(work.part == Part.FFN_UP, outputs * work.density, 0.0)
    elements += np.where(ends_branch, 5 * outputs, 0.0)
    forecast = (work.part == Part.RESTORE) & (work.inner > 0)
    elements += np.where(forecast, outputs * (work.inner + 2), 0.0)
    return elements, scores


def _dram_cycles(traffic: Traffic, chip: Chip) -> Floats:
    streaming = effective_bytes_per_s(chip.dram, np.array([1 << 20]))[0]
    gathering = effective_bytes_per_s(chip.dram, traffic.run_bytes)
    seconds = traffic.streamed / streaming + traffic.gathered / gathering
    return seconds * chip.clock_hz


def _software_matching(work: Work, chip: Chip) -> Floats:
    """Cycles in which arrays compute similarities, where there is no engine for it."""
    if chip.matcher is not None:
        return np.zeros(len(work.part))
    macs = np.where(work.part == Part.MATCH, work.rows * work.columns * work.inner, 0.0)
    return np.ceil(macs / chip.macs_per_cycle)


def _compares(work: Work, chip: Chip) -> Floats:
    """Comparisons of a matching without an engine, on the vector units."""
    if chip.matcher is not None:
        return np.zeros(len(work.part))
    return np.where(work.part == Part.MATCH, work.rows * work.columns, 0.0)


def _engine_cycles(work: Work, chip: Chip) -> Floats:
    if chip.matcher is None:
        return np.zeros(len(work.part))
    cycles = matching.engine_cycles(chip.matcher, work.rows, work.inner, work.columns)
    return np.where(work.part == Part.MATCH, cycles, 0.0)


def _matching_stall(table: Operations, work: Work, chip: Chip, total: Floats) -> float:
    """Cycles of the engine that a step of the main pipeline does not cover, or all of them."""
    engine = _engine_cycles(work, chip)
    if chip.matcher is None or not chip.matcher.is_hidden:
        return float(engine.sum())
    of_step = np.bincount(table.step, weights=engine)
    main = np.bincount(table.step, weights=total)
    return float(np.maximum(of_step - main, 0.0).sum())


def _matcher_events(work: Work, chip: Chip) -> tuple[float, float]:
    if chip.matcher is None:
        return 0.0, 0.0
    is_match = work.part == Part.MATCH
    macs = matching.similarity_macs(work.rows, work.inner, work.columns)
    steps = matching.selection_steps(work.rows, np.maximum(work.columns, 1.0))
    return float(macs[is_match].sum()), float(steps[is_match].sum())


def _predictor_macs(work: Work) -> Floats:
    is_own = np.isin(work.part, (Part.PREDICT_PROJECTION, Part.PREDICT_SCORES))
    return np.where(is_own, work.rows * work.inner * work.columns * work.count, 0.0)


def _predictor_cycles(work: Work, chip: Chip) -> Floats:
    if chip.predictor is None:
        return np.zeros(len(work.part))
    return _predictor_macs(work) / chip.predictor.macs_per_cycle


def _planning_cycles(work: Work, chip: Chip) -> Floats:
    """Mask columns to condense and merge; only where masks are used."""
    is_masked = np.isin(work.part, (Part.FFN_UP, Part.SCORES)) & (work.density < 1.0)
    if chip.compaction.granularity == "none":
        return np.zeros(len(work.part))
    columns = np.ceil(work.rows / 16) * work.columns * work.count
    return np.where(is_masked, columns / chip.compaction.columns_per_cycle, 0.0)


def _late(table: Operations, total: Floats, units: NDArray[np.float64]) -> Floats:
    """Cycles by which units outlast the other operations of their (step, block); one a unit.

    The units run beside one another, so only the longest one delays a block.
    """
    num_blocks = int(table.block.max()) + 2 if len(table) else 1
    place = table.step.astype(np.int64) * num_blocks + table.block + 1
    main = np.bincount(place, weights=total)
    of_unit = np.stack([np.bincount(place, weights=unit) for unit in units])
    excess = np.maximum(of_unit.max(axis=0) - main, 0.0)
    longest = of_unit.argmax(axis=0)
    return np.array([excess[longest == unit].sum() for unit in range(len(units))])
