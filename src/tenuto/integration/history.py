"""What a place in the model put out at its last dense steps."""

from collections.abc import Iterator, Sequence
from typing import Literal

from torch import Tensor

from tenuto.algorithms.forecast import (
    NUM_OUTPUTS,
    Predictor,
    QuantizedRows,
    taylor_weights,
    weighted_sum,
)

_ORDER: dict[str, int] = {"hold": 0, "linear": 1, "quadratic": 2}


class History:
    """The last few dense outputs of one place and one guidance branch, newest first.

    An output is a tuple of tensors: the image stream, and the text stream where there is one.
    """

    def __init__(self, predict: Predictor, bits: Literal[8] | None, fitted: Tensor | None) -> None:
        """Remember as many outputs as the predictor uses, in their own dtype or as int8.

        Args:
            predict: How `forecast` weighs them.
            bits: None or 8.
            fitted: (steps, outputs, channels) weights for the predictor ``fitted``.
        """
        self._predict = predict
        self._bits = bits
        self._fitted = fitted
        self._steps: list[int] = []
        self._outputs: list[tuple[Tensor | QuantizedRows, ...]] = []

    def push(self, step_index: int, outputs: tuple[Tensor, ...]) -> None:
        """Remember what a dense step put out; the oldest makes room."""
        kept = tuple(QuantizedRows.quantize(o) if self._bits == 8 else _own(o) for o in outputs)
        length = NUM_OUTPUTS[self._predict]
        self._steps = [step_index, *self._steps][:length]
        self._outputs = [kept, *self._outputs][:length]

    @property
    def is_empty(self) -> bool:
        """Nothing to forecast from."""
        return not self._steps

    @property
    def num_outputs(self) -> int:
        """Outputs that a forecast weighs at present."""
        return len(self._steps)

    def latest(self) -> tuple[Tensor, ...]:
        """Return the newest remembered outputs."""
        return tuple(_dense(o) for o in self._outputs[0])

    def forecast(self, step_index: int) -> tuple[Tensor, ...]:
        """Return the outputs expected at a step; do not write to them."""
        if self._predict == "fitted":
            assert self._fitted is not None
            image = self._fitted[step_index][: len(self._steps)]
            weights = [image if index == 0 else self._taylor(step_index, 1) for index in range(2)]
        else:
            weights = [self._taylor(step_index, _ORDER[self._predict])] * 2
        streams = zip(*self._outputs, strict=True)
        return tuple(
            _weighted([_dense(o) for o in stream], weight)
            for stream, weight in zip(streams, weights, strict=False)
        )

    def _taylor(self, step_index: int, order: int) -> tuple[float, ...]:
        return taylor_weights([float(s) for s in self._steps], float(step_index), order)

    def tensors(self) -> Iterator[Tensor]:
        """Go through everything remembered."""
        for outputs in self._outputs:
            for output in outputs:
                yield from (
                    (output.values, output.scales)
                    if isinstance(output, QuantizedRows)
                    else (output,)
                )


def _own(output: Tensor) -> Tensor:
    """Return an output without what else its storage holds, such as another stream's rows."""
    output = output.detach()
    return output if output.untyped_storage().nbytes() == output.nbytes else output.clone()


def _dense(output: Tensor | QuantizedRows) -> Tensor:
    return output.dequantize() if isinstance(output, QuantizedRows) else output


def _weighted(outputs: list[Tensor], weights: Sequence[float] | Tensor) -> Tensor:
    """Return the weighted sum in the outputs' own dtype and on their device."""
    if isinstance(weights, Tensor):
        weights = weights.to(outputs[0])
    return weighted_sum(outputs, weights)
