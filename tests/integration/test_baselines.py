"""What baselines do inside a model, against slow references around the plain modules."""

import pytest
import torch
import torch.nn.functional as F

import tenuto
from tenuto.algorithms.asymrnr import EuclideanMatcher
from tenuto.baselines import AsymRnR, SiTo, ToFu, ToMA
from tenuto.integration.attended import Attended

TOLERANCE = 1e-5


class Calls:
    """First inputs and outputs of a module, call by call."""

    def __init__(self, module):
        self.inputs, self.outputs = [], []
        module.register_forward_pre_hook(lambda m, args: self.inputs.append(args[0]))
        module.register_forward_hook(lambda m, args, output: self.outputs.append(output))


def memory_of(handle):
    (memory,) = handle._accelerated[0].engine._memories.values()
    return memory


def around(plan, module, tokens, rows):
    """Run a module on rows of one sample that stand for the kept tokens, and copy to the others."""
    kept = module(torch.stack(rows)[None])[0]
    output = torch.empty_like(tokens)
    order = plan.keep[0].tolist()
    for row, token in enumerate(order):
        output[token] = kept[row]
    for src, dst in zip(plan.src[0].tolist(), plan.dst[0].tolist(), strict=True):
        output[src] = kept[order.index(dst)]
    return output


@pytest.mark.parametrize("part", ["attn1", "ff"])
@pytest.mark.parametrize("block", [0, 1, 2, 3])
def test_tofu_prunes_in_the_first_half_of_the_blocks_and_merges_norms_in_the_second(
    make_tiny, part, block
):
    tiny = make_tiny("dit", num_blocks=4)
    module = getattr(tiny.blocks[block], part)
    calls = Calls(module)

    with tenuto.accelerate(tiny.model, ToFu(scope=("self", "ffn"))) as handle:
        tiny(900.0)
        plan = memory_of(handle).pairs[(block, "input")].plan

    tokens = calls.inputs[-1][0]
    rows = []
    for token in plan.keep[0].tolist():
        group = [token, *plan.src[0][plan.dst[0] == token].tolist()]
        mean = tokens[group].mean(0)
        largest = max(tokens[member].norm() for member in group)
        rows.append(tokens[token] if block < 2 else mean / mean.norm() * largest)
    expected = around(plan, module, tokens, rows)
    torch.testing.assert_close(calls.outputs[-2][0], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("part", ["attn1", "ff"])
def test_sito_drops_tokens_and_copies_the_most_similar_kept_one(make_tiny, part):
    tiny = make_tiny("dit", num_blocks=1)
    module = getattr(tiny.blocks[0], part)
    stream, calls = Calls(tiny.blocks[0]), Calls(module)

    with tenuto.accelerate(tiny.model, SiTo(scope=("self", "ffn"))) as handle:
        tiny(900.0)
        plan = memory_of(handle).pairs[(0, "input")].plan

    tokens, units = calls.inputs[-1][0], F.normalize(stream.inputs[-1][0], dim=-1)
    kept = plan.keep[0].tolist()
    assert len(kept) == 36 - int(0.7 * 36)
    for src, dst in zip(plan.src[0].tolist(), plan.dst[0].tolist(), strict=True):
        likeness = [float(units[src] @ units[other]) for other in kept]
        assert float(units[src] @ units[dst]) == pytest.approx(max(likeness), abs=1e-5)
    expected = around(plan, module, tokens, [tokens[token] for token in kept])
    torch.testing.assert_close(calls.outputs[-2][0], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("part", ["attn1", "ff"])
def test_toma_runs_modules_on_weighted_averages_and_spreads_their_outputs(make_tiny, part):
    tiny = make_tiny("dit", num_blocks=1)
    module = getattr(tiny.blocks[0], part)
    calls = Calls(module)

    technique = ToMA(scope=("self", "ffn"), depth=0.0, scale=5.0)
    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0)
        plan = memory_of(handle).pairs[(0, "input")].plan

    tokens, soft = calls.inputs[-1][0], plan.soft
    matrix = torch.zeros(plan.keep.shape[1], 36)  # the whole merge matrix, tile by tile
    per_tile = soft.weights.shape[2]
    for tile, members in enumerate(soft.members.tolist()):
        matrix[tile * per_tile : (tile + 1) * per_tile, members] = soft.weights[0, tile]
    merged = matrix / matrix.sum(1, keepdim=True) @ tokens
    expected = matrix.T @ module(merged[None])[0]
    torch.testing.assert_close(calls.outputs[-2][0], expected, rtol=0, atol=TOLERANCE)


def test_toma_makes_one_set_of_pairs_for_the_blocks_of_a_kind(make_tiny):
    tiny = make_tiny("flux", num_blocks=6)

    with tenuto.accelerate(tiny.model, ToMA(depth=1 / 6)) as handle:
        tiny(900.0)

        # Three double blocks, the first of them dense, and three single ones.
        assert set(memory_of(handle).pairs) == {(0, "input"), (3, "input")}
        assert handle.stats().matching_macs == 2 * 36 * 9 * 32


def test_toma_merges_at_every_third_step_and_says_what_was_dense(make_loop):
    loop = make_loop("dit")

    with tenuto.accelerate(loop, ToMA(depth=0.0)) as handle:
        loop(6, guidance="none")
        stats = handle.stats()

    assert stats.calls_reduced == 2 * 3 * 2
    assert stats.dense_reasons == {"dense step of the schedule": 4 * 3 * 2}


@pytest.mark.parametrize(("reuse_steps", "matchings"), [(1, 6), (2, 3), (4, 2)])
def test_pairs_are_made_again_at_multiples_of_the_reuse(make_loop, reuse_steps, matchings):
    loop = make_loop("dit")
    technique = ToMA(interval=1, depth=0.0, reuse_steps=reuse_steps)

    with tenuto.accelerate(loop, technique) as handle:
        loop(6, guidance="none")
        stats = handle.stats()

    assert stats.matching_macs == matchings * 36 * 9 * 32


@pytest.mark.parametrize("per_head", [True, False])
@pytest.mark.parametrize(("query_ratio", "key_ratio"), [(0.5, 0.3), (0.5, 0.0), (0.0, 0.3)])
def test_asymrnr_leaves_out_queries_and_keys_by_themselves(
    make_tiny, per_head, query_ratio, key_ratio
):
    tiny = make_tiny("dit", num_blocks=1)
    attention = tiny.blocks[0].attn1
    projected = [Calls(layer) for layer in (attention.to_q, attention.to_k, attention.to_v)]
    output = Calls(attention)

    technique = AsymRnR(query_ratio=query_ratio, key_ratio=key_ratio, per_head=per_head)
    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0)
        pairs = {name: p.plan for (_, name), p in memory_of(handle).pairs.items()}

    heads = [calls.outputs[-1][0].unflatten(-1, (2, -1)).transpose(0, 1) for calls in projected]
    product = torch.empty_like(heads[0])
    for head, (query, key, value) in enumerate(zip(*heads, strict=True)):
        sample = head if per_head else 0
        seen = torch.arange(36)
        if key_ratio:
            plan = pairs["self keys 0"].narrowed(int(36 * key_ratio))
            seen = plan.keep[sample].sort().values
        weights = (query @ key[seen].T / query.shape[-1] ** 0.5).softmax(-1)
        product[head] = weights @ value[seen]
        if query_ratio:
            plan = pairs["self queries 0"]
            product[head, plan.src[sample]] = product[head, plan.dst[sample]]
    expected = attention.to_out[0](product.transpose(0, 1).flatten(1))
    torch.testing.assert_close(output.outputs[-1][0], expected, rtol=0, atol=TOLERANCE)
    assert set(pairs) == {
        n for n, r in (("self queries 0", query_ratio), ("self keys 0", key_ratio)) if r
    }


