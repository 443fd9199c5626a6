"""`tenuto rtl` from the command line."""

from pathlib import Path

import pytest

pytest.importorskip("amaranth")

from tenuto.cli import main


def test_verify_says_what_agreed(capsys) -> None:
    assert main(["rtl", "verify", "restore"]) == 0
    assert "golden to the bit" in capsys.readouterr().out


def test_verify_writes_waveforms_where_it_is_told(tmp_path: Path) -> None:
    assert main(["rtl", "verify", "gather", "--vcd", str(tmp_path / "waves")]) == 0

    assert (tmp_path / "waves" / "gather.vcd").stat().st_size > 1000


@pytest.mark.parametrize("action", ["emit", "verify", "lint", "prove", "area"])
def test_an_unknown_unit_is_refused_with_the_known_ones(action: str, capsys) -> None:
    assert main(["rtl", action, "alu"]) == 2
    assert "`UNIT` must be one of" in capsys.readouterr().err


def test_a_missing_library_ends_with_status_one(tmp_path: Path, capsys) -> None:
    assert main(["rtl", "area", "gather", "--liberty", str(tmp_path / "none.lib")]) == 1
    assert "no Liberty file" in capsys.readouterr().err


def test_without_amaranth_the_extra_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr("tenuto.cli_rtl.find_spec", lambda name: None)

    assert main(["rtl", "verify"]) == 1
    assert "pip install 'tenuto[rtl]'" in capsys.readouterr().err


@pytest.mark.slow
def test_emitted_verilog_has_the_streams_as_ports(tmp_path: Path) -> None:
    assert main(["rtl", "emit", "gather", "--out", str(tmp_path)]) == 0

    text = (tmp_path / "gather.v").read_text(encoding="utf-8")
    assert "module top(" in text
    assert all(f"{side}__{name}" in text for side in "io" for name in ("payload", "valid"))
