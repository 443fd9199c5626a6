"""Put the outputs of the computed tokens back among all tokens: the engine's one formula.

With forecast ``f`` (from each token's own dense history), computed outputs ``o`` of the kept tokens
and partner ``p(i)`` of a reduced token ``i``::

    o_i = f_i + gain * (o_p(i) - f_p(i))

Corners of it are published methods: no forecast and gain 1 copies the partner (ToMeSD, DiTo,
ORBIS); a forecast and gain 0 is a token-wise cache (ToCa, arXiv 2410.05317); a forecast and gain 1
moves a token with its proxy (ResCa); no token computed is TaylorSeer (arXiv 2503.06923). Forecast
and correction together on output-guided pairs under one schedule are ours.
"""

from torch import Tensor

from tenuto.algorithms.shapes import Float, Int


def gather_rows(
    tokens: Float[Tensor, "batch tokens channels"], flat_rows: Int[Tensor, " rows"]
) -> Float[Tensor, "batch kept channels"]:
    """Gather rows by their index in the flattened (batch * tokens) axis, the same count a sample.

    One flat gather is several times faster on CPUs than `Tensor.gather` with an expanded index.
    """
    batch, _, channels = tokens.shape
    rows = tokens.reshape(-1, channels).index_select(0, flat_rows)
    return rows.view(batch, -1, channels)


def restore_rows(
    kept: Float[Tensor, "batch kept channels"],
    flat_keep: Int[Tensor, " kept_rows"],
    flat_slots: Int[Tensor, "*partners rows"],
    forecast: Float[Tensor, "batch tokens channels"] | None,
    gain: float,
) -> Float[Tensor, "batch tokens channels"]:
    """Return all tokens' outputs from those of the kept ones.

    Args:
        kept: Computed outputs, in the plan's order of kept tokens.
        flat_keep: Flattened token row of each kept one.
        flat_slots: For each flattened token row, the flattened kept row of itself or its partner;
            one row of these for each of several partners, whose average then stands for it.
        forecast: For all tokens, or None to copy the partner.
        gain: How much of the partner's innovation corrects a forecast; 0 leaves it, 1 adds it all.

    Returns:
        A new tensor. The rows of kept tokens equal `kept` exactly.

    Source: ours; see the module's text for the corners and their sources.
    """
    if forecast is None:
        return _spread(kept, flat_slots, flat_keep)
    channels = kept.shape[-1]
    if gain == 0:
        restored = forecast.reshape(-1, channels).clone()
    else:
        innovation = kept - gather_rows(forecast, flat_keep)
        restored = _spread(innovation, flat_slots, flat_keep).view(-1, channels)
        if gain != 1:
            restored *= gain
        restored += forecast.reshape(-1, channels)
    restored.index_copy_(0, flat_keep, kept.reshape(-1, channels))
    return restored.view_as(forecast)


def _spread(
    kept: Float[Tensor, "batch kept channels"],
    flat_slots: Int[Tensor, "*partners rows"],
    flat_keep: Int[Tensor, " kept_rows"],
) -> Float[Tensor, "batch tokens channels"]:
    """Give every token the rows of its partners, averaged; kept tokens their own, unchanged."""
    if flat_slots.ndim == 1:
        return gather_rows(kept, flat_slots)
    total = gather_rows(kept, flat_slots[0])
    for slots in flat_slots[1:]:
        total = total + gather_rows(kept, slots)
    mean = (total / len(flat_slots)).view(-1, kept.shape[-1])
    mean.index_copy_(0, flat_keep, kept.reshape(-1, kept.shape[-1]))
    return mean.view_as(total)
