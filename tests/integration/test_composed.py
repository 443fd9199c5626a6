"""A composition as one file, on tiny models."""

from dataclasses import replace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

import tenuto
from tenuto.errors import CalibrationError
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.search.setting import sparse_iterations
from tenuto.integration.calibration import (
    Calibration,
    fingerprints,
    load_calibration,
    save_calibration,
)
from tenuto.integration.composed import settings_of

PARTIAL = (0.0, 0.0, 0.0, 0.5, 0.0, 1.0)
REUSE = tenuto.FFNReuse(interval=3, warmup=1, blocks=(1,))


@pytest.fixture
def save(tmp_path):
    def write(loop, *techniques, ratios=PARTIAL, weights=None, settings=None):
        model, scheduler = fingerprints(loop)
        path = tmp_path / "composition.safetensors"
        calibration = Calibration(
            model=model,
            scheduler=scheduler,
            ratios=ratios,
            forecast_weights=weights,
            techniques=settings_of(*techniques) if settings is None else settings,
            notes={},
        )
        save_calibration(calibration, path)
        return str(path)

    return write


def run(loop, *techniques, num_steps=6):
    with tenuto.accelerate(loop, *techniques) as handle:
        return loop(num_steps), handle.stats()


@pytest.mark.parametrize("family", ["dit", "sd3", "wan"])
def test_a_file_does_what_its_techniques_do(family, make_loop, save):
    loop = make_loop(family)
    by_hand, counted = run(loop, tenuto.DiTo(schedule=PARTIAL), REUSE)

    path = save(loop, tenuto.DiTo(), REUSE)
    composed, stats = run(loop, tenuto.Composed(schedule=path))

    assert torch.equal(composed, by_hand)
    assert stats.macs_done == counted.macs_done < stats.macs_dense


def test_a_file_without_token_reduction_is_bound_to_its_steps_too(make_loop, save):
    loop = make_loop("dit")
    by_hand, _ = run(loop, REUSE)
    path = save(loop, REUSE, ratios=(0.0,) * 6)

    assert torch.equal(run(loop, tenuto.Composed(schedule=path))[0], by_hand)
    with pytest.raises(CalibrationError, match=r"must be 6, as calibrated, got 7$"):
        run(loop, tenuto.Composed(schedule=path), num_steps=7)
    loop.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    with pytest.raises(CalibrationError, match="the scheduler must be as calibrated"):
        run(loop, tenuto.Composed(schedule=path))


def test_a_file_for_another_model_is_refused_before_anything_is_hooked(make_loop, save):
    path = save(make_loop("dit"), REUSE)
    other = make_loop("sd3")

    with pytest.raises(CalibrationError, match="must be for this model"):
        tenuto.accelerate(other, tenuto.Composed(schedule=path))
    assert not any("forward" in module.__dict__ for module in other.transformer.modules())


def test_fitted_forecasts_stand_beside_partial_steps(make_loop, save):
    """Weights that say what a line says must give what linear forecasts give."""
    loop = make_loop("dit")
    by_hand, _ = run(loop, tenuto.DiTo(schedule=PARTIAL))
    width = loop.transformer.inner_dim
    weights = torch.zeros(6, 3, width)
    weights[5, 0], weights[5, 1] = 1.5, -0.5  # of dense steps 4 and 2, for step 5
    settings = settings_of(tenuto.DiTo())
    settings["dito"]["predict"] = "fitted"

    path = save(loop, weights=weights, settings=settings)
    fitted, _ = run(loop, tenuto.Composed(schedule=path))

    torch.testing.assert_close(fitted, by_hand, atol=1e-5, rtol=1e-5)


def test_a_composition_is_whole(make_loop, save):
    loop = make_loop("dit")
    composed = tenuto.Composed(schedule=save(loop, REUSE))

    with pytest.raises(ValueError, match=r"must be a Composed alone.*\['Composed', 'DiTo'\]"):
        tenuto.accelerate(loop, composed, tenuto.DiTo())


