"""An attention product without reduced rows, against products written out row by row."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.funnel_place import attend_to_rows

BATCH, HEADS, TOKENS, TEXT, WIDTH = 2, 3, 8, 2, 4


def random_plan(seed: int, samples: int, num_kept: int) -> MatchPlan:
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(TOKENS, generator=generator) for _ in range(samples)])
    keep, src = order[:, :num_kept], order[:, num_kept:]
    dst = keep.gather(1, torch.randint(num_kept, src.shape, generator=generator))
    return MatchPlan(keep, src, dst)


def inputs_of(mask: str) -> dict[str, Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    rows = TOKENS + TEXT
    inputs: dict[str, Tensor | None] = {
        name: torch.randn(BATCH, HEADS, rows, WIDTH, generator=generator)
        for name in ("query", "key", "value")
    }
    masks = {
        "none": None,
        "keys": torch.randn(BATCH, 1, 1, rows, generator=generator),
        "full": torch.randn(1, 1, rows, rows, generator=generator),
        "flat": torch.randn(rows, rows, generator=generator),
    }
    return inputs | {"attn_mask": masks[mask]}


def slow(inputs, queries, keys, text_first):
    """Scores of one query with the keys that stay, softmax, values; copies for reduced queries."""
    rows, first = TOKENS + TEXT, TEXT if text_first else 0
    text = [r for r in range(rows) if not first <= r < first + TOKENS]
    output = torch.empty(BATCH, HEADS, rows, WIDTH)
    mask = inputs["attn_mask"]
    mask = torch.zeros(1) if mask is None else mask
    mask = mask.expand(BATCH, HEADS, rows, rows)
    for b in range(BATCH):
        for h in range(HEADS):

            def sample(plan, b=b, h=h):
                return b * HEADS + h if len(plan.keep) > BATCH else b

            seen = list(range(rows))
            if keys is not None:
                seen = text + [first + t for t in keys.keep[sample(keys)].tolist()]
            for row in range(rows):
                scores = inputs["key"][b, h, seen] @ inputs["query"][b, h, row] / WIDTH**0.5
                weights = (scores + mask[b, h, row, seen]).softmax(0)
                output[b, h, row] = weights @ inputs["value"][b, h, seen]
            if queries is not None:
                number = sample(queries)
                pairs = zip(queries.src[number].tolist(), queries.dst[number].tolist(), strict=True)
                for src, dst in pairs:
                    output[b, h, first + src] = output[b, h, first + dst]
    return output


@pytest.mark.parametrize("text_first", [True, False])
@pytest.mark.parametrize("mask", ["none", "keys", "full", "flat"])
@pytest.mark.parametrize("samples", [BATCH, BATCH * HEADS])
@pytest.mark.parametrize(("query_kept", "key_kept"), [(5, 3), (5, None), (None, 3), (None, None)])
def test_reduced_rows_are_left_out_and_reduced_queries_copied(
    text_first, mask, samples, query_kept, key_kept
):
    inputs = inputs_of(mask)
    queries = None if query_kept is None else random_plan(1, samples, query_kept)
    keys = None if key_kept is None else random_plan(2, samples, key_kept)

    output, computed, num_keys = attend_to_rows(
        F.scaled_dot_product_attention, inputs, queries, keys, text_first
    )

    expected = slow(inputs, queries, keys, text_first)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    rows = [TEXT + (TOKENS if kept is None else kept) for kept in (query_kept, key_kept)]
    assert num_keys == rows[1]
    assert (rows[0] if computed is None else computed.shape[1]) == rows[0]
