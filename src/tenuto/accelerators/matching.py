"""Cycles of token matching: on the DATM engine, or on the main arrays where there is none.

Stages of the engine (methods of ORBIS-R; every number here is a reconstruction): quantize and
buffer a window; the symmetric half of its similarities; greedy selection, one candidate's column
of gains a lane group a cycle; pair writing. The loss histogram is read once at the end. Windows
follow one another, so a window costs its slowest stage and the first one costs all of them.
"""

import numpy as np
from numpy.typing import NDArray

from tenuto.hardware import Matcher

Floats = NDArray[np.float64]
DESTINATION_SHARE = 0.25
"""Destinations of a window over its tokens (ORBIS-R: N / 4)."""
HISTOGRAM_BINS = 256


def similarity_macs(tokens: Floats, channels: Floats, window: Floats) -> Floats:
    """Multiply-accumulates of the symmetric half of every window's similarities."""
    return tokens * (window + 1) / 2 * channels


def selection_steps(tokens: Floats, window: Floats) -> Floats:
    """Subtract-clip-add steps of the greedy choice: each destination updates every candidate."""
    return np.ceil(tokens / window) * np.ceil(window * DESTINATION_SHARE) * window * window


def engine_cycles(engine: Matcher, tokens: Floats, channels: Floats, window: Floats) -> Floats:
    """Cycles of the engine for `tokens` in windows of `window`; 0 for none."""
    window = np.maximum(window, 1.0)
    num_windows = np.ceil(tokens / window)
    destinations = np.ceil(window * DESTINATION_SHARE)
    stages = np.stack(
        [
            np.ceil(window / engine.tokens_per_cycle),
            np.ceil(window * (window + 1) / 2 * channels / engine.macs_per_cycle),
            destinations * np.ceil(window * window / engine.gain_lanes),
            np.ceil(window / engine.tokens_per_cycle),
        ]
    )
    steady = np.maximum(num_windows - 1, 0) * stages.max(axis=0)
    return np.where(tokens > 0, stages.sum(axis=0) + steady + HISTOGRAM_BINS, 0.0)
