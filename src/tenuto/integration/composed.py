"""A composition as one file: which techniques, with which settings, at which steps and blocks."""

from dataclasses import dataclass, fields
from typing import Any

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.algorithms.reduction import Reduction
from tenuto.algorithms.schedule import Table
from tenuto.config import from_dict
from tenuto.errors import CalibrationError
from tenuto.integration.calibration import Calibration, load_calibration
from tenuto.integration.composition import (
    Composition,
    Technique,
    TokenReduction,
    composition_of,
)

_CLASSES: dict[str, type[Any]] = {
    "dito": DiTo,
    "orbis": ORBIS,
    "ffn-reuse": FFNReuse,
    "eager": EagerPrediction,
}
"""Techniques that a composition may hold, by the names that specs use."""

TechniqueSettings = dict[str, dict[str, Any]]
"""Fields of each technique of a composition, by its name, as plain values of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A whole composition that `tenuto calibrate --method composed` found and saved.

    Attributes:
        schedule: Name or path of its file, which says every technique, its settings, and which
            steps are dense, partial or predicted. It is for one model, scheduler and number of
            steps.
    """

    schedule: str


def settings_of(*techniques: Technique) -> TechniqueSettings:
    """Return the settings of techniques as a composition's file holds them.

    The schedule of a `DiTo` stays out: its steps are the file's own.
    """
    names = {technique_class: name for name, technique_class in _CLASSES.items()}
    return {
        names[type(technique)]: {
            field.name: getattr(technique, field.name)
            for field in fields(technique)
            if field.name != "schedule"
        }
        for technique in techniques
    }


def techniques_of(calibration: Calibration, name_or_path: str) -> tuple[Technique, ...]:
    """Return the techniques of a composition.

    Args:
        calibration: Its file, loaded.
        name_or_path: Where from; becomes the schedule of its `DiTo`.

    Raises:
        CalibrationError: The file is no composition, or a setting in it is not valid.
    """
    if calibration.techniques is None:
        raise CalibrationError(
            f"`schedule` of Composed must be a composition, got the calibration {name_or_path!r}: "
            "use tenuto.DiTo(schedule=...)"
        )
    unknown = sorted(set(calibration.techniques) - set(_CLASSES))
    if unknown:
        raise CalibrationError(
            f"the techniques of {name_or_path} must be some of {sorted(_CLASSES)}, got {unknown}"
        )
    found = []
    for name, values in calibration.techniques.items():
        values = {**values, "schedule": name_or_path} if name == "dito" else values  # noqa: PLW2901
        try:
            found.append(from_dict(_CLASSES[name], values, name))
        except (ValueError, TypeError) as error:
            raise CalibrationError(f"{name_or_path}: {error}") from None
    return tuple(found)


def together(techniques: tuple[Technique | Composed, ...]) -> Composition | None:
    """Return one technique of each kind, None for a `Composed`, whose file says which; reads none.

    Raises:
        TypeError, ValueError: As `resolved`.
    """
    plain = tuple(t for t in techniques if not isinstance(t, Composed))
    if len(plain) == len(techniques):
        return composition_of(plain)
    if len(techniques) > 1:
        raise ValueError(
            "`techniques` must be a Composed alone, which is a whole composition, got "
            f"{[type(technique).__name__ for technique in techniques]}"
        )
    return None


def resolved(
    techniques: tuple[Technique | Composed, ...],
) -> tuple[Composition, Calibration | None]:
    """Return one technique of each kind, and the calibration that decides on steps, if any.

    Raises:
        CalibrationError: A named file does not exist or is of another kind.
        TypeError: Something else than a technique is given.
        ValueError: None or two of a kind are given, or something beside a `Composed`.
    """
    composition = together(techniques)
    if composition is None:
        (composed,) = techniques
        assert isinstance(composed, Composed)
        calibration = load_calibration(composed.schedule)
        return composition_of(techniques_of(calibration, composed.schedule)), calibration
    reduction = composition.token_reduction
    return composition, None if reduction is None else _calibration_of(reduction)


def reduction_of(technique: TokenReduction, calibration: Calibration | None) -> Reduction:
    """Return what the engine does under a technique and the calibration of its steps, if any.

    A composition says the ratio of every step; other calibrations say which steps are dense, and
    the technique what happens at the others.
    """
    if not isinstance(technique, DiTo) or calibration is None:
        return technique.reduction()
    ratios = calibration.ratios
    if calibration.techniques is None:
        ratios = tuple(technique.ratio if ratio else 0.0 for ratio in ratios)
    return technique.reduction(Table(ratios), calibration.forecast_weights)


def _calibration_of(technique: TokenReduction) -> Calibration | None:
    """Load the calibration that a technique names, None where it names none."""
    if not isinstance(technique, DiTo) or not isinstance(technique.schedule, str):
        return None
    calibration = load_calibration(technique.schedule)
    if calibration.techniques is not None:
        raise CalibrationError(
            f"`schedule` must be a calibration of steps, got the composition "
            f"{technique.schedule!r}: use tenuto.Composed(schedule=...)"
        )
    return calibration
