"""Packages against declared ranges: what is missing, what is outside, what an extra adds."""

import re
from pathlib import Path

import pytest

from tenuto.doctor import packages
from tenuto.doctor.packages import TESTED, needed_packages, outside

ROOT = Path(__file__).parents[3]
REQUIREMENTS = (
    "numpy>=1.26",
    "torch>=2.6",
    'absent-package>=1.0; extra == "report"',
    'numpy<1.0; extra == "old"',
    'only-on-nothing>=3; sys_platform == "nothing"',
)


def names(group: tuple[packages.Package, ...]) -> list[str]:
    return [package.name for package in group]


def test_the_core_is_what_is_needed_without_any_extra_on_this_system() -> None:
    assert names(needed_packages(requirements=REQUIREMENTS)) == ["numpy", "torch"]


def test_an_extra_is_what_it_adds_to_the_core() -> None:
    (package,) = needed_packages("report", REQUIREMENTS)

    assert package.name == "absent-package"
    assert package.needed == ">=1.0"
    assert package.is_missing
    assert not package.is_outside


def test_a_version_outside_its_range_is_found_once() -> None:
    old = needed_packages("old", REQUIREMENTS)

    (found,) = outside({"core": needed_packages(requirements=REQUIREMENTS), "a": old, "b": old})

    assert found.name == "numpy"
    assert found.is_outside
    assert not found.is_missing


def test_a_local_or_development_build_counts_as_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "version", lambda name: "2.14.0.dev3+cpu")

    (torch, *_) = (p for p in needed_packages(requirements=REQUIREMENTS) if p.name == "torch")

    assert not torch.is_outside


def test_the_tested_versions_are_those_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.replace("_", "-").split("==") for line in lines if "==" in line)

    assert {name: pinned.get(name) for name in TESTED} == TESTED


def test_every_package_of_a_users_extra_has_a_tested_version() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = text.split("[project.optional-dependencies]")[1].split("\ndocs = [")[0]
    wanted = set(re.findall(r'"([a-z0-9-]+)[><~=]', extras))

    assert wanted <= set(TESTED)
