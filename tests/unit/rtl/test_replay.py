# amaranth: UnusedElaboratable=no
"""Samples of a trace on the units."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("pyarrow")

from tenuto.cli import main
from tenuto.errors import TraceFormatError
from tenuto.rtl.ladder import check
from tenuto.rtl.replay import matching_case, merging_case, predicting_case, recorded_cases
from tenuto.rtl.verilated import is_available
from tenuto.traces import Manifest, TraceWriter


def random_tokens(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(4).integers(-127, 128, shape).astype(np.int8)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    random = np.random.default_rng(5)
    manifest = Manifest(
        model="tiny", kind="recorded", num_steps=1, num_blocks=1, tile_rows=16, seed=3
    )
    folder = tmp_path / "trace"
    with TraceWriter(folder, manifest) as writer:
        for number, rows in enumerate((16, 5)):
            writer.sample(f"conmerge/{number:04}/mask", random.random((rows, 40)) < 0.2)
        writer.sample("datm/0000/tokens", random_tokens((2, 4, 3)))
        writer.sample("datm/0000/members", np.arange(8, dtype=np.int32).reshape(2, 4))
        writer.sample("datm/0000/size", np.array([8, 3, 3, 1], np.int32))
        writer.sample("eager/0000/query", random.integers(-31, 32, (3, 10)).astype(np.int16))
        writer.sample("eager/0000/key", random.integers(-31, 32, (5, 10)).astype(np.int16))
        writer.sample("eager/0000/setting", np.array([6, 2, -1]))
    return folder


def test_every_kind_of_sample_becomes_a_case(trace: Path) -> None:
    assert [name for name, _ in recorded_cases(trace)] == ["conmerge", "datm", "eager-row"]


def test_a_trace_without_samples_is_refused(trace: Path) -> None:
    with pytest.raises(TraceFormatError):
        list(recorded_cases(trace.parent))


def test_rows_that_a_last_block_lacks_need_nothing() -> None:
    case = merging_case([np.ones((1, 3), bool)])

    assert len(case.inputs) == 3
    assert case.inputs[:, 0].tolist() == [1, 1, 1 | 1 << 16]


def test_windows_that_lack_members_are_left_out() -> None:
    members = np.array([[0, 1, 2], [3, 4, -1]], np.int32)

    case = matching_case(random_tokens((2, 3, 2)), members, 3, 2)
    assert case is not None

    assert len(case.outputs) == 3
    check(case)
    assert matching_case(random_tokens((1, 3, 2)), members[1:], 1, 0) is None


@pytest.mark.parametrize("margin", [-1, 0, 2**40])
def test_a_predicted_head_keeps_what_golden_keeps_for_any_margin(margin: int) -> None:
    random = np.random.default_rng(6)
    query, key = (random.integers(-31, 32, (n, 10)).astype(np.int16) for n in (3, 5))

    check(predicting_case(query, key, 6, 2, margin))


@pytest.mark.slow
@pytest.mark.skipif(not is_available(), reason="no Verilator or no g++")
def test_replay_says_how_fast_it_was(trace: Path, capsys) -> None:
    assert main(["rtl", "verify", "--replay", str(trace)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["conmerge", "datm", "eager-row"]
    assert all(line.endswith("cycles/s") for line in lines)
