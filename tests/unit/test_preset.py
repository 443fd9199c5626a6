"""Presets as text: what a folder may say, and what it may not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tenuto
from tenuto import presets
from tenuto.integration.preset import built

GOOD = 'techniques = ["dito:ratio=0.5,interval=3", "ffn-reuse:sparsity=0.9"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a pipeline with a preset in it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    (folder / presets.FILE_NAME).write_text(GOOD)
    return folder


def write(folder: Path, text: str) -> Path:
    (folder / presets.FILE_NAME).write_text(text)
    return folder


def test_a_folder_and_its_file_give_the_techniques_that_it_lists(folder):
    expected = (tenuto.DiTo(ratio=0.5, interval=3), tenuto.FFNReuse(sparsity=0.9))

    assert presets.load(folder) == expected
    assert presets.load(folder / "tenuto.toml") == expected
    assert presets.load(str(folder)) == expected


def test_techniques_joined_by_plus_are_as_good_as_two_items(folder):
    write(folder, 'techniques = ["dito:ratio=0.5,interval=3+ffn-reuse:sparsity=0.9"]')

    assert presets.load(folder) == (
        tenuto.DiTo(ratio=0.5, interval=3),
        tenuto.FFNReuse(sparsity=0.9),
    )


def test_every_form_of_a_config_builds_the_same(folder):
    specs = ("dito:ratio=0.5,interval=3", "ffn-reuse:sparsity=0.9")
    forms = [
        presets.Preset(techniques=specs, strict=False),
        {"techniques": list(specs), "strict": False},
        write(folder, GOOD + "strict = false\n"),
        str(folder / "tenuto.toml"),
    ]

    assert {built(form) for form in forms} == {(presets.load(folder), False)}


def test_a_calibration_is_taken_from_the_folder_and_a_shipped_one_by_its_name(folder):
    (folder / "fast.safetensors").touch()
    write(folder, 'techniques = ["dito:schedule=fast.safetensors"]')
    (own,) = presets.load(folder)
    write(folder, 'techniques = ["dito:schedule=emoji-video-unipc40-2x"]')
    (shipped,) = presets.load(folder)

    assert own.schedule == str(folder / "fast.safetensors")
    assert shipped.schedule == "emoji-video-unipc40-2x"


def test_a_snapshot_of_a_hub_keeps_its_files_as_links(tmp_path):
    repo = tmp_path / "models--someone--model"
    snapshot, blobs = repo / "snapshots" / "abc", repo / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").write_text('techniques = ["dito:schedule=fast.safetensors"]')
    (blobs / "2").touch()
    (snapshot / "tenuto.toml").symlink_to("../../blobs/1")
    (snapshot / "fast.safetensors").symlink_to("../../blobs/2")

    (technique,) = presets.load(snapshot)

    assert technique.schedule == str(snapshot / "fast.safetensors")


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", "link"])
def test_a_file_outside_the_folder_is_refused(folder, tmp_path, name):
    outside = tmp_path / "outside.safetensors"
    outside.touch()
    (folder / "link.safetensors").symlink_to(outside)
    name = {"/outside.safetensors": str(outside), "link": "link.safetensors"}.get(name, name)
    write(folder, f"techniques = ['dito:schedule={name}']")

    with pytest.raises(
        ValueError, match=r"^tenuto\.toml: `file` must lie in the preset's own folder"
    ):
        presets.load(folder)


def test_a_preset_that_is_a_link_out_of_its_folder_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere.toml").write_text(GOOD)
    (folder / "tenuto.toml").unlink()
    (folder / "tenuto.toml").symlink_to(tmp_path / "elsewhere.toml")

    with pytest.raises(ValueError, match="must lie in the preset's own folder"):
        presets.load(folder)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("techniques = [", ValueError, r"^`tenuto\.toml` must be a TOML file, got "),
        (
            "a = " + "[" * 20_000,
            ValueError,
            r"^`tenuto\.toml` must be a TOML file, got one nested too deeply$",
        ),
        ("#" * 70_000, ValueError, r"^tenuto\.toml must have at most 65536 bytes, got 70000$"),
        ("", ValueError, r"^tenuto: missing keys \['techniques'\]"),
        ("techniques = []", ValueError, "^tenuto: `techniques` must name at least one technique"),
        ("techniques = 'dito'", TypeError, r"^`tenuto\.techniques` must be a tuple with each item"),
        (GOOD + "speed = 2", ValueError, r"^tenuto: unknown keys \['speed'\]; known keys are"),
        ("techniques = ['fbc']", ValueError, r"^tenuto\.toml: `technique` must be one of .*'fbc'$"),
        (
            "techniques = ['dito:ratio=2']",
            ValueError,
            r"^tenuto\.toml: dito: `ratio` must be in \[0, 1\], got 2\.0$",
        ),
        ("techniques = ['dito', 'tofu']", ValueError, r"^tenuto\.toml: .*got \['DiTo', 'ToFu'\]$"),
        (
            "techniques = ['dito:schedule=gone.safetensors']",
            ValueError,
            r"^tenuto\.toml: `schedule` must name a file beside the preset, got 'gone\.safeten",
        ),
    ],
)
def test_a_bad_preset_says_what_is_wrong_in_one_sentence(folder, text, error, message):
    write(folder, text)

    with pytest.raises(error, match=message) as caught:
        presets.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["someone/model", "", "tests"])
def test_a_path_without_a_preset_says_what_to_give(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ValueError, match=r"`path` must be a TOML file or a local folder with"):
        presets.load(path)


def test_a_config_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="`config` must be a Preset, a mapping"):
        built(tenuto.DiTo())  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_preset_or_a_sentence(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / "tenuto.toml").write_bytes(content)

    with pytest.raises((ValueError, TypeError), match=r"tenuto"):
        presets.load(folder)
