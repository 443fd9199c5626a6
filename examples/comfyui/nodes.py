"""Three nodes: load a diffusers pipeline, choose techniques, draw.

ComfyUI keeps what a node returned and hands it to others again, so a node must not change what it
was given: "choose techniques" only writes them down, and "draw" hooks the pipeline for one run.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

import tenuto
from tenuto.evaluation.generation import Workload, load_workload

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Pipeline:
    """What goes from node to node: a pipeline, and the techniques it is to be drawn with."""

    workload: Workload
    techniques: tuple[str, ...] = ()


class TenutoLoadPipeline:
    """An embedded model, or a pipeline folder of diffusers' format."""

    CATEGORY = "tenuto"
    FUNCTION = "load"
    RETURN_TYPES = ("TENUTO_PIPELINE",)
    RETURN_NAMES = ("pipeline",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Describe the inputs."""
        return {"required": {"model": ("STRING", {"default": "emoji-video"})}}

    def load(self, model: str) -> tuple[Pipeline]:
        """Load it; ComfyUI calls this again only when `model` changes."""
        return (Pipeline(load_workload(model, num_steps=1)),)


class TenutoTechniques:
    """Techniques for a pipeline; two of these nodes on one pipeline do not disturb each other."""

    CATEGORY = "tenuto"
    FUNCTION = "choose"
    RETURN_TYPES = ("TENUTO_PIPELINE",)
    RETURN_NAMES = ("pipeline",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Describe the inputs."""
        return {
            "required": {
                "pipeline": ("TENUTO_PIPELINE",),
                "techniques": ("STRING", {"default": "dito:interval=2"}),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, techniques: str) -> bool | str:  # noqa: N802
        """Return True, or the sentence that ComfyUI shows at the node."""
        try:
            tenuto.presets.Preset(techniques=(techniques,)).build()
        except ValueError as error:
            return str(error)
        return True

    def choose(self, pipeline: Pipeline, techniques: str) -> tuple[Pipeline]:
        """Write them down."""
        return (Pipeline(pipeline.workload, (techniques,)),)


class TenutoDraw:
    """One sample as IMAGE: the frames of a clip are a batch of images."""

    CATEGORY = "tenuto"
    FUNCTION = "draw"
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("frames", "counts")

    _ranges: ClassVar[dict[str, Any]] = {
        "steps": ("INT", {"default": 40, "min": 1, "max": 1000}),
        "seed": ("INT", {"default": 0, "min": 0, "max": _LARGEST_SEED}),
    }

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """Describe the inputs."""
        text = ("STRING", {"default": "a heart moves left over the sky", "multiline": True})
        pipeline = ("TENUTO_PIPELINE",)
        return {"required": {"pipeline": pipeline, "prompt": text, **cls._ranges}}

    def draw(
        self, pipeline: Pipeline, prompt: str, steps: int, seed: int
    ) -> tuple[torch.Tensor, str]:
        """Draw; the pipeline is as it was afterwards, also after ComfyUI's Cancel."""
        given = pipeline.workload
        work = Workload(
            model=given.model, pipe=given.pipe, num_steps=steps, seed=seed,
            arguments={**given.arguments, "callback_on_step_end": _follow(steps)},
        )  # fmt: skip
        if not pipeline.techniques:
            return _as_image(work.generate(prompt, 0)), "untouched"
        built = tenuto.presets.Preset(techniques=pipeline.techniques).build()
        with tenuto.accelerate(given.pipe, *built) as handle:
            sample = work.generate(prompt, 0)
            return _as_image(sample), str(handle.stats())


def _follow(steps: int) -> Any:
    """Return diffusers' callback at the end of a step: move ComfyUI's bar, obey its Cancel."""
    from comfy.model_management import (  # pyright: ignore[reportMissingImports]
        throw_exception_if_processing_interrupted,
    )
    from comfy.utils import ProgressBar  # pyright: ignore[reportMissingImports]

    bar = ProgressBar(steps)

    def at_step_end(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        del pipe, timestep
        throw_exception_if_processing_interrupted()
        bar.update_absolute(step + 1, steps)
        return tensors

    return at_step_end


def _as_image(sample: torch.Tensor) -> torch.Tensor:
    """(frames, 3, height, width) as ComfyUI's (batch, height, width, channels), float32, 0..1."""
    return sample.permute(0, 2, 3, 1).contiguous()


NODE_CLASS_MAPPINGS = {
    "TenutoLoadPipeline": TenutoLoadPipeline,
    "TenutoTechniques": TenutoTechniques,
    "TenutoDraw": TenutoDraw,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "TenutoLoadPipeline": "Load diffusers pipeline (tenuto)",
    "TenutoTechniques": "Techniques (tenuto)",
    "TenutoDraw": "Draw (tenuto)",
}
