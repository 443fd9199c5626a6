"""Small trained diffusion transformers that ship with the package.

    pipe = tenuto.zoo.load("emoji-video")
    frames = pipe("a heart moves left over the sky", **call_arguments("emoji-video")).frames

The names below load on first use: importing this package needs neither torch nor diffusers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tenuto.errors import MissingExtraError

if TYPE_CHECKING:
    from tenuto.zoo.captions import prompts
    from tenuto.zoo.pipelines import call_arguments, load
    from tenuto.zoo.pixels import PixelAutoencoder
    from tenuto.zoo.schedulers import scheduler
    from tenuto.zoo.split_encoders import PooledWordEncoder, TailWordEncoder
    from tenuto.zoo.text_encoder import WordEncoder
    from tenuto.zoo.tokenizer import WordTokenizer
    from tenuto.zoo.verdict import Verdict, judge

__all__ = [
    "PixelAutoencoder",
    "PooledWordEncoder",
    "TailWordEncoder",
    "Verdict",
    "WordEncoder",
    "WordTokenizer",
    "call_arguments",
    "judge",
    "load",
    "prompts",
    "scheduler",
]

_MODULE_OF_NAME = {
    "PixelAutoencoder": "pixels",
    "PooledWordEncoder": "split_encoders",
    "TailWordEncoder": "split_encoders",
    "Verdict": "verdict",
    "WordEncoder": "text_encoder",
    "WordTokenizer": "tokenizer",
    "call_arguments": "pipelines",
    "judge": "verdict",
    "load": "pipelines",
    "prompts": "captions",
    "scheduler": "schedulers",
    # Not ours: diffusers looks for a saved component's base class beside the component.
    "ModelMixin": "pixels",
    "PreTrainedTokenizer": "tokenizer",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562) and keep it."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'tenuto.zoo' has no attribute {name!r}")
    try:
        module = import_module(f"tenuto.zoo.{_MODULE_OF_NAME[name]}")
    except ModuleNotFoundError as error:
        if error.name not in ("diffusers", "transformers"):
            raise
        raise MissingExtraError(
            f"tenuto.zoo.{name} needs {error.name}: pip install 'tenuto[diffusers]'"
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
