"""No file can do more than be refused: TenutoError, ValueError or TypeError, and never a hang."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.hostile import NESTED, altered_json, damaged

import tenuto.traces
from tenuto.accelerators.machines import load
from tenuto.accelerators.sweep import read_sweep
from tenuto.accelerators.sweep_results import Results, pareto_front
from tenuto.config import parse_spec, split_specs
from tenuto.errors import TenutoError
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.samples import read_samples
from tenuto.integration.calibration import Calibration, load_calibration, save_calibration
from tenuto.report.clips import read_clip
from tenuto.report.comparison import read_comparison
from tenuto.report.maps import read_maps
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.store import save
from tenuto.zoo.weights_file import read_weights

REFUSALS = (TenutoError, ValueError, TypeError)
FEW, MANY = 25, 1000

DESIGN = b'traces = ["mld"]\naccelerators = ["exion4"]\n[vary]\nnum_cores = [2, 4]\n'
CHIP = b'name = "mine"\nnum_cores = 2\n[array]\nkind = "dense"\n'
COMPARISON = {
    "schema": 1,
    "model": "emoji-video",
    "prompts": ["a frog"],
    "reference": {"seconds_median": 1.0},
    "machine": {"cpu": "x"},
    "versions": {"torch": "2"},
    "rows": [
        {
            "technique": "dito", "slug": "dito", "kind": "tenuto", "params": {"ratio": 1.0},
            "psnr_db": 30.0, "psnr_ci95_db": [29.0, 31.0], "psnr_per_prompt": [30.0, None],
            "speedup": 1.5, "macs_ratio": 2.0, "identical": False, "dense_reasons": {"x": 1},
        }
    ],
}  # fmt: skip
MAPS = {"pmr": {"a": [[1.0, 0.5], [0.5, 1.0]]}, "actions": {"dito": [[0.0, 1.0]]}}
SAMPLE = {"spec": "dito", "prompt": "a frog", "of": {"model": "m"}, "psnr_db": 30.0}
SWEPT = {
    "key": "0123", "trace": "mld composed", "accelerator": "exion4", "changes": {"num_cores": 2},
    "seconds": 1.0, "energy_j": 2.0, "area_mm2": 3.0,
}  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """A way to read a file, and a valid one."""

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], object]


def text(content: object) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps(content) + "\n") and None


def calibration(path: Path) -> None:
    save_calibration(
        Calibration(
            model="M", scheduler="S", ratios=(0.0, 1.0), pmr=torch.eye(2),
            forecast_weights=torch.zeros(2, 3, 4), notes={"speed": 1.5},
        ),
        path,
    )  # fmt: skip


def swept(path: Path) -> object:
    results = Results(path)
    return pareto_front(list(results.rows.values()))


def clip(path: Path) -> None:
    np.save(path, np.zeros((2, 4, 4, 3), np.uint8))


READERS = [
    Reader("preset.safetensors", calibration, lambda p: load_calibration(str(p))),
    Reader("weights.safetensors", calibration, read_weights),
    Reader("design.toml", lambda p: p.write_bytes(DESIGN) and None, read_sweep),
    Reader("chip.toml", lambda p: p.write_bytes(CHIP) and None, load),
    Reader("compare.json", text(COMPARISON), read_comparison),
    Reader("maps.json", text(MAPS), read_maps),
    Reader("samples.jsonl", text(SAMPLE), lambda p: list(read_samples(p))),
    Reader("sweep.jsonl", text(SWEPT), swept),
    Reader("clip.npy", clip, read_clip),
]
each_reader = pytest.mark.parametrize("reader", READERS, ids=[r.name for r in READERS])
each_json = pytest.mark.parametrize(
    ("name", "valid", "read"),
    [(r.name, v, r.read) for r in READERS for n, v in (
        ("compare.json", COMPARISON), ("maps.json", MAPS), ("samples.jsonl", SAMPLE),
        ("sweep.jsonl", SWEPT)) if n == r.name],
)  # fmt: skip


def must_read_or_refuse(read: Callable[[Path], object], path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read(path)
    except REFUSALS as error:
        assert str(error), "a refusal must say something"


def valid_bytes(reader: Reader, folder: Path) -> bytes:
    path = folder / reader.name
    reader.make(path)
    return path.read_bytes()


def fuzz(reader: Reader, folder: Path, examples: int) -> None:
    valid, path = valid_bytes(reader, folder), folder / reader.name

    @settings(max_examples=examples, database=None)
    @given(damaged(valid))
    def attack(content: bytes) -> None:
        must_read_or_refuse(reader.read, path, content)

    attack()


@each_reader
def test_a_damaged_file_is_read_or_refused(reader, tmp_path):
    fuzz(reader, tmp_path, FEW)


@pytest.mark.slow
@each_reader
def test_a_thousand_damaged_files_are_read_or_refused(reader, tmp_path):
    fuzz(reader, tmp_path, MANY)


@each_reader
def test_nesting_without_end_and_other_oddities_are_refused(reader, tmp_path):
    for content in NESTED:
        must_read_or_refuse(reader.read, tmp_path / reader.name, content)


def test_a_clip_whose_header_is_a_torn_literal_is_refused(tmp_path):
    """numpy hands out what its tokenizer raised."""
    clip(tmp_path / "0.npy")
    content = (tmp_path / "0.npy").read_bytes()
    (tmp_path / "0.npy").write_bytes(content.replace(b"v\x00{", b"\x01\x00{", 1))

    with pytest.raises(TenutoError, match="cannot be read"):
        read_clip(tmp_path / "0.npy")


@each_json
def test_json_with_other_parts_is_read_or_refused(name, valid, read, tmp_path):
    path = tmp_path / name

    @settings(max_examples=2 * FEW, database=None)
    @given(altered_json(valid))
    def attack(content: object) -> None:
        must_read_or_refuse(read, path, json.dumps(content).encode() + b"\n")

    attack()


@pytest.fixture(scope="module")
def trace_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trace") / "mld"
    save(scaled_trace("mld"), folder)
    return folder


@pytest.mark.parametrize("name", ["manifest.json", "operations.parquet", "tiles.parquet"])
def test_a_damaged_trace_is_refused_even_under_the_right_checksum(trace_folder, name):
    path, manifest = trace_folder / name, trace_folder / "manifest.json"
    valid, listed = path.read_bytes(), manifest.read_bytes()

    @settings(max_examples=FEW, database=None)
    @given(damaged(valid[:4096]) if len(valid) < 4096 else damaged(valid))
    def attack(content: bytes) -> None:
        path.write_bytes(content)
        if path != manifest:
            listing = json.loads(listed)
            listing["sha256"][name] = tenuto.traces.writer.file_sha256(path)
            manifest.write_text(json.dumps(listing))
        try:
            tenuto.traces.open(trace_folder)
        except REFUSALS as error:
            assert str(error)

    try:
        attack()
    finally:
        path.write_bytes(valid)
        manifest.write_bytes(listed)


def test_a_trace_cannot_name_a_file_outside_of_its_folder(trace_folder):
    manifest = trace_folder / "manifest.json"
    listed = manifest.read_text()
    listing = json.loads(listed)
    listing["sha256"]["../../secret"] = "0" * 64
    manifest.write_text(json.dumps(listing))

    try:
        with pytest.raises(TenutoError, match=r"lists files that no trace has: \['\.\./"):
            tenuto.traces.open(trace_folder)
    finally:
        manifest.write_text(listed)


NAMES = st.sampled_from(
    ("dito", "orbis", "ffn-reuse", "eager", "tomesd", "toma", "fewer-steps", "taylorseer", "off",
     "fbc", "cache-dit", "", "Dito", "..", "dito-paper")
)  # fmt: skip
KEYS = st.sampled_from(
    (
        "ratio",
        "interval",
        "scope",
        "schedule",
        "window",
        "steps",
        "keys",
        "partners",
        "",
        "__class__",
    )
)
SPEC_VALUES = st.sampled_from(
    ("0.5", "1e999", "nan", "-1", "none", "attn+ffn", "", "../../etc/passwd", "3", "true",
     "9" * 400, "+", "a=b", "2+2", "\x00", "é")
) | st.text(max_size=6)  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        items = draw(st.lists(st.tuples(KEYS, SPEC_VALUES), max_size=3))
        joined = ",".join(f"{key}={value}" for key, value in items)
        parts.append(draw(NAMES) + (f":{joined}" if items else ""))
    return "+".join(parts)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(specs() | st.text(max_size=30))
def test_any_technique_on_the_command_line_is_made_or_refused(spec):
    try:
        made = contender(spec)
    except REFUSALS as error:
        assert str(error)
    else:
        assert made.spec == spec


@given(st.text(max_size=60))
def test_the_parser_of_specs_only_ever_refuses(spec):
    for part in split_specs(spec, ("dito", "ffn-reuse")):
        try:
            parse_spec(part)
        except ValueError as error:
            assert str(error)


@given(st.text(min_size=1, max_size=300))
def test_no_spec_leads_out_of_the_result_folder(name):
    slug = slug_of(f"dito:schedule={name}")

    assert Path(slug).name == slug and slug not in ("", ".", "..")
    assert slug.isascii() and len(slug) < 200


def slug_of(spec: str) -> str:
    """The file name of a spec, whether or not its settings are possible."""
    from dataclasses import replace

    return replace(contender("off"), spec=spec).slug


def test_specs_that_differ_far_behind_have_files_of_their_own():
    assert slug_of("dito:schedule=" + "a" * 300) != slug_of("dito:schedule=" + "a" * 299 + "b")


def test_a_result_whose_slug_climbs_is_refused(tmp_path):
    for slug in ("../../x", "/etc", "..", "a/b", "", ".hidden", "a\x00b"):
        row: dict[str, Any] = {**COMPARISON["rows"][0], "slug": slug}
        path = tmp_path / "compare.json"
        path.write_text(json.dumps({**COMPARISON, "rows": [row]}))

        with pytest.raises(TenutoError, match="a folder name of letters"):
            read_comparison(path)
