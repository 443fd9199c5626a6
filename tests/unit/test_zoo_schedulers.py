"""The schedulers integrate a model that predicts the clean sample."""

import pytest
import torch

from tenuto.zoo import scheduler

# diffusers 0.42.1 turns a tensor into an array in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ("dpm2m", "euler", "unipc")


def integrate(name: str, num_steps: int, clean_of) -> torch.Tensor:
    """Denoise from ones with a model that is a function of (noisy, sigma)."""
    made = scheduler(name)
    made.set_timesteps(num_steps)
    noisy = torch.ones(1, 1, 2, 2)
    for index, timestep in enumerate(made.timesteps):
        noisy = made.step(clean_of(noisy, made.sigmas[index]), timestep, noisy)[0]
    return noisy


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_is_reached_exactly(name: str) -> None:
    reached = integrate(name, 5, lambda noisy, sigma: torch.full_like(noisy, 0.25))

    torch.testing.assert_close(reached, torch.full((1, 1, 2, 2), 0.25))


def test_the_first_order_scheduler_takes_eulers_steps() -> None:
    def clean_of(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return 0.3 * noisy.sin() + sigma

    made = scheduler("euler")
    made.set_timesteps(7)
    expected = torch.ones(1, 1, 2, 2)
    for sigma, following in zip(made.sigmas, made.sigmas[1:], strict=False):
        velocity = (expected - clean_of(expected, sigma)) / sigma
        expected = expected + (following - sigma) * velocity

    torch.testing.assert_close(integrate("euler", 7, clean_of), expected)


@pytest.mark.parametrize(
    ("name", "has_memory"), [("dpm2m", True), ("euler", False), ("unipc", True)]
)
def test_only_euler_forgets_the_prediction_before(name: str, has_memory: bool) -> None:
    def second_step(first_prediction: float) -> torch.Tensor:
        made = scheduler(name)
        made.set_timesteps(4)
        noisy = torch.ones(1, 1, 2, 2)
        made.step(torch.full_like(noisy, first_prediction), made.timesteps[0], noisy)
        return made.step(torch.zeros_like(noisy), made.timesteps[1], noisy)[0]

    assert (not torch.equal(second_step(0.0), second_step(1.0))) == has_memory


@pytest.mark.parametrize("name", NAMES)
def test_noise_levels_start_near_one_and_are_shifted_by_two(name: str) -> None:
    made = scheduler(name)
    made.set_timesteps(4)

    # 2 s / (1 + s) at s = 1, 3/4, 1/2, 1/4; the solvers leave out up to a 1000th at one end.
    expected = torch.tensor([1.0, 6 / 7, 2 / 3, 2 / 5, 0.0])
    torch.testing.assert_close(made.sigmas, expected, atol=1.5e-3, rtol=0)
    assert made.timesteps.tolist() == [int(1000 * sigma) for sigma in made.sigmas[:-1].tolist()]


def test_an_unknown_scheduler_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"`name` must be .*'dpm2m', 'euler', 'unipc'.*got 'ddim'"):
        scheduler("ddim")
