"""`apply_tenuto`: a bare transformer in a server that enables, refreshes and disables.

Servers own the denoising loop and the scheduler, and tell a cache only that a request begins and
how many steps it has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tenuto.integration.accelerate import accelerate
from tenuto.integration.handle import Handle
from tenuto.integration.preset import Preset, built
from tenuto.integration.stats import Stats


class AppliedTenuto:
    """Techniques on one transformer, on and off as a server wants them.

    >>> # applied = tenuto.apply_tenuto(transformer, {"techniques": ["dito:interval=2"]})
    >>> # applied.refresh(num_inference_steps=30)   # before each request
    >>> # applied.disable()                         # the original, bit for bit
    """

    def __init__(
        self, transformer: nn.Module, techniques: tuple[Any, ...], strict: bool, scheduler: Any
    ) -> None:
        """Hook nothing yet; `apply_tenuto` makes these."""
        self._transformer = transformer
        self._techniques = techniques
        self._strict = strict
        self._scheduler = scheduler
        self._num_steps: int | None = None
        self._handle: Handle | None = None
        self._is_enabled = False

    @property
    def is_enabled(self) -> bool:
        """Whether the transformer is hooked."""
        return self._is_enabled

    def enable(self) -> None:
        """Hook the transformer; nothing is remembered yet. Twice is once.

        Raises:
            AlreadyAcceleratedError: The transformer has been accelerated elsewhere.
            TenutoError: As `tenuto.accelerate`.
        """
        if self._is_enabled:
            return
        self._handle = accelerate(
            self._transformer,
            *self._techniques,
            strict=self._strict,
            scheduler=self._scheduler,
        )
        self._handle.reset(self._num_steps)
        self._is_enabled = True

    def refresh(self, num_inference_steps: int | None = None) -> None:
        """Begin a request: forget the one before, set the counts to zero.

        Without a refresh a request still begins by itself where the timestep rises or the latents
        change their shape. It does not where a request stops at the timestep with which the next
        one begins; a server that refreshes needs not think of it.

        Args:
            num_inference_steps: Steps of the request; state is dropped after the last one. None
                or 0 where they are not known. It holds until the next refresh.

        Raises:
            ValueError: It is negative.
        """
        if num_inference_steps is not None and num_inference_steps < 0:
            raise ValueError(
                f"`num_inference_steps` must be None or at least 0, got {num_inference_steps!r}"
            )
        self._num_steps = num_inference_steps or None
        if self._handle is not None and self._is_enabled:
            self._handle.reset(self._num_steps)

    def disable(self) -> None:
        """Take all hooks out: the transformer is the original, bit for bit. Twice is once."""
        if self._handle is not None:
            self._handle.remove()
        self._is_enabled = False

    def stats(self) -> Stats:
        """Return what was done since the last `refresh`, up to the last `disable`.

        Raises:
            ValueError: It was never enabled.
        """
        if self._handle is None:
            raise ValueError("`stats` must come after `enable`, got a transformer as it is")
        return self._handle.stats()


def apply_tenuto(
    transformer: nn.Module,
    config: Preset | Mapping[str, object] | Path | str,
    *,
    scheduler: Any = None,
) -> AppliedTenuto:
    """Put techniques on a transformer, enabled, for a server that calls it in a loop of its own.

    Args:
        transformer: Of a supported family; pipelines go to `tenuto.accelerate`.
        config: `tenuto.presets.Preset`, the same as plain values (``{"techniques": [...]}``), or
            the path of a ``tenuto.toml`` or of the folder it is in.
        scheduler: Steps the requests, where there is one; anything with ``timesteps``. Calibrations
            need it: they are for one scheduler and number of steps.

    Raises:
        TypeError: `transformer` is no module, or `config` none of these.
        ValueError: `config` names an unknown technique or setting.
        TenutoError: As `tenuto.accelerate`.
    """
    if not isinstance(transformer, nn.Module):
        raise TypeError(
            "`transformer` must be a torch module, such as pipe.transformer, got "
            f"{type(transformer).__name__}"
        )
    techniques, strict = built(config)
    applied = AppliedTenuto(transformer, techniques, strict, scheduler)
    applied.enable()
    return applied
