"""Sequences that hold text rows beside the image rows."""

import torch
from torch import Tensor


def split_rows(rows: Tensor, num_image: int, text_first: bool) -> tuple[Tensor, Tensor]:
    """Return the image rows and the text rows of a (batch, rows, channels) sequence."""
    num_text = rows.shape[1] - num_image
    if text_first:
        return rows[:, num_text:], rows[:, :num_text]
    return rows[:, :num_image], rows[:, num_image:]


def join_rows(image: Tensor, text: Tensor, text_first: bool) -> Tensor:
    """Return one sequence of image rows and text rows."""
    return torch.cat([text, image] if text_first else [image, text], 1)
