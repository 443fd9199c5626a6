import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from tenuto.integration.steps import StepTracker

# diffusers 0.42.1 turns a tensor into an array in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPES = (("hidden_states", (1, 4, 8, 8)),)


def run(tracker, scheduler, num_steps, branches=1, stop_after=None, shapes=SHAPES):
    """Denoise with a model that answers zeros; return (step, branch, num_steps, is new) a call."""
    scheduler.set_timesteps(num_steps)
    sample, seen = torch.ones(1, 1, 2, 2), []
    for timestep in scheduler.timesteps[:stop_after]:
        for _ in range(branches):
            moment = tracker.enter(float(timestep), shapes)
            tracker.leave()
            seen.append((moment.step_index, moment.branch, moment.num_steps, moment.is_new_run))
        sample = scheduler.step(torch.zeros_like(sample), timestep, sample).prev_sample
    return seen


def expected_run(num_steps, branches=1):
    return [
        (step, branch, num_steps, step == branch == 0)
        for step in range(num_steps)
        for branch in range(branches)
    ]


@pytest.mark.parametrize("branches", [1, 2, 3])
@pytest.mark.parametrize(
    "scheduler_class",
    [
        DDIMScheduler,
        DPMSolverMultistepScheduler,
        FlowMatchEulerDiscreteScheduler,
        UniPCMultistepScheduler,
    ],
)
def test_steps_and_guidance_branches_are_counted_over_two_runs(scheduler_class, branches):
    scheduler = scheduler_class()
    tracker = StepTracker(lambda: scheduler)

    seen = run(tracker, scheduler, 5, branches) + run(tracker, scheduler, 5, branches)

    assert seen == expected_run(5, branches) * 2


@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("scheduler_class", [HeunDiscreteScheduler, FlowMatchHeunDiscreteScheduler])
def test_a_second_order_scheduler_has_two_steps_at_each_timestep(scheduler_class, branches):
    scheduler = scheduler_class()
    tracker = StepTracker(lambda: scheduler)

    seen = run(tracker, scheduler, 4, branches)

    assert seen == expected_run(len(scheduler.timesteps), branches)
    assert len(scheduler.timesteps) == 7


def test_a_run_that_follows_an_interrupted_one_is_new():
    scheduler = FlowMatchEulerDiscreteScheduler()
    tracker = StepTracker(lambda: scheduler)
    run(tracker, scheduler, 5, stop_after=1)

    seen = run(tracker, scheduler, 5)

    assert seen == expected_run(5)


def test_a_run_of_one_step_is_new_each_time():
    scheduler = FlowMatchEulerDiscreteScheduler()
    tracker = StepTracker(lambda: scheduler)

    seen = run(tracker, scheduler, 1) + run(tracker, scheduler, 1)

    assert seen == expected_run(1) * 2


def test_another_scheduler_begins_a_run():
    schedulers = [FlowMatchEulerDiscreteScheduler()]
    tracker = StepTracker(lambda: schedulers[-1])
    run(tracker, schedulers[-1], 5, stop_after=3)

    schedulers.append(UniPCMultistepScheduler())
    seen = run(tracker, schedulers[-1], 4)

    assert seen == expected_run(4)


def test_another_number_of_steps_begins_a_run():
    scheduler = FlowMatchEulerDiscreteScheduler()
    tracker = StepTracker(lambda: scheduler)
    run(tracker, scheduler, 5, stop_after=2)

    assert run(tracker, scheduler, 50, stop_after=2)[0] == (0, 0, 50, True)


def calls(tracker, *timesteps, shapes=SHAPES):
    seen = []
    for timestep in timesteps:
        moment = tracker.enter(timestep, shapes)
        tracker.leave()
        seen.append((moment.step_index, moment.branch, moment.is_new_run))
    return seen


def test_without_a_scheduler_a_rising_timestep_begins_a_run():
    tracker = StepTracker(lambda: None)

    seen = calls(tracker, 900, 500, 100, 900, 500)

    assert [step for step, _, _ in seen] == [0, 1, 2, 0, 1]
    assert [is_new for _, _, is_new in seen] == [True, False, False, True, False]


def test_without_a_scheduler_the_same_timestep_again_is_another_branch():
    tracker = StepTracker(lambda: None)

    seen = calls(tracker, 900, 900, 500, 500)

    assert [(step, branch) for step, branch, _ in seen] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_without_a_scheduler_the_number_of_steps_is_unknown():
    assert StepTracker(lambda: None).enter(900, SHAPES).num_steps is None


def test_other_shapes_begin_a_run():
    tracker = StepTracker(lambda: None)
    calls(tracker, 900, 800)

    seen = calls(tracker, 700, shapes=(("hidden_states", (2, 4, 8, 8)),))

    assert seen == [(0, 0, True)]


def test_a_call_that_did_not_end_makes_the_next_one_a_new_run():
    tracker = StepTracker(lambda: None)
    calls(tracker, 900, 800)

    tracker.enter(700, SHAPES)

    assert calls(tracker, 600, 500) == [(0, 0, True), (1, 0, False)]


def test_after_forgetting_the_next_call_is_a_new_run():
    tracker = StepTracker(lambda: None)
    calls(tracker, 900, 800)

    tracker.forget()

    assert calls(tracker, 700) == [(0, 0, True)]


def test_a_told_number_of_steps_holds_until_another_is_told_and_a_scheduler_knows_better():
    bare, scheduler = StepTracker(lambda: None), FlowMatchEulerDiscreteScheduler()
    asked = StepTracker(lambda: scheduler)
    for tracker in (bare, asked):
        tracker.forget(num_steps=7)

    assert [_steps_of_a_run(bare), _steps_of_a_run(bare)] == [7, 7]
    assert run(asked, scheduler, 5)[0][2] == 5
    bare.forget()
    assert _steps_of_a_run(bare) is None


def _steps_of_a_run(tracker):
    moments = []
    for timestep in (900.0, 500.0):
        moments.append(tracker.enter(timestep, SHAPES))
        tracker.leave()
    assert [m.step_index for m in moments] == [0, 1]
    return moments[0].num_steps
