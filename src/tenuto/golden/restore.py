"""Output rows for every token from the computed ones: copy, or predict and correct."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]


def restore(
    computed: Integers,
    predicted: Integers,
    computed_tokens: Integers,
    place: Integers,
    bits: int,
    *,
    corrects: bool,
) -> Integers:
    """Return each token's output row.

    A token gets its own prediction plus its partner's innovation, the partner's computed row minus
    the partner's prediction, limited to the range of `bits`; a computed token is its own partner,
    which gives the computed row exactly. Without correction all predictions count as 0: the
    partner's row is copied.

    Args:
        computed: (places, channels), values of `bits` signed bits.
        predicted: (tokens, channels), likewise.
        computed_tokens: (places,) token of each computed row.
        place: (tokens,) place of each token's partner among the computed rows.
        bits: Of one channel.
        corrects: Whether predictions are used.

    Returns:
        (tokens, channels).

    Source: ours (predict, compute a few, correct the rest; docs/engine.md), in integers.

    >>> restore(np.array([[90]]), np.array([[70], [110]]), np.array([0]), np.array([0, 0]), 8,
    ...         corrects=True).tolist()
    [[90], [127]]
    """
    forecast = predicted.astype(np.int64) if corrects else np.zeros(predicted.shape, np.int64)
    innovation = computed - forecast[computed_tokens]
    most = 2 ** (bits - 1) - 1
    return np.clip(forecast + innovation[place], -most - 1, most)
