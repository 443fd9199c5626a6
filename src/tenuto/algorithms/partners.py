"""Let several kept tokens stand for a reduced one together."""

from dataclasses import replace

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.nearest import nearest
from tenuto.algorithms.shapes import Float


def with_partners(
    features: Float[Tensor, "batch tokens channels"], plan: MatchPlan, partners: int
) -> MatchPlan:
    """Return the plan with the kept tokens most similar to each reduced one as its partners.

    Cosine similarity among all kept tokens, window or not; ties go to the lowest index.

    Args:
        features: What similarity is measured on.
        plan: Which tokens are reduced; the partners that it names are replaced.
        partners: How many each reduced token gets, >= 1.

    Raises:
        ValueError: There are fewer kept tokens than partners.

    Source: ours; several computed tokens that move a cluster are ClusCa's idea (arXiv 2509.10312).

    >>> line = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]]])
    >>> plan = MatchPlan(torch.tensor([[0, 2, 3]]), torch.tensor([[1]]), torch.tensor([[2]]))
    >>> plan = with_partners(line, plan, 2)
    >>> plan.dst.tolist(), plan.further.tolist()
    ([[0]], [[[3]]])
    """
    check_partners(plan.keep.shape[1], partners)
    units = torch.nn.functional.normalize(features.float(), dim=-1)
    keep = plan.keep.sort(1).values
    _, found = nearest(units, units, plan.src, keep, partners)
    columns = [keep.gather(1, column) for column in found.unbind(-1)]
    return replace(plan, dst=columns[0], further=torch.stack(columns, -1)[..., 1:])


def partners_macs(num_tokens: int, num_reduced: int, channels: int) -> int:
    """Multiply-accumulates of one `with_partners` call on one sample."""
    return num_reduced * (num_tokens - num_reduced) * channels


def check_partners(num_kept: int, partners: int) -> None:
    """Raise ValueError where fewer tokens are kept than are to stand for each reduced one."""
    if partners > num_kept:
        raise ValueError(
            f"`partners` must be at most the {num_kept} tokens that are kept, got {partners!r}"
        )
