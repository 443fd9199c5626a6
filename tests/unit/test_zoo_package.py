"""What `tenuto.zoo` offers, and what asking for it costs."""

import subprocess
import sys

import pytest

import tenuto.zoo


def test_the_public_names_are_sorted_and_there() -> None:
    assert tenuto.zoo.__all__ == sorted(set(tenuto.zoo.__all__))
    assert {"call_arguments", "load", "prompts", "scheduler"} <= set(tenuto.zoo.__all__)
    for name in tenuto.zoo.__all__:
        assert getattr(tenuto.zoo, name) is not None
        assert name in dir(tenuto.zoo)


def test_an_unknown_name_is_an_attribute_error_that_says_it() -> None:
    with pytest.raises(AttributeError, match=r"module 'tenuto\.zoo' has no attribute 'laod'"):
        tenuto.zoo.laod  # noqa: B018


def run(code: str) -> str:
    """Run code in a new interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_captions_need_no_model_library() -> None:
    code = (
        "import sys, tenuto.zoo; tenuto.zoo.prompts('emoji-video')\n"
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )

    assert run(code) == "[]"


def test_loading_without_the_model_libraries_names_the_extra_to_install() -> None:
    code = (
        "import sys; sys.modules['diffusers'] = None; import tenuto.zoo\n"
        "try: tenuto.zoo.load\n"
        "except tenuto.MissingExtraError as error: print(error)"
    )

    assert run(code) == "tenuto.zoo.load needs diffusers: pip install 'tenuto[diffusers]'"
