"""Token-wise caches of other people as settings of our engine: our reading, not their code.

Each of these papers has rules of its own for which tokens to compute, and some for when. The
settings here keep what our formula can say (what an uncomputed token gets) and choose tokens by
our pairs. None of them reproduces a published number, and none should be quoted as one.
"""

from tenuto.algorithms.dito import DiTo


def toca_style(*, ratio: float = 0.75, interval: int = 3) -> DiTo:
    """Return a token-wise cache: tokens that are not computed keep their last dense output.

    Args:
        ratio: Share of the tokens not computed at the steps between, in [0, 1].
        interval: Steps from one dense step to the next, >= 1.

    Source: our reading of ToCa (arXiv 2410.05317). Its choice of tokens by attention scores and
    its ratios by layer are not reproduced; its priority for tokens that were cached often is our
    frequency penalty.
    """
    return DiTo(
        ratio=ratio, interval=interval, predict="hold", correct=False, keys="held",
        frequency_penalty=0.1, predict_at="modules", warmup=1,
    )  # fmt: skip


def duca_style(*, ratio: float = 0.75, interval: int = 5, num_steps: int = 50) -> DiTo:
    """Return a cache that takes turns: no token computed, then a few, until the next dense step.

    Args:
        ratio: Share of the tokens not computed at the conservative steps, in [0, 1].
        interval: Steps from one dense step to the next, >= 1.
        num_steps: Steps that the schedule covers, >= 1; later ones are dense.

    Source: our reading of DuCa (arXiv 2412.18911): aggressive steps reuse every module's output,
    conservative ones compute some tokens; the first step after a dense one is aggressive.
    """
    for name, value in (("interval", interval), ("num_steps", num_steps)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value!r}")
    turns = [0.0, *(1.0 if turn % 2 else ratio for turn in range(1, interval))]
    return DiTo(
        schedule=tuple(turns[step % interval] for step in range(num_steps)),
        predict="hold", correct=False, keys="held", frequency_penalty=0.1, predict_at="modules",
        warmup=1,
    )  # fmt: skip


def resca_style(*, ratio: float = 0.75, interval: int = 3, partners: int = 1) -> DiTo:
    """Return a cache whose tokens move with a proxy: hold, plus all that the proxy changed.

    Args:
        ratio: Share of the tokens not computed at the steps between, in [0, 1].
        interval: Steps from one dense step to the next, >= 1.
        partners: Proxies that move a token together, >= 1.

    Source: our reading of ResCa (CVPR 2026): clusters by denoising trajectory are pairs on the
    change of the attention's output between the last two dense steps; a proxy's residual moves its
    cluster.
    """
    return DiTo(
        ratio=ratio, interval=interval, predict="hold", keys="held", drift=True,
        partners=partners, predict_at="modules", warmup=2,
    )  # fmt: skip


def clusca_style(
    *, ratio: float = 0.75, interval: int = 5, gain: float = 0.5, partners: int = 4
) -> DiTo:
    """Return a cache blended with the mean of a cluster's computed tokens.

    Args:
        ratio: Share of the tokens not computed at the steps between, in [0, 1].
        interval: Steps from one dense step to the next, >= 1.
        gain: Weight of the computed tokens' change against the cached output, in [0, 1].
        partners: Computed tokens whose changes are averaged, >= 1.

    Source: our reading of ClusCa (arXiv 2509.10312), which computes 16 tokens a step, one for each
    of as many clusters found by k-means, and blends. Our windows keep far more tokens, and what is
    blended in is the partners' change, not their value.
    """
    return DiTo(
        ratio=ratio, interval=interval, predict="hold", gain=gain, keys="held", guide="block",
        partners=partners, predict_at="modules", warmup=1,
    )  # fmt: skip
