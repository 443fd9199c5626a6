"""Everything that can be compared, behind one line each: ours, peers, controls.

A contender is put on a pipeline for as long as its context lasts and leaves nothing behind.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from typing import Any, Literal

from tenuto.config import coerce, parse_spec, split_specs
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.peers import (
    CacheDit,
    FirstBlockCache,
    MagCache,
    PyramidAttentionBroadcast,
    TaylorSeer,
    nothing_counted,
)
from tenuto.integration.accelerate import accelerate
from tenuto.integration.composed import Composed, resolved
from tenuto.integration.composition import Technique
from tenuto.integration.stats import Stats
from tenuto.integration.technique_specs import OURS, PUBLISHED, Maker

_LONGEST_SLUG = 120

Kind = Literal["off", "control", "peer", "tenuto"]
StatsOf = Callable[[], Stats | None]
"""What a contender counted so far; None for one that counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One row of a comparison.

    Attributes:
        spec: The line it was made from; names the row.
        kind: The untouched pipeline again, a control, somebody else's method, or ours.
        params: Its settings as plain values.
        num_steps: Denoising steps, where they differ from the reference's.
        applied: Puts it on a pipeline.
        prepare: What it has to measure once before it can be applied; None for nothing.
        techniques: What `accelerate` gets; empty for controls and others' own code.
    """

    spec: str
    kind: Kind
    params: dict[str, Any] = field(default_factory=dict)
    num_steps: int | None = None
    applied: Callable[[Any], AbstractContextManager[StatsOf]]
    prepare: Callable[[Workload], None] | None = None
    techniques: tuple[Technique | Composed, ...] = ()

    @property
    def slug(self) -> str:
        """The spec as a file name: plain letters, and no longer than file systems allow."""
        slug = re.sub(r"[^A-Za-z0-9.-]", "_", self.spec)
        if len(slug) <= _LONGEST_SLUG:
            return slug
        return f"{slug[:_LONGEST_SLUG]}-{sha256(self.spec.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _FewerSteps:
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, got {self.steps!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    pass


def contender(spec: str) -> Contender:
    """Make a contender from its one-line spec; techniques of ours are joined by ``+``.

    Fewer steps may be joined once: the techniques then work on a run of so many steps.

    >>> contender("dito:ratio=0.5,interval=3").kind
    'tenuto'
    >>> contender("fewer-steps:20+dito").num_steps
    20

    Raises:
        ValueError: The name is unknown, or its settings are.
    """
    parts = [_single(part) for part in split_specs(spec, tuple(_MAKERS))]
    if len(parts) == 1:
        return parts[0]
    fewer = [part for part in parts if part.num_steps is not None]
    for part in parts:
        if not part.techniques and part not in fewer[:1]:
            raise ValueError(
                f"`+` must join techniques of tenuto, and fewer-steps once, got {part.spec!r} in "
                f"{spec!r}"
            )
    params = {part.spec.partition(":")[0]: part.params for part in parts}
    joined = _ours(spec, tuple(t for part in parts for t in part.techniques), params, "tenuto")
    return replace(joined, num_steps=fewer[0].num_steps) if fewer else joined


def _single(spec: str) -> Contender:
    name, texts = parse_spec(spec)
    if name not in _MAKERS:
        raise ValueError(f"`technique` must be one of {sorted(_MAKERS)}, got {name!r}")
    return _MAKERS[name](spec, texts)


def _ours(
    spec: str, techniques: tuple[Technique | Composed, ...], params: dict[str, Any], kind: Kind
) -> Contender:
    @contextmanager
    def applied(pipe: Any) -> Iterator[StatsOf]:
        with accelerate(pipe, *techniques) as handle:
            yield handle.stats

    resolved(techniques)  # refuses at once what cannot go together
    return Contender(spec=spec, kind=kind, params=params, applied=applied, techniques=techniques)


def _fewer_steps(spec: str, texts: dict[str, str]) -> Contender:
    settings = coerce(_FewerSteps, texts, "fewer-steps")
    return Contender(
        spec=spec,
        kind="control",
        params=_params(settings),
        num_steps=settings.steps,
        applied=lambda pipe: nullcontext(nothing_counted),
    )


def _off(spec: str, texts: dict[str, str]) -> Contender:
    coerce(_Nothing, texts, "off")
    return Contender(spec=spec, kind="off", applied=lambda pipe: nullcontext(nothing_counted))


def _peer(settings_class: Any) -> Callable[[str, dict[str, str]], Contender]:
    """Return the maker of somebody else's cache."""

    def make(spec: str, texts: dict[str, str]) -> Contender:
        settings = coerce(settings_class, texts, spec.partition(":")[0])
        params = {k: v for k, v in _params(settings).items() if not k.startswith("_")}
        return Contender(
            spec=spec,
            kind="peer",
            params=params,
            applied=settings.applied,
            prepare=getattr(settings, "prepare", None),
        )

    return make


def _technique(make: Maker, kind: Kind) -> Callable[[str, dict[str, str]], Contender]:
    """Return the maker of a technique of `accelerate`."""

    def made(spec: str, texts: dict[str, str]) -> Contender:
        technique = make(texts)
        return _ours(spec, (technique,), _params(technique), kind)

    return made


def _params(settings: Any) -> dict[str, Any]:
    return {f.name: getattr(settings, f.name) for f in fields(settings)}


_MAKERS: dict[str, Callable[[str, dict[str, str]], Contender]] = {
    "off": _off,
    "fewer-steps": _fewer_steps,
    **{name: _technique(make, "tenuto") for name, make in OURS.items()},
    **{name: _technique(make, "peer") for name, make in PUBLISHED.items()},
    "taylorseer": _peer(TaylorSeer),
    "fbc": _peer(FirstBlockCache),
    "magcache": _peer(MagCache),
    "pab": _peer(PyramidAttentionBroadcast),
    "cache-dit": _peer(CacheDit),
}
