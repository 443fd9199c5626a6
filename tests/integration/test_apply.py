"""A bare transformer as a server drives it: enable, refresh before each request, disable."""

import pytest
import torch

import tenuto
from tenuto.errors import AlreadyAcceleratedError, CalibrationError

HALF = {"techniques": ["dito:ratio=0.5,interval=3,warmup=1,keys=held"]}
FORECAST = {"techniques": ["dito:interval=2,warmup=2"]}
each_config = pytest.mark.parametrize("config", [HALF, FORECAST], ids=["partial", "forecast"])


@pytest.fixture
def request_of(make_loop):
    """A transformer, and requests to it that tell nobody where they begin."""
    loop = make_loop("wan")

    def request(num_steps=6, seed=0, stop_after=None):
        sample = loop.tiny.noise(1, seed)
        loop.scheduler.set_timesteps(num_steps)
        for timestep in loop.scheduler.timesteps[:stop_after]:
            velocity = loop._velocity(sample, float(timestep), "split")
            sample = loop.scheduler.step(velocity, timestep, sample).prev_sample
        return sample

    return loop, request


@each_config
def test_refreshed_requests_equal_a_pipelines_and_disabling_gives_the_original(request_of, config):
    loop, request = request_of
    untouched = request()
    with tenuto.accelerate(loop, *tenuto.presets.Preset(**_tuples(config)).build()):
        expected = [request(6), request(8, seed=1)]
    assert not torch.equal(expected[0], untouched)

    applied = tenuto.apply_tenuto(loop.transformer, config)
    answers = []
    for steps, seed in ((6, 0), (8, 1)):
        applied.refresh(num_inference_steps=steps)
        answers.append(request(steps, seed))
    applied.disable()

    assert all(map(torch.equal, answers, expected))
    assert torch.equal(request(), untouched)
    assert not applied.is_enabled


def _tuples(config):
    return {"techniques": tuple(config["techniques"])}


@each_config
def test_a_request_that_was_given_up_leaves_nothing_to_the_next(request_of, config):
    """Given up after one step: the next request begins at the same timestep, as a branch would."""
    loop, request = request_of
    applied = tenuto.apply_tenuto(loop.transformer, config)
    applied.refresh(6)
    fresh = request(6)

    applied.refresh(6)
    request(6, seed=7, stop_after=1)
    applied.refresh(6)

    assert torch.equal(request(6), fresh)


def test_state_is_dropped_after_the_last_step_that_a_refresh_told(request_of):
    loop, request = request_of
    applied = tenuto.apply_tenuto(loop.transformer, HALF)
    (engine,) = (a.engine for a in applied._handle._accelerated)

    applied.refresh()
    request(6)
    kept_without = bool(engine._memories)
    applied.refresh(6)
    request(6)

    assert kept_without
    assert not engine._memories


def test_counts_are_those_of_the_request(request_of):
    loop, request = request_of
    applied = tenuto.apply_tenuto(loop.transformer, HALF)
    counts = []
    for _ in range(2):
        applied.refresh(6)
        request(6)
        counts.append(applied.stats().macs_done)

    assert counts[0] == counts[1] > 0
    applied.disable()
    assert applied.stats().macs_done == counts[1]


def test_off_and_on_again_is_as_a_first_time_and_twice_is_once(request_of):
    loop, request = request_of
    untouched = request()
    applied = tenuto.apply_tenuto(loop.transformer, HALF)
    first = request()

    applied.disable()
    applied.disable()
    assert torch.equal(request(), untouched)
    applied.refresh(6)
    applied.enable()
    applied.enable()

    assert applied.is_enabled
    assert torch.equal(request(), first)
    applied.disable()


def test_a_calibration_needs_the_scheduler_and_then_checks_it(tmp_path, request_of):
    from tenuto.integration.calibration import Calibration, fingerprints, save_calibration

    loop, request = request_of
    model, scheduler = fingerprints(loop)
    calibration = Calibration(
        model=model, scheduler=scheduler, ratios=(0.0, 0.0, 1.0, 0.0, 1.0, 0.0), notes={}
    )
    save_calibration(calibration, tmp_path / "fast.safetensors")
    (tmp_path / "tenuto.toml").write_text('techniques = ["dito:schedule=fast.safetensors"]')

    told = tenuto.apply_tenuto(loop.transformer, tmp_path, scheduler=loop.scheduler)
    told.refresh(6)
    request(6)
    assert told.stats().macs_ratio > 1.2
    with pytest.raises(CalibrationError, match="`num_inference_steps` must be 6, as calibrated"):
        request(5)
    told.disable()

    untold = tenuto.apply_tenuto(loop.transformer, tmp_path)
    untold.refresh(6)
    with pytest.raises(CalibrationError, match="must be used with a pipeline"):
        request(6)
    untold.disable()


def test_what_cannot_be_applied_says_why_and_hooks_nothing(request_of):
    loop, request = request_of
    untouched = request()
    with pytest.raises(TypeError, match=r"`transformer` must be a torch module, .* got Loop"):
        tenuto.apply_tenuto(loop, HALF)
    with pytest.raises(ValueError, match="dito: `ratio` must be in"):
        tenuto.apply_tenuto(loop.transformer, {"techniques": ["dito:ratio=3"]})
    with pytest.raises(ValueError, match=r"config: unknown keys \['technique'\]"):
        tenuto.apply_tenuto(loop.transformer, {"technique": "dito"})

    applied = tenuto.apply_tenuto(loop.transformer, HALF)
    with pytest.raises(AlreadyAcceleratedError):
        tenuto.apply_tenuto(loop.transformer, HALF)
    with pytest.raises(ValueError, match="`num_inference_steps` must be None or at least 0"):
        applied.refresh(-1)
    applied.disable()

    assert torch.equal(request(), untouched)


def test_a_server_backend_can_hand_its_calls_through(request_of):
    """The calls of vLLM-Omni's runner: enable once, ask, refresh with the request's steps."""
    loop, request = request_of

    class Backend:
        def __init__(self, config):
            self.config, self.applied = config, None

        def enable(self, pipeline):
            self.applied = tenuto.apply_tenuto(pipeline.transformer, self.config)

        def is_enabled(self):
            return self.applied is not None and self.applied.is_enabled

        def refresh(self, pipeline, num_inference_steps):
            self.applied.refresh(num_inference_steps)

    backend = Backend(HALF)
    backend.enable(loop)
    with torch.inference_mode():
        first = [answer_of(backend, loop, request) for _ in range(2)]
    backend.applied.disable()

    assert torch.equal(*first)


def answer_of(backend, pipeline, request):
    if backend.is_enabled():
        backend.refresh(pipeline, 6)
    return request(6)
