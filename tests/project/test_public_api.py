"""The names that code outside the repository may rely on."""

import inspect

import pytest

import tenuto
from tenuto import errors


def test_the_public_names_are_sorted_and_unique() -> None:
    assert tenuto.__all__ == sorted(set(tenuto.__all__))


def test_every_error_is_public() -> None:
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value)}

    assert len(defined) >= 9
    assert defined <= set(tenuto.__all__)


def test_every_error_is_a_tenuto_error_and_drawn_in_the_tree() -> None:
    for name, value in vars(errors).items():
        if inspect.isclass(value):
            assert issubclass(value, errors.TenutoError)
            assert f" {name} " in f"{errors.__doc__} ".replace("\n", " ")


@pytest.mark.parametrize("name", tenuto.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(tenuto, name) is not None
    assert name in dir(tenuto)


def test_an_unknown_name_is_an_attribute_error_that_says_it() -> None:
    with pytest.raises(AttributeError, match="module 'tenuto' has no attribute 'acelerate'"):
        tenuto.acelerate  # noqa: B018
