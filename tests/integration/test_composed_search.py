"""The whole search on a tiny model, its jobs done in this process."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.integration import tiny_models
from tests.integration.conftest import Loop

import tenuto
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.quality import psnr_db
from tenuto.evaluation.search import worker
from tenuto.evaluation.search.choose import Target
from tenuto.evaluation.search.evaluations import Evaluations
from tenuto.evaluation.search.measuring import NUM_BESIDE_FIT, Measuring
from tenuto.evaluation.search.run import Budget, in_words, save_winner, search
from tenuto.integration.calibration import load_calibration

NUM_STEPS = 10
TARGETS = (Target(speed=1.4), Target(speed=1.8), Target(psnr_db=45.0))


class TinyPipeline:
    """Draws a picture of latents; the prompt says nothing, the seed all."""

    def __init__(self) -> None:
        self._loop = Loop(tiny_models.make("dit"))
        self.transformer, self.scheduler = self._loop.transformer, self._loop.scheduler

    @torch.no_grad()
    def __call__(self, prompt: str, *, generator: Any, num_inference_steps: int, **_: Any) -> Any:
        latents = self._loop(num_inference_steps, seed=generator.initial_seed())
        return SimpleNamespace(images=latents[:, :3].sigmoid())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return worker.Site(
        model="tiny",
        num_steps=NUM_STEPS,
        seed=0,
        scheduler=None,
        prompts=tuple(str(i) for i in range(2 + NUM_BESIDE_FIT)),
        num_fitted=2,
        max_gap=3,
        folder=tmp_path_factory.mktemp("search"),
    )


@pytest.fixture(scope="module")
def workload():
    return Workload(model="tiny", pipe=TinyPipeline(), num_steps=NUM_STEPS)


@pytest.fixture(scope="module")
def done(site, workload) -> Iterator[list[str]]:
    """Do all jobs here; the list holds the keys of those done."""
    keys: list[str] = []

    class Here:
        def __init__(self, *_, **__):
            pass

        def submit(self, perform, job):
            keys.append(job.key)
            future = Future()
            future.set_result(perform(job))
            return future

        def shutdown(self, **_):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenuto.evaluation.search.evaluations.ProcessPoolExecutor", Here)
        patch.setattr(worker, "_workload", lambda: workload)
        patch.setattr(worker, "_here", [site])
        yield keys


def searched(site, price="macs"):
    budget = Budget(targets=TARGETS, price=price, num_proposed=6)
    with Evaluations(site, 1, lambda name: None) as evaluations:
        return search(Measuring(site, evaluations), budget)


@pytest.fixture(scope="module")
def result(site, done):
    return searched(site)


def test_every_target_is_met_on_the_prompts_of_the_search(result):
    assert [winner.target for winner in result.winners] == list(TARGETS)
    for winner in result.winners:
        assert winner.target.is_met(winner.chosen.speed, winner.chosen.error)
        assert len(winner.chosen.psnr_db) == 3
        assert len(winner.checked.psnr_db) == 4
        assert winner.chosen.setting == winner.checked.setting


def test_a_winner_is_the_best_of_all_that_meets_its_target(result):
    for winner in result.winners:
        best = winner.target.rank(winner.chosen.speed, winner.chosen.error)
        for one in result.measured:
            if winner.target.is_met(one.speed, one.error):
                assert winner.target.rank(one.speed, one.error) <= best


def test_the_front_lies_below_no_single_technique(result):
    kinds = {frozenset(one.setting.kinds) for one in result.measured}
    assert {frozenset({kind}) for kind in ("predicted", "partial", "ffn", "eager")} <= kinds
    assert any(len(some) > 1 for some in kinds)
    for one in result.measured:
        assert any(
            other.speed >= one.speed and fmean(other.psnr_db) >= fmean(one.psnr_db)
            for other in result.front
        )


def test_a_file_does_what_was_checked(result, site, done, workload, tmp_path):
    for winner in result.winners:
        path = tmp_path / f"{winner.target.slug}.safetensors"
        with Evaluations(site, 1, lambda name: None) as evaluations:
            measuring = Measuring(site, evaluations)
            save_winner(measuring, workload, result, winner, path)
        untouched = workload.generate("", measuring.checked[0])
        with tenuto.accelerate(workload.pipe, tenuto.Composed(schedule=str(path))) as handle:
            sample = workload.generate("", measuring.checked[0])
            # Of other prompts: attention prediction skips what each prompt's scores allow.
            assert handle.stats().macs_ratio == pytest.approx(winner.chosen.speed, rel=0.05)
        assert psnr_db(sample, untouched) == pytest.approx(winner.checked.psnr_db[0])
        notes = load_calibration(str(path)).notes
        assert notes["checked_psnr_db"] == pytest.approx(fmean(winner.checked.psnr_db))
        assert len(notes["front"]) == len(result.front)


def test_the_same_search_again_measures_nothing(result, site, done):
    done.clear()

    again = searched(site)

    assert done == []
    assert again == result


def test_a_search_that_was_cut_short_ends_as_if_it_had_not_been(result, site, done):
    file = site.folder / "evaluations.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: 2 * len(whole) // 3])
    done.clear()

    again = searched(site)

    assert done
    assert [winner.chosen for winner in again.winners] == [w.chosen for w in result.winners]
    assert again.front == result.front


def test_by_time_elements_and_attention_prediction_stay_out(site, done):
    budget = Budget(targets=(Target(psnr_db=30.0),), price="time", num_proposed=3)
    with Evaluations(site, 1, lambda name: None) as evaluations:
        found = search(Measuring(site, evaluations), budget)

    assert not any("eager" in one.setting.kinds for one in found.measured)
    assert not any("element" in str(one.setting) for one in found.measured)
    assert found.winners[0].time_speedup > 0


def test_the_words_say_what_was_chosen_and_how_it_did_elsewhere(result):
    words = in_words(result)

    assert words.startswith(f"front of {len(result.measured)} settings, by operations:\n")
    assert words.count("on 4 prompts that the search did not see: ") == 3
    for winner in result.winners:
        assert str(winner.chosen.setting) in words


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"targets": ()}, "`--target-speed` or `--target-psnr` must be given, got neither"),
        ({"num_proposed": -1}, "`--evaluations` must be at least 0, got -1"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(fields, text):
    with pytest.raises(ValueError, match=text):
        Budget(**{"targets": TARGETS, "price": "macs", "num_proposed": 1, **fields})


@pytest.mark.parametrize(
    ("field", "least", "option"),
    [("max_gap", 2, "max-gap"), ("num_fitted", 1, "prompts"), ("num_steps", 5, "steps")],
)
def test_a_search_of_too_little_is_refused(site, field, least, option):
    text = f"^`--{option}` must be at least {least} for a search, got {least - 1}$"
    with pytest.raises(ValueError, match=text):
        replace(site, **{field: least - 1})