def test_each_kind_of_file_names_the_technique_that_loads_it(make_loop, save, tmp_path):
    loop = make_loop("dit")
    path = save(loop, REUSE)
    steps = str(tmp_path / "steps.safetensors")
    save_calibration(replace(load_calibration(path), techniques=None), tmp_path / steps)

    with pytest.raises(CalibrationError, match=r"got the composition.*use tenuto.Composed"):
        tenuto.accelerate(loop, tenuto.DiTo(schedule=path))
    with pytest.raises(CalibrationError, match=r"got the calibration.*use tenuto.DiTo"):
        tenuto.accelerate(loop, tenuto.Composed(schedule=steps))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"magic": {}}, r"must be some of \['dito', 'eager', 'ffn-reuse', 'orbis'\], got \['mag"),
        ({"ffn-reuse": {"sparsity": 2}}, r"ffn-reuse: `sparsity` must be in \[0, 1\), got 2.0"),
        ({"ffn-reuse": {"speed": 2}}, r"ffn-reuse: unknown keys \['speed'\]"),
        ({"eager": {"keep_ratio": "all"}}, "`eager.keep_ratio` must be a number, got 'all'"),
        ({"eager": 1}, "must have a table of techniques, got"),
    ],
)
def test_a_file_with_settings_that_are_not_valid_is_refused(make_loop, save, settings, text):
    loop = make_loop("dit")
    path = save(loop, settings=settings)

    with pytest.raises(CalibrationError, match=text):
        tenuto.accelerate(loop, tenuto.Composed(schedule=path))


def test_a_spec_of_the_command_line_names_a_composition(make_loop, save):
    loop = make_loop("dit")
    path = save(loop, tenuto.DiTo(), REUSE)
    made = contender(f"composed:{path}")

    assert made.kind == "tenuto"
    with made.applied(loop) as stats_of:
        sample = loop(6)
        assert stats_of().macs_ratio > 1
    assert torch.equal(sample, run(loop, tenuto.Composed(schedule=path))[0])


def test_reuse_in_some_blocks_leaves_the_others_alone(make_loop):
    loop = make_loop("dit")
    num_blocks = len(loop.transformer.transformer_blocks)

    def saved(blocks):
        _, stats = run(loop, replace(REUSE, blocks=blocks))
        return stats.macs_dense - stats.macs_done

    whole = run(loop, replace(REUSE, blocks=None))
    named = run(loop, replace(REUSE, blocks=tuple(range(num_blocks))))
    assert torch.equal(whole[0], named[0])
    assert sum(saved((block,)) for block in range(num_blocks)) == saved(None) > 0


def test_blocks_that_are_not_there_are_refused(make_loop):
    loop = make_loop("dit")
    num_blocks = len(loop.transformer.transformer_blocks)

    with pytest.raises(ValueError, match=rf"^`blocks` must be below {num_blocks}, got \(9,\)$"):
        tenuto.accelerate(loop, replace(REUSE, blocks=(9,)))
    for blocks in ((), (-1,)):
        with pytest.raises(ValueError, match=r"^`blocks` must be None or numbers from 0, got"):
            replace(REUSE, blocks=blocks)


@pytest.mark.parametrize("interval", [2, 3, 5])
def test_sparse_iterations_are_those_of_the_engine(interval, make_loop):
    ratios = (0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0, 0.0)
    reuse = tenuto.FFNReuse(interval=interval, warmup=1)
    loop = make_loop("dit")

    _, stats = run(loop, tenuto.DiTo(schedule=ratios), reuse, num_steps=8)

    foretold = [step for step in sparse_iterations(reuse, ratios) if ratios[step] == 0]
    num_blocks = len(loop.transformer.transformer_blocks)
    dense = stats.dense_reasons["dense iteration of FFN-Reuse"]
    assert dense == num_blocks * (ratios.count(0.0) - len(foretold))
