"""Files that appear whole or not at all, and a full disk as one sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tenuto.errors import ResultError


@contextmanager
def written_whole(path: Path, is_shared: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing; it is put in its place where the with block ends well.

    Args:
        path: Its place; the folder is there.
        is_shared: Several processes may write it at once; the last one stays.

    Raises:
        ResultError: The disk is full, or the folder cannot be written.
    """
    owner = f".{os.getpid()}" if is_shared else ""
    partial = path.with_name(f"{path.name}{owner}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise not_written(path, error) from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file, see `written_whole`."""
    with written_whole(path) as file:
        file.write(text.encode())


def not_written(path: Path, error: OSError) -> ResultError:
    """Return the sentence for a file that could not be written."""
    return ResultError(
        f"{path} could not be written ({error}); with room for it the same command goes on"
    )
