"""Find the best partners by products of any two sets of features: cosines, distances."""

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import flat_rows
from tenuto.algorithms.restore import gather_rows
from tenuto.algorithms.shapes import Float, Int

# Products held at once; 2**24 float32 values are 64 MiB.
_CHUNK_ELEMENTS = 2**24


def nearest(
    queries: Float[Tensor, "batch tokens channels"],
    keys: Float[Tensor, "batch tokens channels"],
    src: Int[Tensor, "batch sources"],
    dst: Int[Tensor, "batch destinations"],
    partners: int = 1,
) -> tuple[Float[Tensor, "batch sources partners"], Int[Tensor, "batch sources partners"]]:
    """Return each source's highest products with the destinations, and their positions in `dst`.

    Args:
        queries: What the sources are compared by.
        keys: What the destinations are compared by; equal unit vectors give the cosine.
        src: Tokens that look for a partner.
        dst: Tokens that can be one.
        partners: How many each source gets, the best first; ties go to the lowest position.
    """
    destinations = gather_rows(keys, flat_rows(dst, keys.shape[1])).mT
    rows = max(1, _CHUNK_ELEMENTS // max(1, dst.shape[0] * dst.shape[1]))
    best, partner = [], []
    for part in src.split(rows, dim=1):
        products = gather_rows(queries, flat_rows(part, queries.shape[1])) @ destinations
        if partners == 1:
            values, indices = products.max(-1, keepdim=True)
        else:
            values, indices = products.sort(dim=-1, descending=True, stable=True)
        best.append(values[..., :partners])
        partner.append(indices[..., :partners])
    return torch.cat(best, 1), torch.cat(partner, 1)
