"""Fitted forecasts: least squares against NumPy's, and what they must never get wrong."""

import numpy as np
import pytest
import torch

from tenuto.algorithms.forecast_fit import (
    channel_gram,
    fit_forecast,
    fit_schedule,
    sources_of,
)


def test_fitted_weights_are_each_channels_least_squares_solution():
    outputs = torch.randn(6, 50, 3, generator=torch.Generator().manual_seed(0)).cumsum(0)

    weights = fit_forecast(channel_gram(outputs), 5, [4, 2, 1])

    for channel in range(3):
        sources = outputs[[4, 2, 1], :, channel].T.double().numpy()
        expected, *_ = np.linalg.lstsq(sources, outputs[5, :, channel].double().numpy(), rcond=None)
        np.testing.assert_allclose(weights[:, channel].numpy(), expected, atol=2e-3)


def test_grams_of_several_runs_add_up_to_the_gram_of_all_rows():
    runs = torch.randn(2, 4, 10, 3, generator=torch.Generator().manual_seed(1))
    together = torch.cat([runs[0], runs[1]], 1)

    gram = channel_gram(runs[0]) + channel_gram(runs[1])

    torch.testing.assert_close(gram, channel_gram(together))


def test_a_channel_without_signal_holds_its_last_value():
    outputs = torch.zeros(4, 8, 1)

    weights = fit_forecast(channel_gram(outputs), 3, [2, 1, 0])

    assert weights[:, 0].tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_a_fitted_forecast_beats_holding_on_runs_that_curve():
    steps = torch.arange(8.0)[:, None, None]
    rows = torch.randn(1, 200, 4, generator=torch.Generator().manual_seed(2))
    curve = rows * (0.1 * steps) ** 2
    seen, unseen = curve[:, :100], curve[:, 100:]

    weights = fit_forecast(channel_gram(seen), 7, [6, 5, 4])
    forecast = sum(w * unseen[k] for w, k in zip(weights, (6, 5, 4), strict=True))

    assert (forecast - unseen[7]).norm() < 0.05 * (unseen[6] - unseen[7]).norm()


def test_a_schedules_weights_are_zero_where_it_is_dense():
    gram = channel_gram(torch.randn(5, 20, 2, generator=torch.Generator().manual_seed(3)))

    weights = fit_schedule(gram, [True, True, False, True, False], 2)

    assert weights.shape == (5, 2, 2)
    assert not weights[[0, 1, 3]].any()
    assert weights[2].any() and weights[4].any()


def test_sources_are_the_last_dense_steps_newest_first():
    is_dense = [True, False, True, True, False]

    assert sources_of(is_dense, 4, 2) == [3, 2]
    assert sources_of(is_dense, 1, 3) == [0]


def test_a_schedule_that_does_not_begin_dense_is_refused():
    gram = channel_gram(torch.ones(3, 4, 1))

    with pytest.raises(ValueError, match="must begin with a dense step and have 3 steps"):
        fit_schedule(gram, [False, True, True], 2)
