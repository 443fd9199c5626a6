"""What the playground does without its page: try, measure, cancel."""

from threading import Event

import pytest
import torch

import tenuto
from tenuto.evaluation.generation import load_workload
from tenuto.ui.interruption import CancelledError
from tenuto.ui.pictures import clips_html, numbers_html, pareto_html, skipped_work_html
from tenuto.ui.trials import Bench, Question

CAPTION = "a small heart over the sky"


def ask(spec, steps=5, prompt=CAPTION):
    return Question(prompt=prompt, spec=spec, steps=steps, seed=1)


@pytest.fixture(scope="module")
def workload():
    return load_workload("emoji-image", num_steps=5)


@pytest.fixture
def bench(workload):
    return Bench(workload)


def ignore(name, step, total):
    """Take progress and do nothing."""


def test_a_trial_equals_the_same_runs_by_hand(bench, workload):
    steps = []
    trial = bench.answer(
        ask("dito:interval=2,warmup=1"), Event(), lambda *progress: steps.append(progress)
    )

    arguments = {**workload.arguments, "output_type": "pt", "num_inference_steps": 5}
    by_hand = [
        workload.pipe(CAPTION, generator=torch.Generator().manual_seed(1), **arguments).images,
    ]
    with tenuto.accelerate(workload.pipe, tenuto.DiTo(interval=2, warmup=1)) as handle:
        generator = torch.Generator().manual_seed(1)
        by_hand.append(workload.pipe(CAPTION, generator=generator, **arguments).images)
        ratio = handle.stats().macs_ratio
    assert torch.equal(trial.reference, by_hand[0].clamp(0, 1))
    assert torch.equal(trial.sample, by_hand[1].clamp(0, 1))
    assert trial.row["macs_ratio"] == ratio > 1.3
    assert 10 < trial.row["psnr_db"] < 100
    assert trial.row["speedup"] == trial.reference_s / trial.row["seconds_median"]
    names = ["untouched"] * 5 + ["dito:interval=2,warmup=1"] * 5
    assert steps[:2] == [("warming up", 1, 2), ("warming up", 2, 2)]
    assert steps[2:] == [(name, 1 + i % 5, 5) for i, name in enumerate(names)]


def test_the_untouched_run_is_kept_for_the_next_technique_and_not_for_another_prompt(bench):
    seen = []
    for question in (
        ask("off"),
        ask("fewer-steps:3"),
        ask("off", prompt="a big star over the sea"),
    ):
        bench.answer(question, Event(), lambda name, step, total: seen.append((name, total)))

    assert seen.count(("warming up", 2)) == 2
    assert seen.count(("untouched", 5)) == 10
    assert ("fewer-steps:3", 3) in seen


@pytest.mark.parametrize("at", [("untouched", 2), ("dito", 4)])
def test_cancelling_stops_before_the_next_step_and_leaves_nothing(bench, workload, at):
    expected = bench.answer(ask("off"), Event(), ignore).sample
    hooks = _num_hooks(workload.pipe.transformer)
    other, cancel, seen = Bench(workload), Event(), []

    def progress(name, step, total):
        seen.append((name, step))
        if (name, step) == at:
            cancel.set()

    with pytest.raises(CancelledError):
        other.answer(ask("dito"), cancel, progress)

    assert seen[-1] == at
    assert _num_hooks(workload.pipe.transformer) == hooks
    again = Bench(workload).answer(ask("off"), Event(), ignore)
    assert torch.equal(again.sample, expected)
    assert again.row["identical"]


def _num_hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": " "}, "^`prompt` must be a caption, got ' '$"),
        ({"steps": 0}, "^`steps` must be an integer from 1 to 200, got 0$"),
        ({"steps": None}, "^`steps` must be an integer from 1 to 200, got None$"),
        ({"seed": -1}, "^`seed` must be an integer from 0"),
    ],
)
def test_a_question_out_of_range_is_refused_in_one_sentence(values, message):
    good = {"prompt": CAPTION, "spec": "dito", "steps": 5, "seed": 0}

    with pytest.raises(ValueError, match=message):
        Question(**{**good, **values})


def test_pictures_hold_what_was_tried(bench):
    first = bench.answer(ask("dito:interval=2,warmup=1"), Event(), ignore)
    second = bench.answer(ask("fewer-steps:3"), Event(), ignore)

    clips, numbers = clips_html(first), numbers_html([first, second])
    assert clips.count("data:image/webp;base64,") == 4  # two clips, and both for the difference
    assert numbers.index("fewer-steps:3") < numbers.index("dito:interval=2")
    assert "second trial" in pareto_html([first])
    assert "Scatter plot of 2 rows" in pareto_html([first, second])
    assert "<svg" in skipped_work_html(first)
    assert "techniques of tenuto only" in skipped_work_html(second)
