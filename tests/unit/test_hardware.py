"""Machines that cannot be are refused when they are specified."""

from dataclasses import replace

import pytest

from tenuto.accelerators.machines import load
from tenuto.hardware import Chip, DotProductArray, Dram, Matcher, Sram, SystolicArray
from tenuto.hardware_gpu import Gpu


def chip(name: str = "exion24") -> Chip:
    machine = load(name)
    assert isinstance(machine, Chip)
    return machine


@pytest.mark.parametrize(
    ("kind", "settings", "text"),
    [
        (Dram, {"kind": "gddr6", "peak_bytes_per_s": 0.0}, "`peak_bytes_per_s` must be greater"),
        (Sram, {"capacity_bytes": -1}, "`capacity_bytes` must be greater than 0, got -1"),
        (SystolicArray, {"pe_rows": 0, "pe_columns": 4}, "`pe_rows` must be greater than 0"),
        (DotProductArray, {"dot_length": 0}, "`dot_length` must be greater than 0"),
        (Matcher, {"macs_per_cycle": 1, "gain_lanes": 0}, "`gain_lanes` must be greater"),
    ],
)
def test_a_part_without_size_or_speed_is_refused(kind: type, settings: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kind(**settings)


def test_a_memory_smaller_than_the_tiles_it_feeds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`sram\.capacity_bytes` must hold two operand tiles"):
        replace(chip(), sram=Sram(capacity_bytes=1024))


def test_a_systolic_array_cannot_use_masks() -> None:
    with pytest.raises(ValueError, match="`array` must be of dot-product units"):
        replace(chip("orbis"), reuses_ffn=True)


def test_a_gpu_is_not_more_than_fully_efficient() -> None:
    gpu = load("a100")
    assert isinstance(gpu, Gpu)

    with pytest.raises(ValueError, match=r"`memory_efficiency` must be in \(0, 1\], got 1.5"):
        replace(gpu, memory_efficiency=1.5)
