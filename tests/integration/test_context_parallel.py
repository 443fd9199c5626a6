"""diffusers' context parallelism: two real processes on gloo against one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = ("wan", "flux", "qwen")
TECHNIQUES = ("forecast", "partial", "kept keys", "adaptive", "forecast and reuse")
FLOAT_TOLERANCE = 2e-5

pytestmark = pytest.mark.slow
each_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.context_parallel_worker",
                str(rank),
                str(folder),
            ],
            cwd=ROOT,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@each_family
def test_dense_runs_agree_with_one_process(ranks, family):
    assert all(rank[family]["off"] < FLOAT_TOLERANCE for rank in ranks)


@each_family
def test_a_neutral_setting_changes_no_bit(ranks, family):
    assert all(rank[family]["neutral is exact"] for rank in ranks)


@each_family
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_removed_hooks_leave_no_bit_behind(ranks, family, technique):
    assert all(rank[family][f"exact after {technique}"] for rank in ranks)


@each_family
def test_forecasts_of_whole_steps_equal_those_of_one_process(ranks, family):
    for rank in ranks:
        assert rank[family]["forecast"] < FLOAT_TOLERANCE
        assert rank[family]["hooks later"] < FLOAT_TOLERANCE
        assert rank[family]["forecast changed"] > 10 * FLOAT_TOLERANCE


@each_family
@pytest.mark.parametrize("technique", ["partial", "kept keys"])
def test_reduced_steps_equal_one_process_that_matches_in_the_same_halves(ranks, family, technique):
    for rank in ranks:
        assert rank[family][technique] < FLOAT_TOLERANCE
        assert rank[family][f"{technique} changed"] > 10 * FLOAT_TOLERANCE


@each_family
@pytest.mark.parametrize("technique", ["partial", "kept keys"])
def test_both_ranks_save_the_share_that_one_process_saves(ranks, family, technique):
    for rank in ranks:
        stats, alone = rank[family][f"{technique} stats"], rank[family][f"{technique} stats alone"]
        assert stats["calls_reduced"] == alone["calls_reduced"]
        assert stats["macs_dense"] / stats["macs_done"] == pytest.approx(
            alone["macs_dense"] / alone["macs_done"], rel=0.05
        )


@each_family
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_ranks_decide_alike_and_end_with_the_same_sample(ranks, family, technique):
    first, second = (rank[family] for rank in ranks)

    assert first[f"{technique} checksum"] == second[f"{technique} checksum"]
    for count in ("calls_reduced", "calls_dense", "macs_done", "macs_dense"):
        assert first[f"{technique} stats"][count] == second[f"{technique} stats"][count]


def test_ranks_agree_on_a_count_that_they_did_not_find_alike(ranks):
    """Else the agreement itself would never have been tried."""
    first, second = (rank["wan"] for rank in ranks)

    assert first["adaptive found"] != second["adaptive found"]
