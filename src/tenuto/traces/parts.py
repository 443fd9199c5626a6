"""What an operation of a trace can be."""

from enum import IntEnum


class Part(IntEnum):
    """What an operation is; the rows, inner and columns of each are given here.

    Products of the model: rows x inner times inner x columns, `count` times. Work of a technique:
    MATCH finds partners among `rows` tokens of `inner` channels in windows of `columns` tokens;
    PREDICT_* estimate scores; RESTORE gives `rows` tokens of `columns` channels their values, from
    a partner (`inner` 0) or a forecast over `inner` stored outputs; REMEMBER stores outputs; ADDED
    has no size, only `added_macs`: arithmetic of forecasts, corrections and partial sums in a call.
    """

    QUERY = 0
    KEY_VALUE = 1
    SCORES = 2
    VALUES = 3
    PROJECTION = 4
    CROSS_LINEAR = 5
    CROSS_SCORES = 6
    CROSS_VALUES = 7
    FFN_UP = 8
    FFN_DOWN = 9
    TEXT_LINEAR = 10
    RESIDUAL_BLOCK = 11
    MATCH = 12
    PREDICT_PROJECTION = 13
    PREDICT_SCORES = 14
    RESTORE = 15
    REMEMBER = 16
    OTHER_LINEAR = 17
    ADDED = 18


OVERHEADS = (
    Part.MATCH, Part.PREDICT_PROJECTION, Part.PREDICT_SCORES, Part.RESTORE, Part.REMEMBER,
    Part.ADDED,
)  # fmt: skip
"""Work of a technique, not of the model."""

ATTENTION_CORES = (Part.SCORES, Part.VALUES, Part.CROSS_SCORES, Part.CROSS_VALUES)
"""Products of two activations: no weights are read."""
