"""A comparison measured on a local Ray cluster of two workers is that of this process."""

import json

import pytest
import torch

from tenuto.errors import MissingExtraError
from tenuto.evaluation.compare import compare
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.measuring import running_total
from tenuto.evaluation.ray_workers import on_ray
from tenuto.evaluation.samples import Plan

CAPTIONS = ("a heart over the sky", "a frog over the sea", "a star over the city")
SPECS = ("fewer-steps:2", "dito:warmup=1,interval=2", "orbis:warmup=1,loss_threshold=0.05")


def test_without_ray_the_option_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)

    with pytest.raises(MissingExtraError, match=r"^`--ray` needs ray: pip install 'tenuto\[ray\]'"):
        on_ray("auto")


def test_counts_of_single_samples_add_up_to_those_of_one_handle():
    one = {
        "modules_hooked": 9, "calls_reduced": 4, "macs_done": 10, "matching_s": 0.5,
        "state_bytes_peak": 7, "dense_reasons": {"warmup": 2}, "shift_adds": 0,
    }  # fmt: skip
    other = {**one, "state_bytes_peak": 8, "dense_reasons": {"warmup": 1, "no pairs yet": 1}}

    assert running_total([one, other]) == {
        "modules_hooked": 9, "calls_reduced": 8, "macs_done": 20, "matching_s": 1.0,
        "state_bytes_peak": 8, "dense_reasons": {"warmup": 3, "no pairs yet": 1}, "shift_adds": 0,
    }  # fmt: skip


@pytest.mark.slow
def test_two_workers_give_what_this_process_gives(tmp_path):
    ray = pytest.importorskip("ray")
    torch.set_num_threads(1)
    workload = load_workload("emoji-image", num_steps=4)

    def plan(folder: str) -> Plan:
        return Plan(
            workload=workload, contenders=tuple(map(contender, SPECS)), prompts=CAPTIONS,
            folder=tmp_path / folder, num_timed_runs=0,
        )  # fmt: skip

    here = compare(plan("here"))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        there = compare(plan("there"), measure_all=on_ray("auto"))
        again = compare(plan("there"), measure_all=on_ray("auto"))  # all of it is on disk
    finally:
        ray.shutdown()

    for result in (here, there, again):
        for row in result["rows"]:
            row.pop("matching_s", None)
        result.pop("created")
    assert there == here and again == here
    for name in ("references", "clips", "skipped"):
        files = [file for file in (tmp_path / "here" / name).rglob("*") if file.is_file()]
        assert files
        for file in files:
            twin = tmp_path / "there" / file.relative_to(tmp_path / "here")
            assert twin.read_bytes() == file.read_bytes()
    lines = (tmp_path / "there" / "samples.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == len(SPECS) * len(CAPTIONS)
