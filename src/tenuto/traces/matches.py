"""What the matchings of a run found: their windows, and what reduced tokens lose."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.integer[Any]]


def _no_rows() -> Columns:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What matching found; one entry a filled bin of the loss histogram of one MATCH operation.

    Attributes:
        operation: Index of the operation.
        num_windows: Windows of one sample; destinations, where tokens are matched with all of them.
        window_tokens: Tokens of a whole window.
        loss_bin: 0: ``1 - cosine`` of a reduced token with its partner is below 2^-11; b up to 11:
            it is in [2^(b-12), 2^(b-11)); larger losses count as the largest.
        tokens: Reduced tokens in this bin, over the batch.
    """

    operation: Columns = field(default_factory=_no_rows)
    num_windows: Columns = field(default_factory=_no_rows)
    window_tokens: Columns = field(default_factory=_no_rows)
    loss_bin: Columns = field(default_factory=_no_rows)
    tokens: Columns = field(default_factory=_no_rows)

    def __len__(self) -> int:
        return len(self.tokens)
