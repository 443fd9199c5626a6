"""Captions for a comparison: the embedded model's own, or a file's."""

from pathlib import Path

from tenuto import zoo
from tenuto.evaluation.generation import check_model


def prompts_for(model: str, split: str, num_prompts: int, file: Path | None) -> tuple[str, ...]:
    """Return the captions of a comparison.

    Args:
        model: Name of an embedded model, or a pipeline folder.
        split: Of an embedded model's captions: "seen" or "held-out".
        num_prompts: How many, >= 1.
        file: One caption a line; needed for a pipeline folder.

    Raises:
        ValueError: A pipeline folder comes without a file, or the file has too few captions.
    """
    if num_prompts < 1:
        raise ValueError(f"`--prompts` must be at least 1, got {num_prompts!r}")
    if file is None:
        if Path(model).is_dir():
            raise ValueError(
                f"`--prompt-file` must be given for the pipeline folder {model!r}, got none"
            )
        check_model(model)
        return tuple(zoo.prompts(model, split, num_prompts))
    lines = tuple(line for line in file.read_text("utf-8").splitlines() if line.strip())
    if num_prompts > len(lines):
        raise ValueError(
            f"`--prompts` must be at most the {len(lines)} captions of {file}, got {num_prompts!r}"
        )
    return lines[:num_prompts]
