"""What was measured is kept line by line, and not measured again."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from tenuto.errors import ResultError
from tenuto.evaluation.search.evaluations import Evaluations
from tenuto.evaluation.search.worker import Job, Site


@pytest.fixture
def site(tmp_path):
    return Site(
        model="none",
        num_steps=6,
        seed=0,
        scheduler=None,
        prompts=("a", "b"),
        num_fitted=1,
        max_gap=2,
        folder=tmp_path / "one.search",
    )


def jobs(*numbers):
    """Jobs that any process can do: each finds its own number."""
    return [Job(key=f"number {n}", measure=dict, arguments=((("n", n),),)) for n in numbers]


def lines(site) -> list[str]:
    return (site.folder / "evaluations.jsonl").read_text().splitlines()


@pytest.fixture
def without_processes(monkeypatch):
    """Do the jobs in this process; returns the keys of those done."""
    done: list[str] = []

    class Here:
        def __init__(self, *_, **__):
            done.clear()

        def submit(self, perform, job):
            done.append(job.key)
            future = Future()
            future.set_result(perform(job))
            return future

        def shutdown(self, **_):
            pass

    module = "tenuto.evaluation.search.evaluations.ProcessPoolExecutor"
    monkeypatch.setattr(module, Here)
    return done


def test_what_was_measured_is_not_measured_again(site, without_processes):
    with Evaluations(site, 1, lambda done: None) as first:
        first.run(jobs(1, 2))

    with Evaluations(site, 2, lambda done: None) as second:
        second.run(jobs(1, 2, 3))

    assert without_processes == ["number 3"]
    assert [second[f"number {n}"] for n in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert sorted(second.keys("number")) == ["number 1", "number 2", "number 3"]


def test_a_last_line_that_was_cut_short_is_measured_again(site, without_processes):
    with Evaluations(site, 1, lambda done: None) as first:
        first.run(jobs(1, 2))
    whole = lines(site)
    (site.folder / "evaluations.jsonl").write_text(f"{whole[0]}\n{whole[1][:-9]}")

    with Evaluations(site, 1, lambda done: None) as second:
        second.run(jobs(1, 2))

    assert len(without_processes) == 1
    assert sorted(lines(site)) == sorted(whole)


def test_a_broken_line_before_the_last_is_refused(site, without_processes):
    with Evaluations(site, 1, lambda done: None) as first:
        first.run(jobs(1, 2))
    (site.folder / "evaluations.jsonl").write_text(f"nonsense\n{lines(site)[1]}\n")

    with pytest.raises(ResultError, match=r"line 1 of evaluations.jsonl must be an evaluation"):
        Evaluations(site, 1, lambda done: None)


@pytest.mark.parametrize(
    "change", [{"num_steps": 5}, {"prompts": ("a", "c")}, {"seed": 1}, {"max_gap": 3}]
)
def test_a_folder_of_another_search_is_refused(site, without_processes, change):
    with Evaluations(site, 1, lambda done: None) as first:
        first.run(jobs(1))

    with pytest.raises(ResultError, match="`out` must be new or of the same search"):
        Evaluations(replace(site, **change), 1, lambda done: None)


def test_a_search_may_move_to_another_folder(site, without_processes, tmp_path):
    with Evaluations(site, 1, lambda done: None) as first:
        first.run(jobs(1))
    site.folder.rename(tmp_path / "moved")

    moved = Evaluations(replace(site, folder=tmp_path / "moved"), 1, lambda done: None)

    assert moved["number 1"] == {"n": 1}


def test_no_process_is_refused(site):
    with pytest.raises(ValueError, match=r"^`--workers` must be at least 1, got 0$"):
        Evaluations(site, 0, lambda done: None)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(site, tmp_path):
    found = []
    for num_workers in (1, 2):
        folder: Path = tmp_path / str(num_workers)
        with Evaluations(replace(site, folder=folder), num_workers, lambda done: None) as some:
            some.run(jobs(*range(5)))
            found.append([some[f"number {n}"] for n in range(5)])

    assert found[0] == found[1]