def test_asymrnr_matches_on_queries_with_their_position_embeddings(make_tiny, monkeypatch):
    tiny, queries, features = make_tiny("wan", num_blocks=1), [], []
    match = EuclideanMatcher.match

    def watched(self, tokens, grid, ratio, draw):
        features.append(tokens)
        return match(self, tokens, grid, ratio, draw)

    def attend(product, inputs):
        queries.append(inputs["query"])
        return product(**inputs)

    with Attended(attend):
        tiny(900.0)
    monkeypatch.setattr(EuclideanMatcher, "match", watched)
    with tenuto.accelerate(tiny.model, AsymRnR(query_ratio=0.5, key_ratio=0.0)):
        tiny(900.0)

    # Self-attention comes before cross-attention; every head is a sample.
    assert torch.equal(features[0], queries[0].flatten(0, 1))


def test_asymrnr_counts_the_blocks_that_its_table_leaves_dense(make_loop):
    loop = make_loop("wan")
    technique = AsymRnR(query_ratio=((0.5, 0.0, 0.0), (0.0, 0.0, 0.25)), key_ratio=0.0)

    with tenuto.accelerate(loop, technique) as handle:
        loop(3, guidance="none")
        stats = handle.stats()

    assert stats.calls_reduced == 2
    assert stats.dense_reasons == {"dense step of the schedule": 3 * 3 - 2}


def test_asymrnr_reuses_its_pairs_for_steps_that_reduce_more(make_loop):
    loop = make_loop("wan", num_blocks=1)
    technique = AsymRnR(query_ratio=(0.25, 0.5, 0.75, 0.5, 0.5, 0.5), key_ratio=0.0, reuse_steps=5)

    with tenuto.accelerate(loop, technique) as handle:
        loop(6, guidance="none")
        stats = handle.stats()

    # Steps 0 to 4 share one matching, step 5 makes the next: 2 heads, 32 tokens, 4 boxes, 12 + 2.
    assert stats.matching_macs == 2 * 2 * (32 - 4) * 4 * (12 + 2)
    assert stats.calls_reduced == 6


def test_a_table_for_another_number_of_blocks_is_refused_before_the_run(make_tiny):
    technique = AsymRnR(query_ratio=((0.5, 0.5),), key_ratio=0.0)

    with pytest.raises(ValueError, match=r"`schedule\[0\]` must have one ratio for each .* 3"):
        tenuto.accelerate(make_tiny("wan").model, technique)


@pytest.mark.parametrize(
    ("technique", "text"),
    [
        (ToFu(ratio=0.8), r"^`ratio` must be in \[0, 0.750\] with windows"),
        (SiTo(ratio=0.8), r"^`ratio` must be in \[0, 0.750\] with windows"),
        (ToMA(tile=(4, 4)), r"^`tile` must divide the token grid \(6, 6\), got \(4, 4\)"),
        (AsymRnR(query_ratio=0.8), r"^`ratio` must be in \[0, 0.750\] with windows"),
        (AsymRnR(stride=(6, 2, 2)), r"^`window` must fit into the token grid \(6, 6\)"),
        (tenuto.DiTo(ratio=0.75, partners=10), "^`partners` must be at most the 9 tokens"),
    ],
)
def test_a_setting_that_the_grid_cannot_take_is_refused_at_the_first_step(
    make_tiny, technique, text
):
    tiny = make_tiny("dit")

    with tenuto.accelerate(tiny.model, technique), pytest.raises(ValueError, match=text):
        tiny(900.0)
