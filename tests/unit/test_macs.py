import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tenuto.integration.macs import MacCounter


def counted(model, *args, **kwargs):
    counter = MacCounter(model)
    counter.start()
    with torch.no_grad():
        model(*args, **kwargs)
    return counter.stop()


def test_a_linear_layer_multiplies_each_input_with_each_output():
    layer = nn.Linear(3, 5)

    assert counted(layer, torch.zeros(2, 7, 3)).leaves == {layer: 2 * 7 * 3 * 5}


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv2d(3, 5, 2, stride=2), (1, 3, 8, 8), 4 * 4 * 5 * (3 * 2 * 2)),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), (1, 4, 6, 6), 6 * 6 * 4 * (1 * 3 * 3)),
        (nn.Conv3d(4, 8, (1, 2, 2), stride=(1, 2, 2)), (2, 4, 3, 4, 4), 2 * 3 * 2 * 2 * 8 * 16),
    ],
)
def test_a_convolution_multiplies_each_output_with_its_kernel(layer, shape, macs):
    assert counted(layer, torch.zeros(shape)).total == macs


def test_an_attention_multiplies_queries_with_keys_and_weights_with_values():
    attention = Attention(query_dim=12, heads=2, dim_head=8)

    table = counted(attention, torch.zeros(2, 5, 12))

    # Two samples, five rows; 16 inner channels.
    assert table.cores == {attention: 2 * (2 * 5 * 5 * 16)}
    assert sum(table.leaves.values()) == 2 * 5 * (3 * 12 * 16 + 16 * 12)


def test_a_cross_attention_has_the_keys_of_the_other_sequence():
    attention = Attention(query_dim=12, cross_attention_dim=6, heads=2, dim_head=8)

    table = counted(attention, torch.zeros(1, 5, 12), encoder_hidden_states=torch.zeros(1, 9, 6))

    assert table.cores[attention] == 2 * 5 * 9 * 16


def test_layers_inside_a_module_add_up_to_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)))

    table = counted(model, torch.zeros(1, 2))

    assert table.within(model[1]) == 3 * 4 + 4
    assert table.within(model) == table.total == 6 + 12 + 4


def test_a_layer_that_runs_twice_counts_twice():
    layer = nn.Linear(3, 3)

    assert counted(nn.Sequential(layer, layer), torch.zeros(1, 3)).total == 2 * 9


def test_a_stopped_counter_leaves_no_hooks():
    model = nn.Sequential(nn.Linear(2, 2))

    counted(model, torch.zeros(1, 2))

    assert len(model[0]._forward_hooks) == 0


def test_what_did_not_run_is_not_counted():
    model = nn.Sequential(nn.Linear(2, 2))
    counter = MacCounter(model)
    counter.start()

    assert counter.stop().total == 0


def test_linear_layers_and_attention_equal_torchs_own_counter():
    model = nn.ModuleList([nn.Linear(12, 12), Attention(query_dim=12, heads=2, dim_head=8)])
    tokens = torch.zeros(2, 5, 12)
    torchs = FlopCounterMode(display=False)

    counter = MacCounter(model)
    counter.start()
    # Written out, because torch does not count its fused product on CPUs.
    with torch.no_grad(), torchs, sdpa_kernel(SDPBackend.MATH):
        model[1](model[0](tokens))

    assert 2 * counter.stop().total == torchs.get_total_flops()
