"""Fit forecast weights to recorded runs: per step and channel, by least squares.

Taylor weights know only how far apart the steps are. What a model's outputs do between two steps
also depends on where in the denoising they are and differs from channel to channel, but hardly
from caption to caption: so weights fitted on a few runs forecast other runs better.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float

_RIDGE = 1e-4
"""Relative to the mean energy of the remembered outputs; keeps nearly equal ones apart."""


def channel_gram(
    outputs: Float[Tensor, "steps rows channels"],
) -> Float[Tensor, "channels steps steps"]:
    """Return each channel's inner products between steps; those of several runs add up.

    All that `fit_forecast` needs of a run: (steps^2 * channels) numbers, however many tokens.
    """
    by_channel = outputs.movedim(-1, 0).double()
    return by_channel @ by_channel.mT


def fit_forecast(
    gram: Float[Tensor, "channels steps steps"], target: int, sources: Sequence[int]
) -> Float[Tensor, "taps channels"]:
    """Return the weights that forecast the step `target` from the steps `sources`.

    Ridge regression for each channel towards holding the newest source, so that channels without
    signal hold.

    Args:
        gram: As `channel_gram`.
        target: Step to forecast.
        sources: Steps remembered, newest first.

    Returns:
        One row a source, float32.

    Source: ours.

    >>> line = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1).expand(3, 4, 2)
    >>> fit_forecast(channel_gram(line), 2, [1]).round(decimals=3).tolist()
    [[1.5, 1.5]]
    """
    index = torch.tensor(list(sources))
    inner = gram[:, index][:, :, index]  # (channels, taps, taps)
    wanted = gram[:, index, target]  # (channels, taps)
    hold = torch.zeros_like(wanted)
    hold[:, 0] = 1.0
    energy = inner.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(1e-12)
    # The differences between remembered outputs are what the weights act on: scale by them.
    change = (inner[:, 0, 0] - 2 * wanted[:, 0] + gram[:, target, target]).clamp_min(0)
    ridge = (_RIDGE * torch.minimum(energy, change + 1e-6 * energy))[:, None, None]
    eye = torch.eye(len(index), dtype=inner.dtype)
    solution = torch.linalg.solve(inner + ridge * eye, (wanted + ridge[:, 0] * hold)[..., None])
    return solution[..., 0].T.float().contiguous()


def sources_of(is_dense: Sequence[bool], step: int, taps: int) -> list[int]:
    """Return the last dense steps before `step`, newest first.

    >>> sources_of([True, True, False, True, False], 4, 2)
    [3, 1]
    """
    return [k for k in range(step - 1, -1, -1) if is_dense[k]][:taps]


def fit_schedule(
    gram: Float[Tensor, "channels steps steps"], is_dense: Sequence[bool], taps: int
) -> Float[Tensor, "steps taps channels"]:
    """Return the weights of every predicted step of a schedule; rows of dense steps are zero.

    Raises:
        ValueError: The first step is not dense, or the schedule has other steps than `gram`.
    """
    if len(is_dense) != gram.shape[1] or not is_dense[0]:
        raise ValueError(
            f"`is_dense` must begin with a dense step and have {gram.shape[1]} steps, got "
            f"{list(is_dense)!r}"
        )
    weights = torch.zeros(len(is_dense), taps, gram.shape[0])
    for step, dense in enumerate(is_dense):
        if not dense:
            sources = sources_of(is_dense, step, taps)
            weights[step, : len(sources)] = fit_forecast(gram, step, sources)
    return weights
