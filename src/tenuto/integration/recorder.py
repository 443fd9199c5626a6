"""Watch what a pipeline's blocks put out at every step, without changing anything."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from tenuto.errors import UnsupportedModelError
from tenuto.integration.families import BlockFamily, Grid, ModelFamily, family_of
from tenuto.integration.steps import Moment, StepTracker, noise_level


@dataclass(frozen=True, slots=True)
class Sight:
    """One dense output, image rows only.

    Attributes:
        moment: When.
        grid: Token grid.
        block_index: Which block; -1 for all blocks together.
        part: "attn", "ffn", or "stack": what all blocks together add to the image stream.
        tokens: (batch, tokens, channels).
    """

    moment: Moment
    grid: Grid
    block_index: int
    part: Literal["attn", "ffn", "stack"]
    tokens: Tensor


class _Recorder:
    """Hooks of one transformer that tell a function what they see."""

    def __init__(
        self,
        model: nn.Module,
        family: ModelFamily,
        scheduler: Callable[[], Any | None],
        see: Callable[[Sight], None],
    ) -> None:
        self._model, self._family, self._see = model, family, see
        self._tracker = StepTracker(scheduler)
        self._parameters = tuple(inspect.signature(type(model).forward).parameters)[1:]
        self._moment: Moment | None = None
        self._grid: Grid = ()
        self._start: Tensor | None = None
        blocks = family.blocks_of(model)
        self.hooks = [
            model.register_forward_pre_hook(self._enter, with_kwargs=True),
            model.register_forward_hook(lambda *_: self._tracker.leave()),
            blocks[0][1].register_forward_pre_hook(self._first, with_kwargs=True),
            blocks[-1][1].register_forward_hook(self._last(blocks[-1][0])),
        ]
        for index, (row, block) in enumerate(blocks):
            attention = getattr(block, row.self_attention)
            self.hooks.append(attention.register_forward_hook(self._part(index, "attn")))
            if row.feed_forward is not None:
                ffn = getattr(block, row.feed_forward)
                self.hooks.append(ffn.register_forward_hook(self._part(index, "ffn")))

    def _enter(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs = {**dict(zip(self._parameters, args, strict=False)), **kwargs}
        image = tuple(inputs[self._family.latents].shape)
        self._moment = self._tracker.enter(noise_level(inputs["timestep"]), image)
        grid = self._family.grid_of(model, inputs)
        if not grid:
            raise UnsupportedModelError(
                f"{type(model).__name__} must have one token grid to be recorded: its image rows "
                "are more than one image's, or of several resolutions"
            )
        self._grid = grid

    def _first(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._start = args[0] if args else kwargs["hidden_states"]

    def _last(self, row: BlockFamily) -> Callable[..., None]:
        def look(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            assert self._start is not None
            self._tell(-1, "stack", row.image_of(output) - self._start)

        return look

    def _part(self, index: int, part: Literal["attn", "ffn"]) -> Callable[..., None]:
        def look(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self._tell(index, part, output[0] if isinstance(output, tuple) else output)

        return look

    def _tell(self, index: int, part: Literal["attn", "ffn", "stack"], rows: Tensor) -> None:
        assert self._moment is not None
        num_tokens = 1
        for axis in self._grid:
            num_tokens *= axis
        image = rows[:, rows.shape[1] - num_tokens :]  # text rows stand first
        self._see(Sight(self._moment, self._grid, index, part, image))


@contextmanager
def recording(pipe: Any, see: Callable[[Sight], None]) -> Iterator[None]:
    """Tell a function every dense output of a pipeline's transformer inside a with block.

    Raises:
        UnsupportedModelError: The transformer is not in the table of families.
    """
    model = pipe.transformer
    recorder = _Recorder(model, family_of(model), lambda: getattr(pipe, "scheduler", None), see)
    try:
        yield
    finally:
        for hook in recorder.hooks:
            hook.remove()
