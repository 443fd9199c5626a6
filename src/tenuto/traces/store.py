"""Reads a trace folder: every file against its checksum, every column against the schema."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.config import from_dict
from tenuto.errors import TraceFormatError
from tenuto.traces.schema import SCHEMA_VERSION, Manifest, Trace
from tenuto.traces.writer import MANIFEST, SAMPLES, TABLES, TraceWriter, file_sha256, parquet


def open_trace(folder: Path | str) -> Trace:
    """Read a trace.

    Raises:
        TraceFormatError: The folder is no finished trace, is of another schema version, or a file
            is missing, truncated, altered or inconsistent.
    """
    folder = Path(folder)
    content = _manifest_of(folder)
    checksums = content.pop("sha256")
    unlisted = sorted({f"{table}.parquet" for table in TABLES} - set(checksums))
    if unlisted:
        raise TraceFormatError(f"{folder.name}/{MANIFEST} lists no checksum of {unlisted}")
    unknown = sorted(set(checksums) - {f"{table}.parquet" for table in TABLES} - {SAMPLES})
    if unknown:  # a path that leads out of the folder, for one
        raise TraceFormatError(f"{folder.name}/{MANIFEST} lists files that no trace has: {unknown}")
    for name, expected in checksums.items():
        _verify(folder / name, expected)
    try:
        manifest = from_dict(Manifest, content, f"{folder.name}/{MANIFEST}")
    except (ValueError, TypeError) as error:
        raise TraceFormatError(str(error)) from None
    trace = Trace(manifest, *(_read(folder, table) for table in TABLES.values()))
    trace.check()
    return trace


def save(trace: Trace, folder: Path | str) -> None:
    """Write a trace that is in memory, for instance a scaled one."""
    with TraceWriter(Path(folder), trace.manifest) as writer:
        for name in TABLES:
            table = getattr(trace, name)
            columns = {field.name: getattr(table, field.name) for field in fields(table)}
            writer.append(name, columns)


def sample_names(folder: Path | str, kind: str) -> list[str]:
    """Return the names of the samples of a kind (docs/hardware.md), such as "conmerge/0000".

    Raises:
        TraceFormatError: The trace keeps no raw samples, or they are not what was written.
    """
    with np.load(_samples_of(Path(folder)), allow_pickle=False) as content:
        return sorted(
            {"/".join(key.split("/")[:2]) for key in content if key.startswith(f"{kind}/")}
        )


def open_sample(folder: Path | str, name: str) -> NDArray[Any]:
    """Read one raw array that was kept for replay; masks come back as bool.

    Raises:
        TraceFormatError: The trace keeps no such sample.
    """
    with np.load(_samples_of(Path(folder)), allow_pickle=False) as content:
        if name not in content:
            known = sorted(key for key in content if not key.endswith("/shape"))
            raise TraceFormatError(f"`name` must be one of {known}, got {name!r}")
        if f"{name}/shape" not in content:
            return content[name]
        shape = tuple(int(size) for size in content[f"{name}/shape"])
        bits = np.unpackbits(content[name], count=int(np.prod(shape)))
    return bits.reshape(shape).astype(bool)


def _samples_of(folder: Path) -> Path:
    path = folder / SAMPLES
    checksums = _manifest_of(folder)["sha256"]
    if SAMPLES not in checksums:
        raise TraceFormatError(f"{folder.name} keeps no raw samples")
    _verify(path, checksums[SAMPLES])
    return path


def _manifest_of(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        raise TraceFormatError(f"{str(folder)!r} is no finished trace: it has no {MANIFEST}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema")
        if version == SCHEMA_VERSION and not isinstance(content["sha256"], dict):
            raise KeyError("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise TraceFormatError(f"{path.parent.name}/{MANIFEST} is not a trace's manifest") from None
    if version != SCHEMA_VERSION:
        raise TraceFormatError(
            f"`schema` of {folder.name} must be {SCHEMA_VERSION}, got {version!r}: "
            "it was written by another version of tenuto"
        )
    return content


def _verify(path: Path, expected: str) -> None:
    if not path.exists():
        raise TraceFormatError(f"{path.parent.name} lacks {path.name}")
    if file_sha256(path) != expected:
        raise TraceFormatError(
            f"{path.parent.name}/{path.name} is truncated or altered: its checksum differs from "
            "the manifest's"
        )


def _read(folder: Path, table: type[Any]) -> Any:
    name = next(name for name, known in TABLES.items() if known is table)
    wanted = [field.name for field in fields(table)]
    try:
        content = parquet().read_table(folder / f"{name}.parquet")
    except (OSError, ValueError) as error:
        raise TraceFormatError(f"{folder.name}/{name}.parquet is unreadable: {error}") from None
    missing = sorted(set(wanted) - set(content.column_names))
    if missing:
        raise TraceFormatError(f"{folder.name}/{name}.parquet lacks the columns {missing}")
    columns = {column: content.column(column).to_numpy() for column in wanted}
    wrong = sorted(column for column, values in columns.items() if values.dtype.kind not in "iu")
    if wrong:
        raise TraceFormatError(f"{folder.name}/{name}.parquet must hold integers in {wrong}")
    return table(**columns)
