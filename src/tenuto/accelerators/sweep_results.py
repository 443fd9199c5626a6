"""The results of a sweep: a file of JSON lines that only grows, and the points that no other beats.

A line is written and flushed to the disk before the next point counts as done. A line that a kill
cut off is dropped on the next run; nothing before it is lost, and nothing is run twice.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenuto.errors import HardwareError

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "trace": str,
    "accelerator": str,
    "changes": dict,
    **dict.fromkeys(("seconds", "energy_j", "area_mm2"), (int, float)),
}
"""What every line must have."""


class Results:
    """An append-only file of results, by key of their points."""

    def __init__(self, file: Path) -> None:
        """Read what is there, and cut off a line that was not finished."""
        self._file = file
        self.rows: dict[str, dict[str, Any]] = {}
        if not file.exists():
            return
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                if not all(isinstance(row[name], kind) for name, kind in _FIELDS.items()):
                    raise TypeError
                self.rows[row["key"]] = row
            except (ValueError, KeyError, TypeError, RecursionError):
                raise HardwareError(
                    f"line {number} of {file.name} is no result of a sweep"
                ) from None
        if len(whole) < len(content):
            os.truncate(file, len(whole))

    def append(self, row: dict[str, Any]) -> None:
        """Write one result, durably.

        Raises:
            HardwareError: The disk is full; what was written before stays.
        """
        line = (json.dumps(row) + "\n").encode()
        before = self._file.stat().st_size if self._file.exists() else 0
        try:
            with self._file.open("ab", buffering=0) as stream:
                if stream.write(line) != len(line):
                    raise OSError("the line was cut")
                os.fsync(stream.fileno())
        except OSError as error:
            if self._file.exists():
                os.truncate(self._file, before)
            raise HardwareError(
                f"could not write to {self._file.name} ({error}); {len(self.rows)} results are "
                "kept, and the same command goes on from there"
            ) from None
        self.rows[row["key"]] = row


def pareto_front(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that no other of the same trace beats in seconds, joules and mm2 at once."""
    measures = ("seconds", "energy_j", "area_mm2")

    def is_beaten(row: dict[str, Any]) -> bool:
        return any(
            other["trace"] == row["trace"]
            and all(other[name] <= row[name] for name in measures)
            and any(other[name] < row[name] for name in measures)
            for other in rows
        )

    return [row for row in rows if not is_beaten(row)]
