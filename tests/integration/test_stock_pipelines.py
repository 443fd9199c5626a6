"""diffusers' own pipelines, guidance split (Wan) and batched (SD3), with a real scheduler each."""

import numpy as np
import pytest
import torch

import tenuto
from tenuto import zoo

PIPELINES = {
    "emoji-video": "a heart moves left over the sky",
    "emoji-image": "a big heart over the sky",
}
PARTIAL = tenuto.DiTo(ratio=0.5, interval=2, warmup=1)

# diffusers 0.42.1 turns a tensor into an array in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module", params=sorted(PIPELINES))
def named_pipe(request):
    pipe = zoo.load(request.param)
    pipe.set_progress_bar_config(disable=True)
    return request.param, pipe


def drawn(named_pipe, num_steps=4, **arguments):
    name, pipe = named_pipe
    generator = torch.Generator().manual_seed(0)
    settings = {**zoo.call_arguments(name), "num_inference_steps": num_steps, **arguments}
    output = pipe(PIPELINES[name], generator=generator, output_type="np", **settings)
    return np.asarray(output.frames if name == "emoji-video" else output.images)


def test_every_place_of_every_branch_is_reduced_at_the_scheduled_steps(named_pipe):
    name, pipe = named_pipe
    untouched = drawn(named_pipe)
    # 8 blocks; Wan has a cross-attention and calls the two branches one after the other.
    places, calls = (8 * 3, 2) if name == "emoji-video" else (8 * 2, 1)

    with tenuto.accelerate(pipe, PARTIAL) as handle:
        reduced = drawn(named_pipe)
        stats = handle.stats()

    assert stats.calls_reduced == stats.calls_dense == places * calls * 2
    assert set(stats.dense_reasons) == {"dense step of the schedule"}
    assert 1.1 < stats.macs_ratio < 2
    assert not np.array_equal(reduced, untouched)
    assert np.array_equal(drawn(named_pipe), untouched)


def test_an_error_in_a_callback_leaves_the_next_run_whole(named_pipe):
    _, pipe = named_pipe
    untouched = drawn(named_pipe)
    with tenuto.accelerate(pipe, PARTIAL):
        fresh = drawn(named_pipe)

    def interrupts(pipe, step_index, timestep, tensors):
        if step_index == 1:
            raise KeyboardInterrupt
        return tensors

    handle = tenuto.accelerate(pipe, PARTIAL)
    with pytest.raises(KeyboardInterrupt):
        drawn(named_pipe, callback_on_step_end=interrupts)
    again = drawn(named_pipe)
    handle.remove()

    assert np.array_equal(again, fresh)
    assert np.array_equal(drawn(named_pipe), untouched)
