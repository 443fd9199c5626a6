"""The bank-level model against reference counts, and the fast mode against the bank-level model.

Reference: Ramulator 2.1, one channel, 200,000 reads of 64-byte stride, FRFCFS, open page, all-bank
refresh, RoBaRaCoCh; LPDDR5_16Gb_x16 at 6400, GDDR6_8Gb_x16 at 14000 (1.25 V, double); controller
cycles.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.accelerators.dram import effective_bytes_per_s, efficiency_table
from tenuto.accelerators.dram_banks import BURST_BYTES, TIMINGS, read_cycles
from tenuto.hardware import Dram

NUM_READS = 200_000
REFERENCE = {
    ("lpddr5", "sequential"): 437_308,
    ("lpddr5", "stride"): 2_653_401,
    ("lpddr5", "random"): 916_153,
    ("gddr6", "sequential"): 522_680,
    ("gddr6", "stride"): 4_880_958,
    ("gddr6", "random"): 2_408_776,
}
ADDRESSES = {
    "sequential": np.arange(NUM_READS) * 64,
    "stride": np.arange(NUM_READS) * 8192,
    "random": np.random.default_rng(0).integers(0, 2**30 // 64, NUM_READS) * 64,
}


@pytest.mark.parametrize(("kind", "pattern"), sorted(REFERENCE))
def test_the_bank_level_model_is_within_five_percent_of_the_reference(kind, pattern) -> None:
    cycles = read_cycles(TIMINGS[kind], ADDRESSES[pattern], interleaves_groups=False)

    assert cycles == pytest.approx(REFERENCE[kind, pattern], rel=0.05)


@pytest.mark.parametrize("kind", sorted(TIMINGS))
@given(data=st.data())
def test_no_pattern_beats_the_bus(kind, data) -> None:
    bursts = data.draw(st.lists(st.integers(0, 2**22), min_size=1, max_size=300))
    timing = TIMINGS[kind]

    cycles = read_cycles(timing, np.array(bursts) * BURST_BYTES)

    assert cycles >= (len(bursts) - 1) * timing.burst + timing.activate_to_read


@pytest.mark.parametrize("kind", sorted(TIMINGS))
@pytest.mark.parametrize("run_bytes", [32, 512, 4096])
def test_the_fast_mode_is_the_bank_level_models_bandwidth(kind, run_bytes) -> None:
    timing = TIMINGS[kind]
    starts = np.random.default_rng(7).integers(0, 2**25, 20_000 // (run_bytes // 32))[:, None]
    addresses = ((starts + np.arange(run_bytes // 32)) * BURST_BYTES).ravel()

    cycles = read_cycles(timing, addresses)

    share = len(addresses) * BURST_BYTES / cycles / timing.peak_bytes_per_cycle
    dram = Dram(kind=kind, peak_bytes_per_s=1.0)
    assert effective_bytes_per_s(dram, np.array([run_bytes]))[0] == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("kind", sorted(TIMINGS))
def test_no_run_reaches_the_peak(kind) -> None:
    assert max(efficiency_table()["kinds"][kind]["efficiency"]) < 1


def test_less_than_a_burst_still_moves_a_burst() -> None:
    dram = Dram(kind="gddr6", peak_bytes_per_s=1e9)

    half, whole = effective_bytes_per_s(dram, np.array([16, 32]))

    assert half == whole / 2
