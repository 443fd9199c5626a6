import dataclasses
import os
import platform

import pytest
import torch

import tenuto
from tenuto.evaluation import machine
from tenuto.evaluation.machine import this_machine, versions


def test_machine_has_the_keys_of_the_result_file():
    record = dataclasses.asdict(this_machine())

    assert set(record) == {"cpu", "cores", "threads", "memory_gib", "platform"}
    assert record["threads"] == torch.get_num_threads()
    assert record["platform"] == platform.platform()
    assert record["cpu"]


def test_cores_are_those_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 6}, raising=False)

    assert this_machine().cores == 3


def test_cores_fall_back_to_the_count_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)

    assert this_machine().cores == 7


def test_memory_is_pages_times_page_size_in_gib(monkeypatch):
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 6 * 2**18}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)

    assert this_machine().memory_gib == 6.0


def test_memory_is_none_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)

    assert this_machine().memory_gib is None


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor : 0\nmodel name\t: Fast CPU: 3 GHz\nmodel name\t: Other\n", "Fast CPU: 3 GHz"),
        ("processor : 0\nBogoMIPS : 50\n", "archname"),
        (None, "archname"),
    ],
)
def test_cpu_name_is_the_first_model_name_or_the_architecture(monkeypatch, tmp_path, cpuinfo, name):
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "archname")
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)

    assert machine._cpu_name(path) == name


def test_versions_name_what_runs_and_leave_out_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(machine, "_PACKAGES", ("torch", "no-such-package"))

    assert versions() == {
        "tenuto": tenuto.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
