"""Other people's caches, each put on a pipeline for as long as its context lasts."""

import ast
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, Literal

from tenuto.errors import MissingExtraError, UnsupportedModelError
from tenuto.evaluation.generation import Workload

CALIBRATION_SEED = 2_000_000
"""Of the one dense run that MagCache is calibrated on; no comparison starts from it."""


def nothing_counted() -> None:
    """Say that these contenders keep no counts of their own."""
    return None


Applied = Iterator[Callable[[], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaylorSeer:
    """diffusers' TaylorSeerCache, by default with its own default values.

    Where the pipeline gives no cache context (Stable Diffusion 3), it is hooked by hand: one
    context for the batched guidance, reset when a run begins.
    """

    interval: int = 5
    order: int = 1
    warmup: int = 3
    scope: Literal["attn", "blocks", "all"] = "attn"

    @contextmanager
    def applied(self, pipe: Any) -> Applied:
        """Cache the outputs of attentions, of all modules of the blocks, or its own choice."""
        import torch
        from diffusers import TaylorSeerCacheConfig
        from diffusers.hooks.taylorseer_cache import apply_taylorseer_cache

        patterns = {
            "attn": [r"(transformer_)?blocks\.\d+\.attn1?"],
            "blocks": [r"(transformer_)?blocks\.\d+\.(attn\d?|ffn?)"],
            "all": None,
        }
        config = TaylorSeerCacheConfig(
            cache_interval=self.interval,
            disable_cache_before_step=self.warmup,
            max_order=self.order,
            taylor_factors_dtype=torch.float32,
            cache_identifiers=patterns[self.scope],
        )
        if hasattr(pipe.transformer, "enable_cache"):
            with _enabled(pipe, config):
                yield nothing_counted
        else:
            apply_taylorseer_cache(pipe.transformer, config)
            with _one_context(pipe.transformer, "taylorseer_cache"):
                yield nothing_counted


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstBlockCache:
    """diffusers' FirstBlockCache with its own default threshold."""

    threshold: float = 0.05

    @contextmanager
    def applied(self, pipe: Any) -> Applied:
        """Skip the other blocks while the first one's residual changes little."""
        from diffusers import FirstBlockCacheConfig

        with _enabled(pipe, FirstBlockCacheConfig(threshold=self.threshold)):
            yield nothing_counted


@dataclass(frozen=True, slots=True, kw_only=True)
class MagCache:
    """diffusers' MagCache with its own default values; its ratios come from one dense run."""

    threshold: float = 0.06
    max_skip: int = 3
    retention: float = 0.2
    _ratios: dict[int, list[float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def prepare(self, work: Workload) -> None:
        """Measure the magnitude ratios on a run that no comparison uses."""
        from dataclasses import replace

        from diffusers import MagCacheConfig

        if id(work.pipe) in self._ratios:
            return
        config = MagCacheConfig(calibrate=True, num_inference_steps=work.num_steps)
        printed = io.StringIO()  # diffusers hands its ratios out on stdout alone
        with _enabled(work.pipe, config), redirect_stdout(printed):
            replace(work, seed=CALIBRATION_SEED).generate(_any_caption(work), 0)
        lists = [line for line in printed.getvalue().splitlines() if line.startswith("[1.0")]
        self._ratios[id(work.pipe)] = ast.literal_eval(lists[0])

    @contextmanager
    def applied(self, pipe: Any) -> Applied:
        """Skip all blocks while the accumulated error of the ratios is small."""
        from diffusers import MagCacheConfig

        ratios = self._ratios[id(pipe)]
        config = MagCacheConfig(
            threshold=self.threshold,
            max_skip_steps=self.max_skip,
            retention_ratio=self.retention,
            num_inference_steps=len(ratios),
            mag_ratios=ratios,
        )
        with _enabled(pipe, config):
            yield nothing_counted


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidAttentionBroadcast:
    """diffusers' PyramidAttentionBroadcast with its own default range of timesteps.

    It keeps one state a module: where a pipeline calls the guidance branches one after the other
    (Wan), an even `interval` hands the conditional outputs to the unconditional branch.
    """

    interval: int = 2
    cross_interval: int = 2

    @contextmanager
    def applied(self, pipe: Any) -> Applied:
        """Reuse attention outputs between timesteps 100 and 800."""
        from diffusers import PyramidAttentionBroadcastConfig

        now = {"timestep": 1000}
        config = PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=self.interval,
            cross_attention_block_skip_range=self.cross_interval,
            current_timestep_callback=lambda: now["timestep"],
        )

        def note(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
            del module
            timestep = kwargs.get("timestep", args[1] if len(args) > 1 else None)
            now["timestep"] = int(timestep.flatten()[0]) if timestep is not None else 1000

        hook = pipe.transformer.register_forward_pre_hook(note, with_kwargs=True)
        try:
            with _enabled(pipe, config):
                yield nothing_counted
        finally:
            hook.remove()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDit:
    """cache-dit's DBCache; Fn=1 because its default of 8 blocks is all that small models have."""

    threshold: float = 0.08
    warmup: int = 8
    taylorseer: bool = False

    @contextmanager
    def applied(self, pipe: Any) -> Applied:
        """Skip blocks while the first one's residual changes little, perhaps with forecasts."""
        try:
            import cache_dit
        except ImportError:
            raise MissingExtraError(
                "the technique cache-dit needs the package cache-dit: pip install 'tenuto[bench]'"
            ) from None
        _hush("cache_dit")
        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            max_warmup_steps=self.warmup,
            residual_diff_threshold=self.threshold,
        )
        forecast = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=1)
        cache_dit.enable_cache(
            pipe, cache_config=config, calibrator_config=forecast if self.taylorseer else None
        )
        try:
            yield nothing_counted
        finally:
            cache_dit.disable_cache(pipe)


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


@contextmanager
def _one_context(transformer: Any, hook_name: str) -> Iterator[None]:
    """Give hooks of diffusers the cache context that the pipeline does not, and remove them."""
    from diffusers.hooks import HookRegistry
    from diffusers.hooks.hooks import CacheContext, _set_cache_context

    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    registry.invalidate_child_registries_cache()
    latest = {"timestep": float("-inf")}

    def begin(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        del module, args
        timestep = float(kwargs["timestep"].flatten()[0])
        if timestep > latest["timestep"]:  # timesteps fall within a run
            registry.reset_stateful_hooks()
        latest["timestep"] = timestep
        _set_cache_context(transformer, CacheContext(name="cond_uncond"))

    hook = transformer.register_forward_pre_hook(begin, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        _set_cache_context(transformer, None)
        registry.remove_hook(hook_name, recurse=True)


def _hush(package: str) -> None:
    """Let a package that narrates every call say only what is wrong."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(package):
            logging.getLogger(name).setLevel(logging.WARNING)


def _any_caption(work: Workload) -> str:
    """Return a caption of the split 'seen', or a plain one for a model that we did not train."""
    from tenuto import zoo

    known = ("emoji-image", "emoji-video")
    return zoo.prompts(work.model, split="seen", n=1)[0] if work.model in known else "a photo"
