"""Sweeps: what a file asks for, run once each, kept through a kill."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tenuto.accelerators.sweep import points_of, read_sweep
from tenuto.accelerators.sweep_results import Results, pareto_front
from tenuto.accelerators.sweep_run import run_sweep
from tenuto.errors import HardwareError, MissingExtraError

DESIGN = """
traces = ["mld", "mdm"]
accelerators = ["exion4"]
[vary]
num_cores = [2, 4]
"sram.capacity_bytes" = [1000000, 2000000]
"""


def design(folder: Path, text: str = DESIGN) -> Path:
    file = folder / "design.toml"
    file.write_text(text)
    return file


def run(folder: Path, **settings: Any) -> tuple[list[str], Results]:
    """Run a sweep; return what was newly simulated, and all results."""
    done: list[str] = []
    results = Results(folder / "out.jsonl")
    points = points_of(read_sweep(folder / "design.toml"))
    run_sweep(points, results, num_workers=settings.pop("num_workers", 1), step=done.append,
              **settings)  # fmt: skip
    return done, results


def test_every_combination_is_run_once(tmp_path: Path) -> None:
    design(tmp_path)

    done, results = run(tmp_path)

    assert len(done) == 2 * 2 * 2
    assert len(results.rows) == 8
    assert {row["changes"]["num_cores"] for row in results.rows.values()} == {2, 4}
    assert all(row["simulated"] for row in results.rows.values())


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    design(tmp_path)
    _, one = run(tmp_path)
    (tmp_path / "out.jsonl").unlink()

    _, two = run(tmp_path, num_workers=2)

    assert two.rows == one.rows


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    design(tmp_path)
    run(tmp_path)
    before = (tmp_path / "out.jsonl").read_bytes()

    done, _ = run(tmp_path)

    assert done == []
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_after_a_kill_in_the_middle_of_a_line_only_the_rest_is_run(tmp_path: Path) -> None:
    design(tmp_path)
    _, whole = run(tmp_path)
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:-9])

    done, results = run(tmp_path)

    assert len(done) == 5
    assert results.rows == whole.rows
    assert Results(tmp_path / "out.jsonl").rows == whole.rows


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    design(tmp_path)
    code = (
        "import os, sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from tenuto.accelerators.sweep import points_of, read_sweep\n"
        "from tenuto.accelerators.sweep_results import Results\n"
        "from tenuto.accelerators.sweep_run import run_sweep\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "seen = []\n"
        "def step(name):\n"
        "    seen.append(name)\n"
        "    if len(seen) == 3: os.kill(os.getpid(), 9)\n"
        "points = points_of(read_sweep(folder / 'design.toml'))\n"
        "run_sweep(points, Results(folder / 'out.jsonl'), num_workers=1, step=step)\n"
    )
    source = str(Path(__file__).parents[3] / "src")
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path), source], check=False)
    assert killed.returncode == -9

    done, results = run(tmp_path)

    assert len(done) == 8 - 3
    assert len(results.rows) == 8


def test_a_full_disk_is_one_sentence_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design(tmp_path)
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HardwareError, match=r"No space left on device\); 2 results are kept"):
        run(tmp_path)
    monkeypatch.undo()

    done, _ = run(tmp_path)

    assert len(done) == 6


def test_a_file_that_is_no_results_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text('{"a": 1}\n')

    with pytest.raises(HardwareError, match=r"line 1 of out\.jsonl is no result of a sweep"):
        Results(tmp_path / "out.jsonl")


def test_ray_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingExtraError, match=r"`--ray` needs ray: pip install 'tenuto\[ray\]'"):
        run(tmp_path, ray_address="127.0.0.1:6379")


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("127.0.0.1:1", HardwareError, r"no Ray cluster answers at '127\.0\.0\.1:1': .*refused"),
        ("127.0.0.1:99999", HardwareError, "no Ray cluster answers at '127.0.0.1:99999'"),
        ("head", ValueError, "`--ray` must be HOST:PORT or auto, got 'head'"),
    ],
)
def test_an_address_that_does_not_answer_is_refused_at_once(
    address: str, kind: type[Exception], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    design(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))

    with pytest.raises(kind, match=message):
        run(tmp_path, ray_address=address)


ON_TWO_NODES = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from tenuto.accelerators.sweep import points_of, read_sweep
from tenuto.accelerators.sweep_results import Results
from tenuto.accelerators.sweep_run import run_sweep

small = {"num_cpus": 1, "object_store_memory": 2**27}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
cluster.add_node(**small)
folder, done = Path(sys.argv[1]), []
points = list(points_of(read_sweep(folder / "design.toml")))
results = Results(folder / "out.jsonl")
run_sweep(points[:3], results, ray_address=cluster.address, step=done.append)
run_sweep(points, results, ray_address=cluster.address, step=done.append)
cluster.shutdown()
print(json.dumps(len(done)))
"""


