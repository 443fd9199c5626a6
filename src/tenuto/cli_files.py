"""Where the commands may write."""

from pathlib import Path


def check_json(file: Path | None) -> None:
    """Raise where the file of `--json` could not be written: before anything is computed.

    Raises:
        ValueError: Its folder does not exist.
    """
    if file is not None and not file.parent.is_dir():
        raise ValueError(f"`--json` must be in a folder that exists, got {str(file)!r}")
