"""`tenuto simulate`: a table, a JSON object, and one sentence for what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tenuto.cli import main
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.store import save


def test_a_workload_is_simulated_beside_a_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.json"

    status = main(["simulate", "dit", "--accelerator", "orbis", "--accelerator", "exion24",
                   "--baseline", "a100", "--json", str(file)])  # fmt: skip

    shown = capsys.readouterr().out
    content = json.loads(file.read_text())
    assert status == 0
    assert "simulated, not measured" in shown
    assert "sparsity assumed" in shown
    assert "array_busy" in shown
    assert [report["accelerator"] for report in content["reports"]] == ["orbis", "exion24"]
    assert content["baseline"]["accelerator"] == "a100"
    assert all(report["simulated"] for report in content["reports"])


def test_a_simulation_and_a_sweep_become_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "design.toml"
    design.write_text('traces = ["mdm"]\naccelerators = ["tenuto1"]\n[vary]\nnum_cores = [8, 16]\n')
    folder = tmp_path / "sim"

    assert main(["simulate", "mdm", "--accelerator", "exion4", "--report", str(folder)]) == 0
    first = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert main(["report", str(folder)]) == 0
    assert main(["sweep", str(design), "--workers", "1"]) == 0
    assert main(["report", str(tmp_path / "design.jsonl")]) == 0

    assert (folder / "report.html").read_text() == first
    assert "mdm on accelerators" in first
    assert "2 points on 1 trace" in (tmp_path / "design.html").read_text()
    assert str(tmp_path / "design.html") in capsys.readouterr().out


def test_a_folder_gives_what_its_name_gives(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save(scaled_trace("mdm", "exion"), tmp_path / "run")

    main(["simulate", str(tmp_path / "run"), "--accelerator", "exion4"])
    from_folder = capsys.readouterr().out
    main(["simulate", "mdm", "--recipe", "exion", "--accelerator", "exion4"])

    assert capsys.readouterr().out == from_folder


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing", "--accelerator", "orbis"], 2, "`trace` must be a trace folder or one of"),
        (["dit", "--accelerator", "tpu"], 2, "`accelerator` must be a .toml file, a .json"),
        (["dit", "--accelerator", "orbis", "--recipe", "x"], 2, "`recipe` must be one of"),
        (["dit", "--accelerator", "orbis", "--json", "no/such/file"], 2, "`--json` must be in"),
        (["tests", "--accelerator", "orbis"], 1, "is no finished trace"),
        (["dit", "--accelerator", "orbis", "--sparsity-from", "tests"], 1, "is no finished trace"),
        (
            ["tests", "--accelerator", "orbis", "--sparsity-from", "tests"],
            2,
            "`--sparsity-from` must come with a workload's name",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)

    assert main(["simulate", *arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith("tenuto simulate: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed = 3\n", "chip: unknown keys ['speed']"),
        ("dram = 960e9\n", "`chip.dram` must be"),
        ("clock_hz = 0.0\n", "chip: `clock_hz` must be greater than 0, got 0.0"),
    ],
)
def test_a_mistake_in_a_machines_file_is_named_with_its_path(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.resources import files

    preset = (files("tenuto.accelerators") / "presets" / "dense.toml").read_text()
    key = text.split(" =", maxsplit=1)[0]
    kept = [line for line in preset.splitlines() if not line.startswith(f"{key} =")]
    if key == "dram":
        start = kept.index("[dram]")
        del kept[start : start + 3]
    file = tmp_path / "chip.toml"
    file.write_text(text + "\n".join(kept))

    assert main(["simulate", "mld", "--accelerator", str(file)]) == 2
    assert message in capsys.readouterr().err


def test_the_table_names_the_run_that_gave_the_sparsity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = scaled_trace("mdm", "exion")
    manifest = replace(run.manifest, kind="recorded", model="my run")
    save(replace(run, manifest=manifest), tmp_path / "run")

    main(["simulate", "dit", "--recipe", "exion", "--accelerator", "exion4",
          "--sparsity-from", str(tmp_path / "run")])  # fmt: skip

    assert "scaled: sparsity of tiles of the recorded run of my run (" in capsys.readouterr().out
