"""What the documents state of the code, checked against the code."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def keys_under(heading: str) -> set[str]:
    """Keys in the first column of the first table after a heading of docs/results.md."""
    below = text_of("results.md").split(f"\n{heading}\n")[1]
    table = next(chunk for chunk in below.strip().split("\n\n") if chunk.startswith("|"))
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {key for cell in first_cells for key in re.findall(r"`(\w+)`", cell)}


class GreyPipeline:
    """Draws the same grey picture whatever it is asked."""

    def __init__(self) -> None:
        import torch

        self.transformer = torch.nn.Linear(1, 1)
        self.scheduler = SimpleNamespace(config={})
        self._picture = torch.full((1, 3, 16, 16), 0.5)

    def __call__(self, prompt: str, **arguments: Any) -> SimpleNamespace:
        return SimpleNamespace(images=self._picture)


def test_a_result_folder_is_as_the_document_says(tmp_path: Path) -> None:
    from tenuto.evaluation.compare import compare
    from tenuto.evaluation.contenders import contender
    from tenuto.evaluation.generation import Workload
    from tenuto.evaluation.samples import Plan

    plan = Plan(
        workload=Workload(model="grey", pipe=GreyPipeline(), num_steps=1),
        contenders=(contender("off"),),
        prompts=("a",),
        folder=tmp_path,
        num_timed_runs=1,
        notes=(("split", "seen"),),
    )

    result = compare(plan)

    assert keys_under("## compare.json") == set(result)
    assert keys_under("**reference**") == set(result["reference"])
    (sample,) = (tmp_path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert keys_under("## samples.jsonl and resuming") == set(json.loads(sample))
    files = {
        re.sub(r"\d+", "<i>", str(path.relative_to(tmp_path).as_posix())).replace("off", "<slug>")
        for path in tmp_path.rglob("*.*")
    }
    assert [file for file in files if f"`{file}`" not in text_of("results.md")] == []


def test_the_keys_of_a_row_are_those_of_the_document() -> None:
    from tenuto.evaluation.contenders import contender
    from tenuto.evaluation.rows import Untouched, result_row

    counts = ("macs_dense", "macs_done", "matching_macs", "matching_s", "state_bytes_peak")
    measures = ("psnr_db", "ssim", "ms_ssim", "flip", "temporal_psnr_db")
    stats = {**dict.fromkeys(counts, 1), "dense_reasons": {}}
    sample = {**dict.fromkeys(measures, 0.5), "stats": stats, "macs": None, "reading": None}

    row = result_row(contender("dito"), [sample], None, None, Untouched(1, 1), [None])

    assert keys_under("**rows**") == set(row)


def test_the_tensors_of_a_calibration_are_those_of_the_document(tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open

    from tenuto.integration.calibration import Calibration, save_calibration

    file = tmp_path / "all.safetensors"
    save_calibration(
        Calibration(
            model="m",
            scheduler="s",
            ratios=(0.0, 1.0),
            pmr=torch.ones(2, 2),
            forecast_weights=torch.zeros(2, 3, 4),
            notes={},
        ),
        file,
    )

    with safe_open(file, "pt") as content:
        assert keys_under("## Calibration files") == set(content.keys())
        assert f'"{content.metadata()["format"]}"' in text_of("results.md")


def settings_in_documents() -> list[str]:
    """Every setting of a technique that a document writes as code, unless it shows dots."""
    found = [
        match
        for document in DOCUMENTS
        for match in re.findall(
            r"`((?:baselines\.|tenuto\.)*"
            r"(?:DiTo|ORBIS|FFNReuse|ToMeSD|ToFu|SiTo|ToMA|AsymRnR|\w+_style)[\w.]*"
            r"\([^`]*\))`",
            document.read_text(),
        )
    ]
    return sorted({setting for setting in found if "..." not in setting})


@pytest.mark.parametrize("setting", settings_in_documents())
def test_a_setting_in_a_document_is_valid(setting: str) -> None:
    import tenuto
    from tenuto.integration.composition import composition_of

    names = {
        "tenuto": tenuto,
        "baselines": tenuto.baselines,
        "DiTo": tenuto.DiTo,
        "ORBIS": tenuto.ORBIS,
        "FFNReuse": tenuto.FFNReuse,
    }

    assert composition_of((eval(setting, {"__builtins__": {}}, names),)) is not None


def test_documents_show_settings() -> None:
    assert "DiTo.paper()" in settings_in_documents()


def commands_in(document: Path) -> Iterator[list[str]]:
    """Arguments of each indented or fenced `tenuto ...` line, comments left out."""
    text = document.read_text(encoding="utf-8")
    for line in re.findall(r"^(?: {4})?tenuto (.+)$", text.replace("\\\n", " "), re.MULTILINE):
        yield shlex.split(line, comments=True)


@each_document
def test_a_command_in_a_document_can_be_typed(document: Path) -> None:
    from tenuto.cli import _parser
    from tenuto.evaluation.contenders import contender

    for arguments in commands_in(document):
        chosen = _parser().parse_args(arguments)
        specs = getattr(chosen, "technique", [])
        for spec in [specs] if isinstance(specs, str) else specs:
            # Files that a reader makes with the command before stand for a calibration that ships.
            made = contender(re.sub(r"[\w.-]+\.safetensors", "emoji-video-unipc40-2x", spec))
            assert made.kind in ("off", "control", "peer", "tenuto")


def test_documents_show_commands() -> None:
    assert len(list(commands_in(ROOT / "docs" / "calibrate.md"))) >= 4


@each_document
def test_a_link_in_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@each_document
def test_a_path_or_module_in_a_document_exists(document: Path) -> None:
    from tenuto.presets import FILE_NAME

    text = document.read_text(encoding="utf-8")

    for path in re.findall(r"`((?:docs|src|tests|recipes|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for dotted in re.findall(r"`(tenuto(?:\.\w+)+)`", text):
        assert dotted == FILE_NAME or is_importable(dotted), dotted


def is_importable(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    from importlib import import_module

    module, _, attribute = dotted.rpartition(".")
    try:
        import_module(dotted)
    except ModuleNotFoundError:
        return hasattr(import_module(module), attribute)
    return True


def test_the_check_of_names_can_fail() -> None:
    assert is_importable("tenuto.integration.steps")
    assert not is_importable("tenuto.integration.sites")


def test_every_folder_and_module_of_the_package_has_a_place_in_the_layout() -> None:
    layout = text_of("layout.md")
    parts = [
        path.name + "/" if path.is_dir() else path.name
        for path in (ROOT / "src" / "tenuto").iterdir()
        if path.name not in ("__init__.py", "__pycache__", "py.typed")
    ]

    assert [part for part in parts if f"`{part}`" not in layout] == []
