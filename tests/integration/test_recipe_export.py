import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from recipes.zoo import checkpoint
from recipes.zoo.export import export
from recipes.zoo.plan import TASKS
from recipes.zoo.run import Run, Settings

from tenuto.zoo.pipelines import call_arguments, load_folder

TINY = Settings(num_layers=2, num_heads=2, is_tiny=True, total_tokens=4000)


@pytest.fixture(autouse=True)
def one_training_thread() -> Iterator[None]:
    """Training needs gradients; tiny models are slower on more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.enable_grad():
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("task_key", sorted(TASKS))
def test_an_exported_run_loads_as_a_pipeline_that_takes_captions(
    task_key: str, tmp_path: Path
) -> None:
    run = Run(TASKS[task_key], TINY)
    for _ in range(2):
        taken = run.advance()
    row = {"step": 2, "loss_by_grid": {taken["grid"]: taken["loss"]}}
    checkpoint.append_log(tmp_path, row)
    checkpoint.save(run, task_key, tmp_path)

    export(tmp_path, tmp_path / "pipeline")
    pipe = load_folder(tmp_path / "pipeline")
    pipe.set_progress_bar_config(disable=True)
    size = {"height": 16, "width": 16, "num_inference_steps": 2}
    size |= {"num_frames": 2} if task_key == "video" else {}
    caption = "a frog spins over the sky" if task_key == "video" else "a big frog over the sky"
    output = pipe(
        caption,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **(call_arguments(run.task.name) | size),
    )

    shown = output.frames[0] if task_key == "video" else output.images
    assert shown.shape[-3:] == (16, 16, 3)
    for name, tensor in pipe.transformer.named_parameters():
        assert torch.equal(tensor.half(), run.ema[f"transformer.{name}"].half()), name


def test_the_provenance_says_which_code_seed_and_steps_made_the_weights(tmp_path: Path) -> None:
    run = Run(TASKS["video"], TINY)
    run.advance()
    run.commits = ["first", "second"]
    checkpoint.append_log(tmp_path, {"step": 1, "loss_by_grid": {"2x16x16": 0.5}})
    checkpoint.append_log(tmp_path, {"step": 1, "loss_by_grid": {"4x24x24": 0.25}})
    checkpoint.save(run, "video", tmp_path)

    export(tmp_path, tmp_path / "pipeline")
    facts = json.loads((tmp_path / "pipeline" / "provenance.json").read_text())

    assert facts["model"] == "emoji-video"
    assert (facts["step"], facts["seed"]) == (1, 0)
    assert facts["loss_by_grid"] == {"2x16x16": 0.5, "4x24x24": 0.25}
    assert facts["trained_at"] == ["first", "second"]
    assert facts["exported_at"]
    assert facts["torch"] == torch.__version__
