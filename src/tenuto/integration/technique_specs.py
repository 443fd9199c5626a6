"""Techniques from one line of text, such as ``dito:ratio=0.5,interval=3+ffn-reuse``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tenuto import baselines
from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.config import coerce, parse_spec, split_specs
from tenuto.integration.composed import Composed
from tenuto.integration.composition import Technique


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What can be said of a cache in somebody's style; the rest is the style's own."""

    ratio: float | None = None
    interval: int | None = None


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes a technique from textual values, as `tenuto.config.parse_spec` returns them.

    Attributes:
        name: In specs; prefixes every error.
        settings: Dataclass of what can be said.
        make: From an instance of it to the technique.
    """

    name: str
    settings: type[Any]
    make: Callable[[Any], Technique | Composed]

    def __call__(self, texts: Mapping[str, str]) -> Technique | Composed:
        """Make the technique.

        Raises:
            ValueError: A key is unknown, or a value is not valid.
        """
        return self.make(coerce(self.settings, texts, self.name))

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of what can be said."""
        return tuple(field.name for field in fields(self.settings))


def techniques_of(spec: str) -> tuple[Technique | Composed, ...]:
    """Make the techniques of a spec.

    Args:
        spec: ``name:key=value,key=value``, several of them joined by ``+``; keys are the fields of
            the technique, items of a tuple are joined by ``+`` too.

    Raises:
        ValueError: A name is unknown, or a setting is.

    >>> techniques_of("dito:ratio=0.5,interval=3+ffn-reuse")[0].interval
    3
    """
    return tuple(_technique(part) for part in split_specs(spec, tuple(MAKERS)))


def _technique(spec: str) -> Technique | Composed:
    name, texts = parse_spec(spec)
    if name not in MAKERS:
        raise ValueError(f"`technique` must be one of {sorted(MAKERS)}, got {name!r}")
    return MAKERS[name](texts)


def _of(technique: type[Any], name: str) -> Maker:
    """Return the maker of a technique by its own fields."""
    return Maker(name, technique, lambda made: made)


def _fixed(make: Callable[[], Technique], name: str) -> Maker:
    """Return the maker of a setting that takes no values."""
    return Maker(name, _Nothing, lambda _: make())


def _style(preset: Callable[..., DiTo], name: str) -> Maker:
    """Return the maker of our reading of a published cache."""

    def make(style: _Style) -> Technique:
        given = {f.name: getattr(style, f.name) for f in fields(style)}
        return preset(**{key: value for key, value in given.items() if value is not None})

    return Maker(name, _Style, make)


OURS: dict[str, Maker] = {
    "dito": _of(DiTo, "dito"),
    "dito-paper": _fixed(DiTo.paper, "dito-paper"),
    "composed": _of(Composed, "composed"),
    "eager": _of(EagerPrediction, "eager"),
    "orbis": _of(ORBIS, "orbis"),
    "orbis-paper": _fixed(ORBIS.paper, "orbis-paper"),
    "ffn-reuse": _of(FFNReuse, "ffn-reuse"),
}
"""Techniques of ours by the names that specs use."""

PUBLISHED: dict[str, Maker] = {
    "tomesd": _of(baselines.ToMeSD, "tomesd"),
    "tofu": _of(baselines.ToFu, "tofu"),
    "sito": _of(baselines.SiTo, "sito"),
    "toma": _of(baselines.ToMA, "toma"),
    "asymrnr": _of(baselines.AsymRnR, "asymrnr"),
    "toca-style": _style(baselines.toca_style, "toca-style"),
    "duca-style": _style(baselines.duca_style, "duca-style"),
    "resca-style": _style(baselines.resca_style, "resca-style"),
    "clusca-style": _style(baselines.clusca_style, "clusca-style"),
}
"""Other people's, through the same engine."""

MAKERS: dict[str, Maker] = {**OURS, **PUBLISHED}
