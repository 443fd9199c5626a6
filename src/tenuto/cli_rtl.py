"""The `tenuto rtl` command: emit, verify, lint, prove and measure the hardware units."""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from tenuto.errors import MissingExtraError


def add_rtl(parser: argparse.ArgumentParser) -> None:
    """Declare `tenuto rtl` and what it can do."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action_of(name: str, text: str, example: str) -> argparse.ArgumentParser:
        epilog = f"example: tenuto rtl {name} {example}".rstrip()
        return actions.add_parser(name, help=text, description=f"{name}: {text}.", epilog=epilog)

    emit = action_of("emit", "write Verilog", "gather --out rtl")
    emit.add_argument("--out", type=Path, default=Path("rtl"), help="folder (default rtl)")
    verify = action_of(
        "verify", "compare units with golden values and cycle counts", "gather --vcd ."
    )
    verify.add_argument(
        "--large", action="store_true",
        help="a million vectors a unit in compiled C++; without it, small cases in Amaranth",
    )  # fmt: skip
    verify.add_argument("--seed", type=int, default=0, help="of the cases (default 0)")
    verify.add_argument("--vcd", type=Path, help="folder for waveforms of the small cases")
    verify.add_argument(
        "--replay", type=Path, metavar="TRACE",
        help="instead: the raw samples of a recorded trace, in compiled C++",
    )  # fmt: skip
    lint = action_of("lint", "lint the Verilog with Verilator, its waivers named", "gather")
    prove = action_of("prove", "prove properties with SymbiYosys and z3", "")
    area = action_of("area", "area and critical path by Yosys and OpenSTA", "--liberty cells.lib")
    area.add_argument(
        "--liberty", type=Path, metavar="FILE",
        help="cell library, .lib or .lib.gz (default: that of Debian's qflow-tech-osu018)",
    )  # fmt: skip
    area.add_argument(
        "--check", action="store_true",
        help="fail where a unit's area is not within 5 %% of the committed table",
    )  # fmt: skip
    area.add_argument("--json", type=Path, help="also write the table to this file")
    for action in (emit, verify, lint, prove, area):
        action.add_argument("units", nargs="*", metavar="UNIT", help="only these (default: all)")


def run_rtl(chosen: argparse.Namespace) -> int:
    """Run `tenuto rtl`.

    Raises:
        MissingExtraError: Amaranth is not installed.
    """
    if find_spec("amaranth") is None:
        raise MissingExtraError("the RTL units need amaranth: pip install 'tenuto[rtl]'")
    actions = {"emit": _emit, "verify": _verify, "lint": _lint, "prove": _prove, "area": _area}
    return actions[chosen.action](chosen)


def _wanted(chosen: argparse.Namespace, known: list[str]) -> list[str]:
    for name in chosen.units:
        if name not in known:
            raise ValueError(f"`UNIT` must be one of {', '.join(known)}, got {name!r}")
    return chosen.units or known


def _emit(chosen: argparse.Namespace) -> int:
    from tenuto.rtl.catalog import UNITS
    from tenuto.rtl.emit import verilog_from

    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in _wanted(chosen, list(UNITS)):
        file = chosen.out / f"{name.replace('-', '_')}.v"
        file.write_text(verilog_from(UNITS[name].make()), encoding="utf-8")
        print(f"{file}: {UNITS[name].size}")
    return 0


def _verify(chosen: argparse.Namespace) -> int:
    from tenuto.rtl.cases import ALL
    from tenuto.rtl.verification import replayed, verified_large, verified_small

    names = _wanted(chosen, list(ALL))
    if chosen.replay is not None:
        lines = replayed(chosen.replay)
    elif chosen.large:
        lines = verified_large(names, chosen.seed)
    else:
        lines = (verified_small(name, chosen.seed, chosen.vcd) for name in names)
    for line in lines:
        print(line, flush=True)
    return 0


def _lint(chosen: argparse.Namespace) -> int:
    from tenuto.rtl.catalog import UNITS
    from tenuto.rtl.lint import WAIVERS, lint

    def clean(name: str) -> str:
        lint(UNITS[name].make())
        return f"{name}: no warnings but {', '.join(WAIVERS)}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(clean, _wanted(chosen, list(UNITS))):
            print(text, flush=True)
    return 0


def _prove(chosen: argparse.Namespace) -> int:
    from tenuto.rtl.proofs import ALL
    from tenuto.rtl.prove import Proof, prove

    wanted = _wanted(chosen, [proof.name for proof in ALL])

    def proved(proof: Proof) -> str:
        start = time.perf_counter()
        prove(proof)
        seconds = time.perf_counter() - start
        return f"{proof.name} ({proof.reach}, {seconds:.1f} s): {proof.claim}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(proved, [proof for proof in ALL if proof.name in wanted]):
            print(text, flush=True)
    return 0


def _area(chosen: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tenuto.rtl.area import DEFAULT_LIBERTY
    from tenuto.rtl.area_table import area_table, check_areas, text_of
    from tenuto.rtl.catalog import UNITS

    names = _wanted(chosen, list(UNITS))
    with tqdm(total=len(names), unit="unit") as bar:

        def done(name: str) -> None:
            bar.set_description_str(name)
            bar.update()

        table = area_table(chosen.liberty or DEFAULT_LIBERTY, names, done)
    print(text_of(table))
    if chosen.check:
        check_areas(table)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0