@pytest.mark.slow
def test_a_ray_cluster_of_two_nodes_gives_what_processes_give(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    design(tmp_path)

    ended = subprocess.run(
        [sys.executable, "-c", ON_TWO_NODES, str(tmp_path)], check=True, timeout=600,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip

    on_ray = Results(tmp_path / "out.jsonl").rows
    (tmp_path / "out.jsonl").unlink()
    _, here = run(tmp_path)
    assert json.loads(ended.stdout.splitlines()[-1]) == len(on_ray) == 8
    assert on_ray == here.rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DESIGN.replace("num_cores", "num_coers"), r"vary: unknown keys \['num_coers'\]"),
        (
            DESIGN.replace("sram.capacity", "cache.capacity"),
            r"`vary` must name fields of 'exion4', got 'cache\.capacity_bytes'",
        ),
        (
            DESIGN.replace("sram.capacity_bytes", "sram.size"),
            r"vary\.sram: unknown keys \['size'\]",
        ),
        (DESIGN.replace("[2, 4]", "4"), "must give each field a list of values"),
        (DESIGN.replace("[2, 4]", "[0]"), "`num_cores` must be greater than 0, got 0"),
        (DESIGN.replace("[1000000, 2000000]", "[10]"), "must hold two operand tiles"),
        (DESIGN.replace('"exion4"', '"a100"'), "`accelerators` must not name GPUs, got 'a100'"),
        (DESIGN.replace("traces", "tracs"), r"design: unknown keys \['tracs'\]"),
        ("recipes = 3\n" + DESIGN, r"`design\.recipes` must be a tuple"),
        ('recipes = ["best"]\n' + DESIGN, r"`recipes` must be of .*, got \['best'\]"),
        (DESIGN.replace("]", "", 1), r"`design\.toml` must be a TOML file, got "),
    ],
)
def test_a_mistake_in_the_file_is_named_before_anything_runs(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        read_sweep(design(tmp_path, text))


def test_the_pareto_front_has_what_nothing_else_beats() -> None:
    def row(name: str, seconds: float, joules: float, trace: str = "a") -> dict[str, Any]:
        return {"key": name, "trace": trace, "seconds": seconds, "energy_j": joules, "area_mm2": 1}

    rows = [row("fast", 1, 3), row("frugal", 3, 1), row("beaten", 3, 3), row("alone", 9, 9, "b")]

    assert [r["key"] for r in pareto_front(rows)] == ["fast", "frugal", "alone"]


def test_the_command_sweeps_and_says_what_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenuto.cli import main

    file = design(tmp_path)
    arguments = ["sweep", str(file), "--workers", "1", "--json", str(tmp_path / "front.json")]

    assert main(arguments) == 0
    assert "8 points, 8 of them new" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "8 points, 0 of them new" in capsys.readouterr().out
    front = json.loads((tmp_path / "front.json").read_text())
    assert front["points"] == 8
    assert front["simulated"] is True
