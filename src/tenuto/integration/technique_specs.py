"""Techniques from one line of text, such as ``dito:ratio=0.5,interval=3+ffn-reuse``."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from tenuto import baselines
from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.config import coerce, parse_spec, split_specs
from tenuto.integration.composition import Technique

Maker = Callable[[dict[str, str]], Technique]
"""From textual values, as `tenuto.config.parse_spec` returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What can be said of a cache in somebody's style; the rest is the style's own."""

    ratio: float | None = None
    interval: int | None = None


def techniques_of(spec: str) -> tuple[Technique, ...]:
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


def _technique(spec: str) -> Technique:
    name, texts = parse_spec(spec)
    if name not in MAKERS:
        raise ValueError(f"`technique` must be one of {sorted(MAKERS)}, got {name!r}")
    return MAKERS[name](texts)


def _of(technique: Any, name: str) -> Maker:
    """Return the maker of a technique by its fields."""
    return lambda texts: coerce(technique, texts, name)


def _fixed(make: Callable[[], Technique], name: str) -> Maker:
    """Return the maker of a setting that takes no values."""

    def made(texts: dict[str, str]) -> Technique:
        coerce(_Nothing, texts, name)
        return make()

    return made


def _style(preset: Callable[..., DiTo], name: str) -> Maker:
    """Return the maker of our reading of a published cache."""

    def made(texts: dict[str, str]) -> Technique:
        style = coerce(_Style, texts, name)
        given = {f.name: getattr(style, f.name) for f in fields(style)}
        return preset(**{key: value for key, value in given.items() if value is not None})

    return made


OURS: dict[str, Maker] = {
    "dito": _of(DiTo, "dito"),
    "dito-paper": _fixed(DiTo.paper, "dito-paper"),
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
