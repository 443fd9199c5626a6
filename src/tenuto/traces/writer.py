"""Writes a trace while it is made: row groups go to disk as they fill, the manifest comes last.

What a recorder holds in memory is one row group. A folder without a manifest is an unfinished
trace, so a killed recorder leaves nothing that could be taken for a run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tenuto.errors import MissingExtraError
from tenuto.traces.schema import SCHEMA_VERSION, Manifest, Matches, Operations, Part, Tiles

MANIFEST = "manifest.json"
SAMPLES = "samples.npz"
TABLES = {"operations": Operations, "tiles": Tiles, "matches": Matches}
_COLUMN_TYPES = {
    "operations": {
        "step": "int32", "block": "int32", "part": "int8", "rows": "int64", "inner": "int64",
        "columns": "int64", "count": "int32", "kept_keys": "int64", "tiles_of": "int32",
        "added_macs": "int64",
    },
    "tiles": {
        "operation": "int32", "rows": "uint16", "kept_rows": "uint16", "needed_rows": "uint16",
        "live_elements": "uint32", "live_columns": "uint32", "condensed_tiles": "uint32",
        "merged_tiles": "uint32",
    },
    "matches": {
        "operation": "int32", "num_windows": "int32", "window_tokens": "int32", "loss_bin": "int8",
        "tokens": "int32",
    },
}  # fmt: skip


def parquet() -> Any:
    """Return pyarrow.parquet.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "trace folders need pyarrow: pip install 'tenuto[hardware]'"
        ) from None
    return pyarrow.parquet


def check_free(folder: Path) -> None:
    """Raise ValueError where a folder holds a finished trace."""
    if (folder / MANIFEST).exists():
        raise ValueError(f"`folder` must not hold a trace yet, got {str(folder)!r}")


class TraceWriter:
    """Write one trace folder; a context manager.

    ``operation`` and ``tiles`` append, ``sample`` keeps raw data for replay on the RTL. Leaving the
    context without an exception writes `manifest`; the trace is complete only then. A folder that a
    killed writer left is begun anew.
    """

    def __init__(self, folder: Path, manifest: Manifest, rows_per_group: int = 1_000_000) -> None:
        """Begin a trace.

        Args:
            folder: Created; must not hold a trace yet.
            manifest: What the trace is of.
            rows_per_group: Tile rows that are held in memory.

        Raises:
            ValueError: The folder holds a trace already.
        """
        check_free(folder)
        parquet()
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*(f"{table}.parquet" for table in TABLES), SAMPLES):
            (folder / name).unlink(missing_ok=True)  # of a recording that was killed
        self._folder, self._group = folder, rows_per_group
        self.manifest = manifest
        self._rows: dict[str, list[dict[str, NDArray[Any]]]] = {name: [] for name in TABLES}
        self._held = dict.fromkeys(TABLES, 0)
        self._files: dict[str, Any] = {}
        self._samples: dict[str, NDArray[Any]] = {}
        self._num_operations = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish()
        for file in self._files.values():
            file.close()

    def operation(self, *, part: Part, tiled: bool = False, **sizes: int) -> int:
        """Append one operation; returns its index.

        Args:
            part: What it is.
            tiled: Its tiles follow by `tiles`; else it is dense, or `tiles_of` is given.
            sizes: The other columns of `Operations`; `block` -1, `count` 1, `kept_keys` and
                `added_macs` 0 unless given.
        """
        index = self._num_operations
        row = {"block": -1, "count": 1, "kept_keys": 0, "added_macs": 0}
        row |= {"part": int(part), "tiles_of": index if tiled else -1, **sizes}
        self.append("operations", {name: np.array([value]) for name, value in row.items()})
        return index

    def tiles(self, operation: int, **columns: NDArray[Any]) -> None:
        """Append the tiles of one operation, in the order of its rows."""
        length = len(columns["rows"])
        self.append("tiles", {"operation": np.full(length, operation), **columns})

    def append(self, table: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Append rows to ``operations`` or ``tiles``; all columns, of one length."""
        typed = {
            name: np.asarray(columns[name]).astype(kind)
            for name, kind in _COLUMN_TYPES[table].items()
        }
        self._rows[table].append(typed)
        self._held[table] += len(next(iter(typed.values())))
        if table == "operations":
            self._num_operations += len(typed["part"])
        if self._held[table] >= self._group:
            self._flush(table)

    def sample(self, name: str, array: NDArray[Any]) -> None:
        """Keep a raw array for replay: masks as one bit an element, integers as they are."""
        if array.dtype != np.bool_:
            self._samples[name] = array
            return
        self._samples[name] = np.packbits(array, axis=None)
        self._samples[f"{name}/shape"] = np.array(array.shape)

    def _flush(self, table: str) -> None:
        import pyarrow

        pieces, self._rows[table], self._held[table] = self._rows[table], [], 0
        columns = {
            name: np.concatenate([np.zeros(0, kind), *(piece[name] for piece in pieces)])
            for name, kind in _COLUMN_TYPES[table].items()
        }
        group = pyarrow.table(columns)
        if table not in self._files:
            self._files[table] = parquet().ParquetWriter(
                self._folder / f"{table}.parquet", group.schema, compression="zstd"
            )
        self._files[table].write_table(group)

    def _finish(self) -> None:
        for table in TABLES:
            if self._held[table] or table not in self._files:
                self._flush(table)
            self._files[table].close()
        if self._samples:
            np.savez_compressed(self._folder / SAMPLES, allow_pickle=False, **self._samples)
        present = [f"{table}.parquet" for table in TABLES] + [SAMPLES] * bool(self._samples)
        content = {
            "schema": SCHEMA_VERSION,
            **asdict(self.manifest),
            "sha256": {name: file_sha256(self._folder / name) for name in present},
        }
        partial = self._folder / (MANIFEST + ".partial")
        partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
        partial.replace(self._folder / MANIFEST)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
