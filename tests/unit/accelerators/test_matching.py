"""The matching engine, stage by stage."""

import numpy as np
import pytest

from tenuto.accelerators.matching import HISTOGRAM_BINS, engine_cycles, similarity_macs
from tenuto.hardware import Matcher

ENGINE = Matcher(macs_per_cycle=100, gain_lanes=64, tokens_per_cycle=1.0)


def cycles(tokens: int, engine: Matcher = ENGINE, channels: int = 32, window: int = 16) -> float:
    sizes = (np.array([float(size)]) for size in (tokens, channels, window))
    return engine_cycles(engine, *sizes).item()


def test_one_window_passes_every_stage() -> None:
    quantize, similarity, select, write = 16, -(-16 * 17 // 2 * 32 // 100), 4 * 256 // 64, 16

    assert cycles(16) == quantize + similarity + select + write + HISTOGRAM_BINS


def test_each_further_window_costs_the_slowest_stage() -> None:
    assert cycles(16 * 5) - cycles(16 * 4) == -(-16 * 17 // 2 * 32 // 100)


def test_no_tokens_take_no_time() -> None:
    assert cycles(0) == 0


def test_only_half_of_the_similarities_is_computed() -> None:
    tokens, channels, window = np.array([512.0]), np.array([8.0]), np.array([256.0])

    macs = similarity_macs(tokens, channels, window)

    assert macs[0] == pytest.approx(512 * 256 * 8 / 2, rel=0.01)
