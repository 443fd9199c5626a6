"""Load a model by name or path and generate single samples, the same way for every contender."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tenuto import zoo
from tenuto.errors import UnsupportedModelError

_ZOO = ("emoji-image", "emoji-video")
_SCHEDULERS = ("unipc", "dpm2m", "euler")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A pipeline and everything about a run that is the same for all contenders.

    Attributes:
        model: Name or path it was loaded from.
        pipe: The diffusers pipeline.
        num_steps: Denoising steps of the reference.
        seed: Prompt number i starts from the noise of seed + i.
        arguments: Further arguments of the pipeline's call.
        scheduler: Name that `load_workload` was given, None for the model's own.
    """

    model: str
    pipe: Any
    num_steps: int
    seed: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)
    scheduler: str | None = None

    def generate(self, prompt: str, index: int, num_steps: int | None = None) -> Tensor:
        """Return one sample as (frames, 3, height, width), float32 in [0, 1]."""
        generator = torch.Generator().manual_seed(self.seed + index)
        output = self.pipe(
            prompt,
            generator=generator,
            output_type="pt",
            **{**self.arguments, "num_inference_steps": num_steps or self.num_steps},
        )
        sample = output.frames[0] if hasattr(output, "frames") else output.images[:1]
        return sample.float().clamp(0, 1).cpu()


def set_threads(num_threads: int | None) -> None:
    """Set torch's CPU threads; None leaves them.

    Raises:
        ValueError: Fewer than one.
    """
    if num_threads is None:
        return
    if num_threads < 1:
        raise ValueError(f"`--threads` must be at least 1, got {num_threads}")
    torch.set_num_threads(num_threads)


def check_model(model: str) -> None:
    """Raise ValueError unless a model of this name is embedded, or a folder of this path exists."""
    if model not in _ZOO and not Path(model).is_dir():
        raise ValueError(
            f"`--model` must be one of {list(_ZOO)} or a pipeline folder, got {model!r}"
        )


def load_workload(
    model: str, *, num_steps: int, seed: int = 0, scheduler: str | None = None
) -> Workload:
    """Load an embedded model by its name, or a pipeline folder of diffusers' format by its path.

    Args:
        model: A name of `tenuto.zoo`, or a folder.
        num_steps: Denoising steps, >= 1.
        seed: Of the first prompt's noise.
        scheduler: A name of `tenuto.zoo.scheduler`, embedded models only; None is the model's own.

    Raises:
        ValueError: `model` is neither a name nor a folder, or another argument is out of range.
        UnsupportedModelError: `scheduler` is named for a model that is not embedded.
    """
    if num_steps < 1:
        raise ValueError(f"`--steps` must be at least 1, got {num_steps!r}")
    if scheduler is not None and scheduler not in _SCHEDULERS:
        raise ValueError(f"`--scheduler` must be one of {_SCHEDULERS}, got {scheduler!r}")
    check_model(model)
    if model in _ZOO:
        pipe: Any = zoo.load(model)
        arguments = zoo.call_arguments(model)
        if scheduler is not None:
            pipe.scheduler = zoo.scheduler(scheduler)
    else:
        from diffusers import DiffusionPipeline

        if scheduler is not None:
            raise UnsupportedModelError(
                f"`--scheduler` must be left out for {model}: only embedded models can change it"
            )
        # A folder is data: no pickle of it is read, no code of it is run, nothing is fetched.
        pipe = DiffusionPipeline.from_pretrained(
            model, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
        arguments = {}
    pipe.set_progress_bar_config(disable=True)
    return Workload(
        model=model, pipe=pipe, num_steps=num_steps, seed=seed, arguments=arguments,
        scheduler=scheduler,
    )  # fmt: skip
