"""A stock call without a size makes the embedded model's own; any other size is itself."""

import copy

import pytest

from tenuto.zoo.native_size import NativeFactor, native_factors


def stock_call(prompt=None, height=480, width=832, num_frames=81):
    """Stand for a pipeline's ``__call__``."""


SPATIAL, TEMPORAL = native_factors(stock_call, frames=16, height=64, width=32)


def latent_frames(num_frames: int) -> int:
    """Do what `WanPipeline` does to a number of frames."""
    if num_frames % TEMPORAL != 1:
        num_frames = num_frames // TEMPORAL * TEMPORAL + 1
    return (num_frames - 1) // TEMPORAL + 1


def test_the_default_size_becomes_the_native_one() -> None:
    assert (480 // SPATIAL, 832 // SPATIAL, latent_frames(81)) == (64, 32, 16)


@pytest.mark.parametrize("size", [16, 64, 96])
def test_another_height_or_width_is_itself(size: int) -> None:
    assert size // SPATIAL == size


@pytest.mark.parametrize("num_frames", [1, 2, 15, 16, 24, 80])
def test_another_number_of_frames_is_itself(num_frames: int) -> None:
    assert latent_frames(num_frames) == num_frames


def test_a_factor_is_one_in_every_other_sum() -> None:
    assert SPATIAL == TEMPORAL == 1
    assert SPATIAL * 8 == 8
    assert 480 // (SPATIAL * 8) * (SPATIAL * 8) == 480


def test_a_copy_of_a_factor_knows_the_native_size() -> None:
    copied = copy.deepcopy(SPATIAL)

    assert isinstance(copied, NativeFactor)
    assert 480 // copied == 64
