"""Drive a unit's streams, with gaps on both sides, in Amaranth's own simulator.

`verilated.py` does the same, cycle for cycle, in compiled C++.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.sim import Simulator
from numpy.typing import NDArray

from tenuto.rtl.packing import Words, integers_from, words_from

DRAIN_CYCLES = 16
"""Cycles that a run goes on after its last output, to see outputs that nobody asked for."""


def _never() -> NDArray[np.uint8]:
    return np.zeros(1, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """Cycles in which a side of the unit pauses; each pattern repeats from its beginning.

    Attributes:
        source: Nonzero where no new input is offered (one already offered stays).
        sink: Nonzero where no output is accepted.
    """

    source: NDArray[np.uint8] = field(default_factory=_never)
    sink: NDArray[np.uint8] = field(default_factory=_never)


NO_STALLS = Stalls()


def random_stalls(seed: int, share: float = 0.4, length: int = 4099) -> Stalls:
    """Return independent random pauses on both sides, in `share` of the cycles."""
    random = np.random.default_rng(seed)
    source, sink = random.random((2, length)) < share
    return Stalls(source=source.astype(np.uint8), sink=sink.astype(np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """What went through a unit.

    Attributes:
        outputs: (transfers, words), in order.
        input_cycles: Cycle of each input's transfer.
        output_cycles: Cycle of each output's transfer.
        seconds: Processor time of the simulation alone, without making or building the unit.
    """

    outputs: Words
    input_cycles: NDArray[np.int64]
    output_cycles: NDArray[np.int64]
    seconds: float

    @property
    def cycles(self) -> int:
        """Return the cycles up to and including the last output's transfer."""
        return int(self.output_cycles[-1]) + 1


def run_simulated(
    unit: wiring.Component,
    inputs: Words,
    num_outputs: int,
    stalls: Stalls = NO_STALLS,
    *,
    vcd: Path | None = None,
    max_cycles: int = 1_000_000,
) -> StreamRun:
    """Send `inputs` through a unit with streams `i` and `o`.

    Ends some cycles after `num_outputs` outputs, or at `max_cycles`; an output too many is in
    the result, too.

    Args:
        unit: Not yet elaborated.
        inputs: (transfers, words) of payloads.
        num_outputs: How many are expected.
        stalls: Pauses of the source and the sink.
        vcd: Where to write waveforms.
        max_cycles: Longest run.
    """
    transfers: tuple[list[int], list[int], list[int]] = ([], [], [])

    async def bench(ctx) -> None:
        waiting = iter(integers_from(inputs))
        left = DRAIN_CYCLES
        payload, is_offered = next(waiting, None), False
        for cycle in range(max_cycles):
            is_offered = payload is not None and (
                is_offered or not stalls.source[cycle % len(stalls.source)]
            )
            _offer(ctx, unit, payload if is_offered else None)
            ctx.set(unit.o.ready, int(not stalls.sink[cycle % len(stalls.sink)]))
            await ctx.delay(0.4e-6)
            if is_offered and ctx.get(unit.i.ready):
                transfers[0].append(cycle)
                payload, is_offered = next(waiting, None), False
            if ctx.get(unit.o.valid) and ctx.get(unit.o.ready):
                transfers[1].append(cycle)
                transfers[2].append(ctx.get(Value.cast(unit.o.payload).as_unsigned()))
            left -= len(transfers[1]) >= num_outputs and payload is None
            if not left:
                return
            await ctx.tick()

    start = time.process_time()
    _simulate(unit, bench, vcd)
    return StreamRun(
        outputs=words_from(transfers[2], Value.cast(unit.o.payload).shape().width),
        input_cycles=np.array(transfers[0], dtype=np.int64),
        output_cycles=np.array(transfers[1], dtype=np.int64),
        seconds=time.process_time() - start,
    )


def _offer(ctx, unit: wiring.Component, payload: int | None) -> None:
    ctx.set(unit.i.valid, int(payload is not None))
    if payload is not None:
        ctx.set(Value.cast(unit.i.payload), payload)


def _simulate(unit: wiring.Component, bench, vcd: Path | None) -> None:
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    with ExitStack() as files:
        if vcd is not None:
            files.enter_context(simulator.write_vcd(str(vcd)))
        simulator.run()


def payload_bits(unit: wiring.Component) -> tuple[int, int]:
    """Return the widths of a unit's input and output payloads."""
    return Value.cast(unit.i.payload).shape().width, Value.cast(unit.o.payload).shape().width
