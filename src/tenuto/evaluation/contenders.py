"""Everything that can be compared, behind one line each: ours, peers, controls.

A contender is put on a pipeline for as long as its context lasts and leaves nothing behind.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.schedule import Schedule
from tenuto.algorithms.tomesd import ToMeSD
from tenuto.config import coerce, parse_spec
from tenuto.errors import MissingExtraError, UnsupportedModelError
from tenuto.integration.accelerate import (
    Technique,
    accelerate,
    calibration_of,
    reduction_of,
)
from tenuto.integration.stats import Stats

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
        schedule: Share not computed by step and block; ours only.
    """

    spec: str
    kind: Kind
    params: dict[str, Any] = field(default_factory=dict)
    num_steps: int | None = None
    applied: Callable[[Any], AbstractContextManager[StatsOf]]
    schedule: Schedule | None = None

    @property
    def slug(self) -> str:
        """The spec as a file name."""
        return "".join(c if c.isalnum() or c in ".-_" else "_" for c in self.spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FewerSteps:
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, got {self.steps!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaylorSeer:
    """diffusers' own cache with its own default values."""

    interval: int = 5
    order: int = 1
    warmup: int = 3
    scope: Literal["attn", "blocks", "all"] = "attn"


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstBlock:
    threshold: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _CacheDit:
    """cache-dit's DBCache; Fn=1 because its default of 8 blocks is all that small models have."""

    threshold: float = 0.08
    warmup: int = 8
    taylorseer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    pass


def contender(spec: str) -> Contender:
    """Make a contender from its one-line spec.

    >>> contender("dito:ratio=0.5,interval=3").kind
    'tenuto'
    >>> contender("fewer-steps:20").num_steps
    20

    Raises:
        ValueError: The name is unknown, or its settings are.
    """
    name, texts = parse_spec(spec)
    if name not in _MAKERS:
        raise ValueError(f"`technique` must be one of {sorted(_MAKERS)}, got {name!r}")
    return _MAKERS[name](spec, texts)


def _technique(spec: str, technique: Technique, kind: Kind) -> Contender:
    @contextmanager
    def applied(pipe: Any) -> Iterator[StatsOf]:
        with accelerate(pipe, technique) as handle:
            yield handle.stats

    schedule = reduction_of(technique, calibration_of(technique)).schedule
    return Contender(
        spec=spec, kind=kind, params=_params(technique), applied=applied, schedule=schedule
    )


def _fewer_steps(spec: str, texts: dict[str, str]) -> Contender:
    settings = coerce(_FewerSteps, texts, "fewer-steps")
    return Contender(
        spec=spec,
        kind="control",
        params=_params(settings),
        num_steps=settings.steps,
        applied=lambda pipe: nullcontext(_uncounted),
    )


def _off(spec: str, texts: dict[str, str]) -> Contender:
    coerce(_Nothing, texts, "off")
    return Contender(spec=spec, kind="off", applied=lambda pipe: nullcontext(_uncounted))


def _paper(spec: str, texts: dict[str, str]) -> Contender:
    coerce(_Nothing, texts, "dito-paper")
    return _technique(spec, DiTo.paper(), "tenuto")


def _taylorseer(spec: str, texts: dict[str, str]) -> Contender:
    settings = coerce(_TaylorSeer, texts, "taylorseer")
    patterns = {
        "attn": [r"(transformer_)?blocks\.\d+\.attn1?"],
        "blocks": [r"(transformer_)?blocks\.\d+\.(attn\d?|ffn?)"],
        "all": None,
    }

    @contextmanager
    def applied(pipe: Any) -> Iterator[StatsOf]:
        import torch
        from diffusers import TaylorSeerCacheConfig

        config = TaylorSeerCacheConfig(
            cache_interval=settings.interval,
            disable_cache_before_step=settings.warmup,
            max_order=settings.order,
            taylor_factors_dtype=torch.float32,
            cache_identifiers=patterns[settings.scope],
        )
        with _enabled(pipe, config):
            yield _uncounted

    return Contender(spec=spec, kind="peer", params=_params(settings), applied=applied)


def _first_block(spec: str, texts: dict[str, str]) -> Contender:
    settings = coerce(_FirstBlock, texts, "fbc")

    @contextmanager
    def applied(pipe: Any) -> Iterator[StatsOf]:
        from diffusers import FirstBlockCacheConfig

        with _enabled(pipe, FirstBlockCacheConfig(threshold=settings.threshold)):
            yield _uncounted

    return Contender(spec=spec, kind="peer", params=_params(settings), applied=applied)


def _cache_dit(spec: str, texts: dict[str, str]) -> Contender:
    settings = coerce(_CacheDit, texts, "cache-dit")

    @contextmanager
    def applied(pipe: Any) -> Iterator[StatsOf]:
        try:
            import cache_dit
        except ImportError:
            raise MissingExtraError(
                "cache-dit must be installed for this technique: pip install 'tenuto[bench]'"
            ) from None
        logging.getLogger("CACHE_DIT").setLevel(logging.WARNING)  # it narrates every call
        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            max_warmup_steps=settings.warmup,
            residual_diff_threshold=settings.threshold,
        )
        forecast = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=1)
        cache_dit.enable_cache(
            pipe, cache_config=config, calibrator_config=forecast if settings.taylorseer else None
        )
        try:
            yield _uncounted
        finally:
            cache_dit.disable_cache(pipe)

    return Contender(spec=spec, kind="peer", params=_params(settings), applied=applied)


@contextmanager
def _enabled(pipe: Any, config: Any) -> Iterator[None]:
    """One of diffusers' own caches, on."""
    if not hasattr(pipe.transformer, "enable_cache"):
        raise UnsupportedModelError(
            f"`technique` must be one that {type(pipe.transformer).__name__} supports: diffusers "
            "has no caches for it"
        )
    pipe.transformer.enable_cache(config)
    try:
        yield
    finally:
        pipe.transformer.disable_cache()


def _uncounted() -> None:
    return None


def _params(settings: Any) -> dict[str, Any]:
    return {f.name: getattr(settings, f.name) for f in fields(settings)}


_MAKERS: dict[str, Callable[[str, dict[str, str]], Contender]] = {
    "off": _off,
    "fewer-steps": _fewer_steps,
    "dito": lambda spec, texts: _technique(spec, coerce(DiTo, texts, "dito"), "tenuto"),
    "dito-paper": _paper,
    "tomesd": lambda spec, texts: _technique(spec, coerce(ToMeSD, texts, "tomesd"), "peer"),
    "taylorseer": _taylorseer,
    "fbc": _first_block,
    "cache-dit": _cache_dit,
}
