"""Which techniques a transformer takes.

It is built without weights, and asked what `tenuto.accelerate` asks before anything is hooked.
"""

from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import nn

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.doctor.model_folder import Denoiser
from tenuto.errors import MissingExtraError, TenutoError, UnsupportedModelError
from tenuto.integration.accelerate import check_fit, settings_of
from tenuto.integration.composed import resolved
from tenuto.integration.composition import Technique
from tenuto.integration.families import FAMILIES, family_of
from tenuto.integration.family_table import attention_of, feed_forward_of

_TOGETHER = (
    (DiTo(), FFNReuse(interval=4)),
    (DiTo(), EagerPrediction()),
    (FFNReuse(), EagerPrediction()),
    (DiTo(), FFNReuse(interval=4), EagerPrediction()),
)
"""One technique of each kind at a time, at settings that leave one another something to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether one technique, or several together, would be accepted.

    Attributes:
        techniques: Names of the classes, joined by " + "; settings are the defaults, with
            ``interval=4`` for FFNReuse beside a token reduction.
        refused: Why not, in the words of the error; None where it would be accepted.
    """

    techniques: str
    refused: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What tenuto can do with one transformer of a folder.

    Attributes:
        place: Its attribute on the pipeline.
        class_name: Its class.
        refused: Why it cannot be accelerated at all, None where it can.
        num_blocks: Its transformer blocks.
        reduced: What is reduced in each kind of block.
        answers: Each technique alone, then together.
        limits: What is known not to work, or not to have been tried.
    """

    place: str
    class_name: str
    refused: str | None = None
    num_blocks: int = 0
    reduced: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    limits: tuple[str, ...] = ()


def support_of(denoiser: Denoiser) -> Support:
    """Ask for one transformer of a folder; its weights are not read.

    Raises:
        MissingExtraError: diffusers is not installed.
    """
    try:
        model = weightless(denoiser)
        family = family_of(model)
    except UnsupportedModelError as error:
        return Support(place=denoiser.place, class_name=denoiser.class_name, refused=str(error))
    quantized = ("quantised layers are untested",) if denoiser.is_quantized else ()
    alone = [(technique(),) for technique in get_args(Technique)]
    return Support(
        place=denoiser.place,
        class_name=denoiser.class_name,
        num_blocks=len(family.blocks_of(model)),
        reduced=tuple(
            f"{row.blocks}: {attention_of(row)}; {feed_forward_of(row)}".replace("`", "")
            for row in family.blocks
        ),
        answers=tuple(_answer(model, techniques) for techniques in (*alone, *_TOGETHER)),
        limits=(*family.limits, *quantized),
    )


def weightless(denoiser: Denoiser) -> nn.Module:
    """Build a supported transformer on the meta device, from its configuration.

    Raises:
        MissingExtraError: diffusers is not installed.
        UnsupportedModelError: The class is not in the table of families, is not known to the
            installed diffusers, or does not take the configuration.
    """
    if denoiser.class_name not in FAMILIES:  # first: no other class of the folder is ever built
        raise UnsupportedModelError(
            f"`{denoiser.place}` must be one of {sorted(FAMILIES)}, got {denoiser.class_name}"
        )
    try:
        import diffusers
    except ModuleNotFoundError:
        raise MissingExtraError(
            "`tenuto doctor MODEL` needs diffusers: pip install 'tenuto[diffusers]'"
        ) from None
    model_class: Any = getattr(diffusers, denoiser.class_name, None)
    if model_class is None:
        raise UnsupportedModelError(
            f"`{denoiser.place}` must be a class of the installed diffusers "
            f"{diffusers.__version__}, got {denoiser.class_name}"
        )
    config = {k: v for k, v in denoiser.config.items() if k != "quantization_config"}
    try:
        with torch.device("meta"):
            return model_class.from_config(config)
    except Exception as error:  # whatever a foreign constructor makes of a foreign file
        raise UnsupportedModelError(
            f"`{denoiser.place}` must have a configuration that {denoiser.class_name} takes, got "
            f"one that fails with {type(error).__name__}: {error}"
        ) from None


def _answer(model: nn.Module, techniques: tuple[Technique, ...]) -> Answer:
    names = " + ".join(type(technique).__name__ for technique in techniques)
    try:
        composition, calibration = resolved(techniques)
        check_fit(model, family_of(model), settings_of(composition, calibration))
    except (TenutoError, ValueError) as error:
        return Answer(techniques=names, refused=str(error))
    return Answer(techniques=names, refused=None)
