"""What an import costs: optional and heavy packages load only where they are used."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "PIL", "numpy")


def modules_loaded_by(statement: str) -> set[str]:
    """Run a statement in a new interpreter; return the heavy packages that it loaded."""
    code = f"{statement}\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_probe_sees_a_loaded_package() -> None:
    assert modules_loaded_by("import numpy") == {"numpy"}


def test_importing_tenuto_loads_nothing_heavy() -> None:
    assert modules_loaded_by("import tenuto") == set()


def test_listing_the_public_names_loads_nothing_heavy() -> None:
    assert modules_loaded_by("import tenuto; dir(tenuto)") == set()


def test_the_command_line_answers_help_without_loading_a_model_library() -> None:
    loaded = modules_loaded_by("import tenuto.cli")

    assert loaded & {"torch", "diffusers", "transformers", "matplotlib"} == set()


@pytest.mark.parametrize("name", ["DiTo", "baselines"])
def test_the_settings_of_a_technique_need_no_pipeline_library(name: str) -> None:
    loaded = modules_loaded_by(f"import tenuto; tenuto.{name}")

    assert loaded & {"diffusers", "transformers", "matplotlib"} == set()


def test_the_report_needs_no_model_library() -> None:
    loaded = modules_loaded_by("import tenuto.report")

    assert loaded & {"torch", "diffusers", "transformers"} == set()
