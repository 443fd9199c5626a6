"""FFN-Reuse on feed-forwards of every family: against plain matrix products, and beside DiTo."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import tenuto
from tenuto.algorithms.hidden_marks import num_marked
from tenuto.errors import NonFiniteError, UnsupportedModelError
from tenuto.integration.families import family_of
from tenuto.integration.feed_forward import FeedForwardLayers, feed_forwards
from tenuto.integration.hidden_execution import Elements, Tiles
from tenuto.integration.reused_hidden import GatheredRows

# float32, three blocks, activations of size 1: a few hundred roundings of 6e-8.
TOLERANCE = 1e-5
STEPS = (900.0, 700.0, 500.0)
GRANULARITIES = ("element", "column", "tile")
ALL = 1e-9  # a sparsity that rounds to recomputing everything

each_granularity = pytest.mark.parametrize("granularity", GRANULARITIES)


def reuse(granularity="column", **settings):
    return tenuto.FFNReuse(
        **{
            "granularity": granularity,
            "select": "magnitude",
            "interval": 3,
            "warmup": 1,
            "tile_rows": 7,
            **settings,
        }
    )


def run(tiny, *techniques, batch=2, steps=STEPS):
    """Outputs of every step, and the statistics."""
    with tenuto.accelerate(tiny.model, *techniques) as handle:
        return [tiny(timestep, batch) for timestep in steps], handle.stats()


class Seen:
    """Inputs and outputs of a module, call by call."""

    def __init__(self, module):
        self.inputs, self.outputs = [], []
        module.register_forward_hook(self._look)

    def _look(self, module, args, output):
        self.inputs.append(args[0].clone())
        self.outputs.append(output.clone())


def test_neutral_settings_hook_no_module_and_change_no_bit(tiny):
    dense = [tiny(timestep, 2) for timestep in STEPS]

    for neutral in (tenuto.FFNReuse.neutral(), tenuto.FFNReuse(interval=1)):
        outputs, stats = run(tiny, neutral)
        assert all(map(torch.equal, outputs, dense))
        assert stats.modules_hooked == stats.calls_reduced == stats.state_bytes_peak == 0
        assert stats.macs_done == stats.macs_dense


@each_granularity
@pytest.mark.parametrize("select", ["magnitude", "change"])
def test_recomputing_every_hidden_value_changes_nothing(tiny, granularity, select):
    dense = [tiny(timestep, 2) for timestep in STEPS]

    outputs, stats = run(tiny, reuse(granularity, sparsity=ALL, select=select))

    assert stats.calls_reduced == 2 * len(tiny.blocks)
    assert torch.equal(outputs[0], dense[0])
    for output, expected in zip(outputs, dense, strict=True):
        torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE)


@each_granularity
@pytest.mark.parametrize("keys", ["kept", "all"])
def test_recomputing_every_hidden_value_changes_nothing_beside_token_reduction(
    tiny, granularity, keys
):
    dito = tenuto.DiTo(schedule=(0.0, 0.5, 0.25), keys=keys, predict="linear", guide="attn")
    alone, _ = run(tiny, dito)

    outputs, stats = run(tiny, dito, reuse(granularity, sparsity=ALL))

    assert stats.calls_reduced > 2 * len(tiny.blocks)
    for output, expected in zip(outputs, alone, strict=True):
        torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE)


ACTIVATIONS = {
    "gelu": lambda x, gate: F.gelu(x),
    "gelu-approximate": lambda x, gate: F.gelu(x, approximate="tanh"),
    "geglu": lambda x, gate: x * F.gelu(gate),
    "geglu-approximate": lambda x, gate: x * torch.sigmoid(1.702 * x),
    "swiglu": lambda x, gate: x * F.silu(gate),
    "linear-silu": lambda x, gate: F.silu(x),
}


def hidden_layer(ffn, activation, tokens):
    projected = F.linear(tokens, ffn.net[0].proj.weight, ffn.net[0].proj.bias)
    halves = projected.chunk(2, -1) if "glu" in activation else (projected, projected)
    if activation == "geglu-approximate":
        halves = (projected, projected)
    return ACTIVATIONS[activation](*halves)


def marks_of(hidden, granularity, sparsity, tile_rows=7):
    """Marks by the definition, one sample at a time."""
    marks = torch.zeros_like(hidden, dtype=torch.bool)
    for sample, values in enumerate(hidden):
        if granularity == "element":
            top = values.abs().flatten().topk(num_marked(values.numel(), sparsity)).indices
            marks[sample].view(-1)[top] = True
            continue
        rows = tile_rows if granularity == "tile" else len(values)
        for start in range(0, len(values), rows):
            tile = values[start : start + rows]
            top = tile.norm(dim=0).topk(num_marked(values.shape[1], sparsity)).indices
            marks[sample, start : start + rows, top] = True
    return marks


@each_granularity
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_sparse_iteration_is_the_definition(make_tiny, granularity, activation):
    tiny = make_tiny("wan", 1)
    (block,) = tiny.blocks
    torch.manual_seed(1)
    block.ffn = FeedForward(24, inner_dim=40, activation_fn=activation)
    nn.init.normal_(block.ffn.net[2].bias)
    seen = Seen(block.ffn)

    run(tiny, reuse(granularity, sparsity=0.8))

    hidden = [hidden_layer(block.ffn, activation, tokens) for tokens in seen.inputs]
    marks = marks_of(hidden[0], granularity, 0.8)
    weight, bias = block.ffn.net[2].weight, block.ffn.net[2].bias
    for step in (1, 2):
        mixed = torch.where(marks, hidden[step], hidden[0])
        expected = F.linear(mixed, weight, bias)
        torch.testing.assert_close(seen.outputs[step], expected, rtol=0, atol=TOLERANCE)
        assert not torch.allclose(expected, F.linear(hidden[step], weight, bias), atol=1e-3)


@each_granularity
def test_a_sparse_iteration_of_a_fused_block_is_the_definition(make_tiny, granularity):
    tiny = make_tiny("flux", 1)
    (block,) = tiny.blocks
    up, down = Seen(block.proj_mlp), Seen(block.proj_out)
    dense = [tiny(timestep, 2) for timestep in STEPS]
    attention = down.inputs[1][..., :32]  # one block: what comes before it is never approximated

    outputs, _ = run(tiny, reuse(granularity, sparsity=0.8), steps=STEPS[:2])

    hidden = [F.gelu(up.outputs[step], approximate="tanh") for step in (0, 1)]
    mixed = torch.where(marks_of(hidden[0], granularity, 0.8), hidden[1], hidden[0])
    weight, bias = block.proj_out.weight, block.proj_out.bias
    expected = F.linear(torch.cat([attention, mixed], -1), weight, bias)
    torch.testing.assert_close(down.outputs[-1], expected, rtol=0, atol=TOLERANCE)
    assert torch.equal(outputs[0], dense[0])
    assert not torch.allclose(outputs[1], dense[1], atol=1e-4)


@each_granularity
def test_kept_rows_use_their_own_marks_and_their_own_part_of_the_partial_sum(
    make_tiny, granularity
):
    tiny = make_tiny("wan", 1)
    ffn = tiny.blocks[0].ffn
    up, down = Seen(ffn.net[0]), Seen(ffn.net[2])
    dito = tenuto.DiTo(schedule=(0.0, 0.5), scope=("ffn",), predict="none", guide="ffn")

    with tenuto.accelerate(tiny.model, dito, reuse(granularity, sparsity=0.8)) as handle:
        for timestep in STEPS[:2]:
            tiny(timestep, 2)
        (memory,) = handle._accelerated[0].engine._memories.values()
        keep = memory.pairs[(0, "ffn")].rows(16, 1).plan.keep[..., None]

    hidden = [hidden_layer(ffn, "gelu-approximate", tokens) for tokens in up.inputs]
    marks = marks_of(hidden[0], granularity, 0.8)
    reused, marks = (rows.gather(1, keep.expand(-1, -1, 48)) for rows in (hidden[0], marks))
    mixed = torch.where(marks, hidden[1], reused)
    expected = F.linear(mixed, ffn.net[2].weight, ffn.net[2].bias)
    assert expected.shape == (2, 16, 24)
    torch.testing.assert_close(down.outputs[1], expected, rtol=0, atol=TOLERANCE)


def test_marks_by_change_follow_the_change_of_the_last_two_dense_iterations(make_tiny):
    tiny = make_tiny("wan", 1)
    (block,) = tiny.blocks
    seen = Seen(block.ffn)
    setting = reuse("column", sparsity=0.75, select="change", warmup=2, interval=2)

    run(tiny, setting, steps=(900.0, 700.0, 500.0))

    hidden = [hidden_layer(block.ffn, "gelu-approximate", tokens) for tokens in seen.inputs]
    weight, bias = block.ffn.net[2].weight, block.ffn.net[2].bias
    scores = (hidden[1] - hidden[0]).abs() * weight.norm(dim=0)
    mixed = torch.where(marks_of(scores, "column", 0.75), hidden[2], hidden[1])
    expected = F.linear(mixed, weight, bias)
    torch.testing.assert_close(seen.outputs[2], expected, rtol=0, atol=TOLERANCE)


def layers_and_values(gates=1, offset=0, batch=2, num_rows=20):
    torch.manual_seed(0)
    up, down = nn.Linear(6, 16 * gates), nn.Linear(offset + 16, 6)
    layers = FeedForwardLayers("it", up, down, gates, offset)
    return layers, torch.randn(batch, num_rows, 6), torch.randn(batch, num_rows, 16)


@each_granularity
@pytest.mark.parametrize("is_sorted", [True, False])
def test_gathered_rows_come_out_as_among_all_rows(granularity, is_sorted):
    layers, tokens, scores = layers_and_values(gates=2)
    execute = (Elements if granularity == "element" else Tiles)(
        layers, reuse(granularity, sparsity=0.5)
    )
    picked = torch.stack([torch.randperm(20)[:9] for _ in range(2)])
    rows = (picked.sort(1).values if is_sorted else picked) + torch.tensor([[0], [20]])
    gathered = GatheredRows(rows.flatten(), 20)
    marks = execute.mark(scores.abs())

    def output(tokens, seen):
        if granularity == "element":
            hidden = layers.up(tokens)[..., :16]
        else:
            hidden = execute.up(tokens, seen).chunk(2, -1)[0]
        return execute.down(layers.down, hidden, seen)

    among_all = output(tokens, execute.seen(marks, None, 20)).flatten(0, 1)
    alone = output(tokens.flatten(0, 1)[rows], execute.seen(marks, gathered, 20))

    torch.testing.assert_close(alone.flatten(0, 1), among_all[rows.flatten()])


def test_a_sample_is_the_same_alone_and_in_a_batch(make_tiny):
    for granularity in GRANULARITIES:
        tiny = make_tiny("sd3", 2)
        both, _ = run(tiny, reuse(granularity, sparsity=0.7), batch=2)
        alone, _ = run(tiny, reuse(granularity, sparsity=0.7), batch=1)
        torch.testing.assert_close(both[-1][:1], alone[-1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("guidance", ["none", "batched", "split"])
@each_granularity
def test_a_second_run_and_an_unhooked_one_repeat_bit_for_bit(make_loop, guidance, granularity):
    loop = make_loop("sd3")
    untouched = loop(guidance=guidance)

    with tenuto.accelerate(loop, reuse(granularity, sparsity=0.7)) as handle:
        first, second = loop(guidance=guidance), loop(guidance=guidance)
        assert handle.stats().calls_reduced > 0
        with handle.pause():
            assert torch.equal(loop(guidance=guidance), untouched)

    assert torch.equal(first, second)
    assert not torch.equal(first, untouched)
    assert torch.equal(loop(guidance=guidance), untouched)


def test_split_guidance_keeps_the_state_of_each_branch(make_loop):
    loop = make_loop("dit")
    with tenuto.accelerate(loop, reuse("column", sparsity=0.7)):
        batched, split = loop(guidance="batched"), loop(guidance="split")

    torch.testing.assert_close(split, batched, rtol=0, atol=1e-4)


def test_another_resolution_between_dense_and_sparse_iterations_is_dense_and_counted(make_tiny):
    tiny = make_tiny("dit")
    wide = (4, 16, 16)

    def call(timestep, shape):
        return tiny.model(**tiny.inputs(tiny.noise(1, 0, shape), timestep, 1))[0]

    untouched = call(700.0, wide)
    with tenuto.accelerate(tiny.model, reuse("tile", sparsity=0.5)) as handle:
        call(900.0, tiny.latents)
        assert torch.equal(call(700.0, wide), untouched)
        stats = handle.stats()

    assert stats.calls_reduced == 0
    assert stats.dense_reasons == {"dense iteration of FFN-Reuse": 6}


@each_granularity
def test_more_text_among_the_rows_is_dense_and_counted(make_tiny, granularity):
    tiny = make_tiny("flux", 1)

    def call(timestep, num_text):
        inputs = tiny.inputs(tiny.noise(), timestep, 1)
        inputs["encoder_hidden_states"] = inputs["encoder_hidden_states"][:, :num_text]
        inputs["txt_ids"] = inputs["txt_ids"][:num_text]
        return tiny.model(**inputs)[0]

    untouched = call(700.0, 5)
    with tenuto.accelerate(tiny.model, reuse(granularity, sparsity=0.5)) as handle:
        call(900.0, 3)
        assert torch.equal(call(700.0, 5), untouched)
        stats = handle.stats()

    assert stats.dense_reasons["feed-forward rows changed"] == 1
    assert stats.calls_reduced == 0


def counted(handle, call):
    """MACs that the handle and torch see in one call."""
    before = handle.stats().macs_done
    counter = FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        call()
    return handle.stats().macs_done - before, counter.get_total_flops() // 2


@pytest.mark.parametrize("granularity", ["column", "tile"])
def test_operations_done_are_torchs_own_count_and_the_added_partial_sums(tiny, granularity):
    blocks = family_of(tiny.model).blocks_of(tiny.model)
    downs = [Seen(layers.down) for _, layers in feed_forwards(blocks, "it")]
    with tenuto.accelerate(tiny.model, reuse(granularity, sparsity=0.7)) as handle:
        dense, dense_by_torch = counted(handle, lambda: tiny(STEPS[0], 2))
        sparse, sparse_by_torch = counted(handle, lambda: tiny(STEPS[1], 2))

    # Differences: Mochi attends to fewer texts than are counted, in both calls alike.
    added = sum(down.outputs[-1].numel() for down in downs)
    assert dense - sparse == dense_by_torch - sparse_by_torch - added
    assert dense > sparse


def test_elements_are_counted_as_an_element_sparse_machine_computes_them(make_tiny):
    tiny = make_tiny("dit", 1)
    rows, hidden, width = 2 * 36, 128, 32

    _, stats = run(tiny, reuse("element", sparsity=0.75))

    ffn = 2 * rows * hidden * width
    marked = rows * hidden // 4
    added = marked * width + 2 * rows * width  # partial sum made once, added twice
    assert stats.macs_dense - stats.macs_done == 2 * 3 * ffn // 4 - added


@each_granularity
def test_operations_of_the_composition_are_those_of_kept_rows(make_tiny, granularity):
    tiny = make_tiny("dit", 1)
    dito = tenuto.DiTo(schedule=(0.0, 0.5), scope=("ffn",), predict="none", guide="ffn")
    steps = STEPS[:2]
    _, alone = run(tiny, dito, batch=1, steps=steps)

    _, both = run(tiny, dito, reuse(granularity, sparsity=0.75), batch=1, steps=steps)

    kept, hidden, width = 18, 128, 32
    one_layer = kept * hidden * width
    extra = 36 * (hidden // 4) * width + kept * width
    saved = alone.macs_done - both.macs_done + extra
    if granularity == "element":  # marks are chosen over all rows: the kept ones have some share
        assert 0 < saved < 2 * one_layer
    else:
        assert saved == 2 * one_layer * 3 // 4
    assert both.calls_reduced == 2 and alone.calls_reduced == 1


@pytest.mark.parametrize(("granularity", "select"), [("element", "magnitude"), ("tile", "change")])
def test_state_is_marks_partial_sum_and_for_changes_the_hidden_layer(
    make_tiny, granularity, select
):
    tiny = make_tiny("dit", 2)
    _, stats = run(tiny, reuse(granularity, sparsity=0.75, select=select), batch=1)

    marks = 36 * 128 // 8 if granularity == "element" else math.ceil(36 / 7) * 32 * 8
    hidden = 36 * 128 * 4 if select == "change" else 0
    assert stats.state_bytes_peak == 2 * (marks + 36 * 32 * 4 + hidden)


def test_blocks_that_are_forecast_leave_their_marks_alone(make_tiny):
    tiny = make_tiny("dit")
    dito = tenuto.DiTo(schedule=(0.0, 1.0, 0.0, 0.0))

    _, stats = run(tiny, dito, reuse("column", sparsity=0.5), steps=(900, 800, 700, 600))

    # Dense, forecast, sparse (two steps old), dense again (three steps old).
    assert stats.dense_reasons["dense iteration of FFN-Reuse"] == 2 * 3
    assert stats.calls_reduced == 3 + 3


def test_kept_rows_are_computed_whole_when_the_marks_are_too_old(make_tiny):
    tiny = make_tiny("dit")
    dito = tenuto.DiTo(schedule=(0.0, 0.5, 0.5, 0.5), scope=("ffn",), predict="none", guide="ffn")

    _, stats = run(tiny, dito, reuse(sparsity=0.5, interval=2), steps=(900, 800, 700, 600))

    assert stats.dense_reasons["dense iteration of FFN-Reuse, of kept rows"] == 2 * 3
    assert stats.calls_reduced == 3 * 3 + 3


def test_the_ends_of_both_cadences_follow_one_step_tracker(make_loop):
    loop = make_loop("wan")
    techniques = (tenuto.DiTo(ratio=0.5, warmup=1), reuse("tile", sparsity=0.5))
    with tenuto.accelerate(loop, *techniques) as handle:
        first = loop(num_steps=7, guidance="split")
        state = handle.stats().state_bytes_peak
        second = loop(num_steps=7, guidance="split")

    assert torch.equal(first, second)
    assert handle.stats().state_bytes_peak == state


def test_numbers_that_stop_being_finite_are_an_error(make_tiny):
    tiny = make_tiny("dit", 1)
    with tenuto.accelerate(tiny.model, reuse("column", sparsity=0.5)):
        tiny(STEPS[0])
        tiny.blocks[0].ff.net[0].proj.weight.fill_(float("nan"))
        with pytest.raises(NonFiniteError, match="in a run with reduced calls"):
            tiny(STEPS[1])


# Bad input.


@pytest.mark.parametrize(
    ("techniques", "text"),
    [
        ((tenuto.FFNReuse(), tenuto.FFNReuse()), r"got \['FFNReuse', 'FFNReuse'\]$"),
        ((tenuto.DiTo(), tenuto.FFNReuse(interval=2)), r"got interval=2 with a schedule under"),
        ((tenuto.FFNReuse(), tenuto.baselines.ToMeSD(scope=("ffn",))), r"^`interval` of FFNReuse"),
    ],
)
def test_a_composition_in_which_one_technique_has_nothing_to_do_is_refused(
    make_loop, techniques, text
):
    loop = make_loop("dit")
    untouched = loop()

    with pytest.raises(ValueError, match=text):
        tenuto.accelerate(loop, *techniques)

    assert torch.equal(loop(), untouched)


def test_an_unknown_activation_is_refused_with_its_place(make_tiny):
    model = make_tiny("dit").model
    model.transformer_blocks[1].ff.net[0] = nn.Identity()

    with pytest.raises(
        UnsupportedModelError,
        match=r"^DiTTransformer2DModel block 1.ff.net\[0\] must be one of \['ApproximateGELU', "
        r"'GEGLU', 'GELU', 'LinearActivation', 'SwiGLU'\] for FFNReuse, got Identity$",
    ):
        tenuto.accelerate(model, tenuto.FFNReuse())


def test_an_unknown_activation_of_a_fused_block_is_refused(make_tiny):
    model = make_tiny("flux").model
    model.single_transformer_blocks[0].act_mlp = nn.Softmax(-1)

    with pytest.raises(UnsupportedModelError, match=r"act_mlp must be one of .* got Softmax$"):
        tenuto.accelerate(model, tenuto.FFNReuse())


class EightBits(nn.Module):
    """A linear layer whose weights are int8, as quantizing packages make them."""

    def __init__(self, linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.scale = linear.weight.abs().max() / 127
        self.bias = linear.bias
        weight = (linear.weight / self.scale).round().to(torch.int8)
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, tokens):
        return F.linear(tokens, self.weight.float() * self.scale, self.bias)


class Subclassed(torch.Tensor):
    """What torchao and others put in the place of a weight."""


def quantized(make_tiny, kind):
    tiny = make_tiny("dit", 1)
    down = tiny.blocks[0].ff.net[2]
    if kind == "module":
        tiny.blocks[0].ff.net[2] = EightBits(down)
    else:
        down.weight = nn.Parameter(down.weight.detach().as_subclass(Subclassed))
    return tiny


@pytest.mark.parametrize("kind", ["module", "subclass"])
def test_quantized_layers_work_through_their_own_calls(make_tiny, kind):
    tiny = quantized(make_tiny, kind)
    dense = [tiny(timestep, 2) for timestep in STEPS]

    outputs, stats = run(tiny, reuse("element", sparsity=ALL))

    assert stats.calls_reduced == 2
    torch.testing.assert_close(outputs[-1], dense[-1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("module", "got EightBits with"), ("subclass", "got Linear with weights Sub")],
)
@pytest.mark.parametrize(
    "setting", [reuse("column"), reuse("tile"), reuse("element", select="change")]
)
def test_quantized_layers_are_refused_by_name_where_weights_must_be_read(
    make_tiny, kind, name, setting
):
    tiny = quantized(make_tiny, kind)

    place = re.escape("the down-projection of DiTTransformer2DModel block 0.ff must be a plain")
    with pytest.raises(UnsupportedModelError, match=f"^{place}.*{name}"):
        tenuto.accelerate(tiny.model, setting)


def test_weights_of_two_dtypes_are_refused(make_tiny):
    tiny = make_tiny("dit", 1)
    tiny.blocks[0].ff.net[2].to(torch.bfloat16)

    with pytest.raises(UnsupportedModelError, match=r"one dtype .* got torch.float32 and torch.bf"):
        tenuto.accelerate(tiny.model, reuse("column"))


def test_layers_wrapped_after_accelerate_are_refused_in_the_run(make_tiny):
    tiny = make_tiny("dit", 1)
    tenuto.accelerate(tiny.model, reuse("column"))
    tiny.blocks[0].ff.net[2] = nn.Sequential(tiny.blocks[0].ff.net[2])

    with pytest.raises(UnsupportedModelError, match=r"call `remove\(\)` before an adapter"):
        tiny(STEPS[0])


@each_granularity
def test_layers_that_another_library_unwrapped_are_wrapped_again(make_tiny, granularity):
    tiny = make_tiny("dit", 1)
    expected, _ = run(tiny, reuse(granularity, sparsity=0.7))
    net = tiny.blocks[0].ff.net

    with tenuto.accelerate(tiny.model, reuse(granularity, sparsity=0.7)):
        for layer in (net[0].proj, net[2]):
            layer.__dict__.pop("forward", None)
        outputs = [tiny(timestep, 2) for timestep in STEPS]

    assert all(map(torch.equal, outputs, expected))


def test_a_feed_forward_in_pieces_is_refused_in_the_run_and_the_model_recovers(make_loop):
    loop = make_loop("dit")
    untouched = loop()
    handle = tenuto.accelerate(loop, reuse("column"))
    for block in loop.tiny.blocks:
        block.set_chunk_feed_forward(18, 1)

    with pytest.raises(UnsupportedModelError, match=r"block 0.ff must run once in a call"):
        loop()

    handle.remove()
    for block in loop.tiny.blocks:
        block.set_chunk_feed_forward(None, 0)
    assert torch.equal(loop(), untouched)
