"""The whole examination as one record, as text, and whether all is well."""

import platform
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import tenuto
from tenuto.doctor.model_folder import ModelFolder, read_model_folder
from tenuto.doctor.packages import Package, extras, needed_packages, outside, python
from tenuto.errors import MissingExtraError

if TYPE_CHECKING:  # these load torch, which may be what is missing
    from tenuto.doctor.support import Answer, Support
    from tenuto.evaluation.machine import Machine

_CORE = "core"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found.

    Attributes:
        groups: Packages of the core, then of each extra.
        machine: Processor, cores and threads; None where torch is not installed.
        folder: The model, None where none was asked for.
        supports: One for each transformer of the model.
    """

    groups: dict[str, tuple[Package, ...]]
    machine: "Machine | None"
    folder: ModelFolder | None = None
    supports: "tuple[Support, ...]" = ()

    @property
    def problems(self) -> list[str]:
        """What has to be mended, one sentence each; missing extras are no problem."""
        missing = [package.name for package in self.groups[_CORE] if package.is_missing]
        return [
            *(f"{name} is missing: install tenuto again" for name in missing),
            *(
                f"{package.name} must be {package.needed}, got {package.installed}"
                for package in outside(self.groups)
            ),
            *(support.refused for support in self.supports if support.refused),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "tenuto": tenuto.__version__,
            "machine": None if self.machine is None else asdict(self.machine),
            "packages": {
                name: [asdict(package) for package in group] for name, group in self.groups.items()
            },
            "model": None if self.folder is None else self.folder.name,
            "pipeline": None if self.folder is None else self.folder.pipeline,
            "scheduler": None if self.folder is None else self.folder.scheduler,
            "transformers": [asdict(support) for support in self.supports],
            "problems": self.problems,
        }


def examine(model: str | None = None) -> Examination:
    """Look at the installation, and at a model where one is named.

    Raises:
        ValueError: `model` is neither an embedded model nor a folder of diffusers' format.
        UnsupportedModelError: A file of the folder cannot be read, or names no transformer.
        MissingExtraError: torch or diffusers is needed for the model and not installed.
    """
    folder = None if model is None else read_model_folder(model)
    groups: dict[str, tuple[Package, ...]] = {_CORE: (python(), *needed_packages())}
    groups.update((extra, needed_packages(extra)) for extra in extras())
    return Examination(
        groups=groups,
        machine=_machine(),
        folder=folder,
        supports=() if folder is None else _supports(folder),
    )


def examination_text(found: Examination) -> str:
    """Return an examination as lines for a terminal."""
    lines = [
        f"tenuto {tenuto.__version__} on {platform.platform()}",
        _machine_line(found.machine),
        "",
        f"{'package':<20}{'installed':<20}{'works with':<18}tested",
    ]
    for name, group in found.groups.items():
        lines += ["", _heading(name, group), *map(_package_line, group)]
    if found.folder is not None:
        lines += ["", _model_line(found.folder)]
    for support in found.supports:
        lines += ["", *_support_lines(support)]
    return "\n".join([*lines, "", *(f"problem: {problem}" for problem in found.problems)]).rstrip()


def _heading(name: str, group: tuple[Package, ...]) -> str:
    missing = any(package.is_missing for package in group)
    if name == _CORE:
        return "core"
    return f"[{name}] " + (f"incomplete: pip install 'tenuto[{name}]'" if missing else "complete")


def _package_line(package: Package) -> str:
    installed = f"{package.installed or '-'}{' (!)' if package.is_outside else ''}"
    line = f"  {package.name:<18}{installed:<20}{package.needed or 'any':<18}{package.tested or ''}"
    return line.rstrip()


def _model_line(folder: ModelFolder) -> str:
    scheduler = f", {folder.scheduler}" if folder.scheduler else ""
    return f"{folder.name}: {folder.pipeline or 'a single transformer'}{scheduler}"


def _support_lines(support: "Support") -> list[str]:
    if support.refused:
        return [f"{support.place}: {support.class_name} is not supported"]
    return [
        f"{support.place}: {support.class_name}, {support.num_blocks} blocks, supported",
        *(f"  {line}" for line in support.reduced),
        *(f"  {_answer_text(answer)}" for answer in support.answers),
        *(f"  limit: {limit}" for limit in support.limits),
    ]


def _answer_text(answer: "Answer") -> str:
    verdict = "works" if answer.refused is None else f"refused: {answer.refused}"
    return f"{answer.techniques:<36}{verdict}"


def _machine_line(machine: "Machine | None") -> str:
    if machine is None:
        return "torch is not installed"
    memory = "" if machine.memory_gib is None else f", {machine.memory_gib} GiB"
    return f"{machine.cpu}{memory}; {machine.cores} cores to use, {machine.threads} torch threads"


def _machine() -> "Machine | None":
    if find_spec("torch") is None:
        return None
    from tenuto.evaluation.machine import this_machine

    return this_machine()


def _supports(folder: ModelFolder) -> "tuple[Support, ...]":
    if find_spec("torch") is None:
        raise MissingExtraError("`tenuto doctor MODEL` needs torch: pip install torch")
    from tenuto.doctor.support import support_of

    return tuple(map(support_of, folder.denoisers))
