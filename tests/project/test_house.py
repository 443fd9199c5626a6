"""Rules of CONTRIBUTING.md that a machine can see."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src" / "tenuto").rglob("*.py"))
NAMES_WITHOUT_AN_IDEA = {"utils", "common", "helpers", "base", "manager", "misc"}
LONGEST_MODULE_LINES = 300

each_module = pytest.mark.parametrize(
    "module", MODULES, ids=[str(path.relative_to(ROOT / "src")) for path in MODULES]
)


def test_there_are_modules_to_check() -> None:
    assert ROOT / "src" / "tenuto" / "errors.py" in MODULES


@each_module
def test_a_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


@each_module
def test_a_module_is_short_and_named_for_its_idea(module: Path) -> None:
    assert module.stem not in NAMES_WITHOUT_AN_IDEA
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE_LINES


@each_module
def test_a_module_lies_in_a_package(module: Path) -> None:
    assert (module.parent / "__init__.py").exists()


def unsafe_loads(source: str) -> list[str]:
    """Names of whatever could run code from a weights file: pickle and torch.load."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.endswith("pickle")]
        if isinstance(node, ast.ImportFrom):
            found += [node.module] if node.module and node.module.endswith("pickle") else []
            found += ["torch.load"] if node.module == "torch" and "load" in names_of(node) else []
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load":
            found.append("torch.load")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found += [] if ast.unparse(node.value) == "False" else ["allow_pickle"]
    return found


def names_of(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import load",
        "x = torch.load(f)",
        "from torch import load",
        "numpy.load(f, allow_pickle=True)",
    ],
)
def test_the_check_for_unsafe_loads_can_fail(source: str) -> None:
    assert len(unsafe_loads(source)) == 1


@each_module
def test_a_module_never_loads_a_pickle(module: Path) -> None:
    assert unsafe_loads(module.read_text(encoding="utf-8")) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    texts = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run")]

    for path in [*texts, *MODULES, *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for place in ("/" + "home/", "/" + "root/", "file:/" + "/", "/" + "opt/"):
            assert place not in text, f"{path}: {place}"
