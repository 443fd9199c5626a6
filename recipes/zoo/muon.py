"""Muon: momentum whose update is orthogonalised, for 2-D weights.

Source: K. Jordan et al., Muon (2024), with the update scale of Liu et al. (arXiv 2502.16982).
Differs in: fp32, four Newton-Schulz iterations, all matrices of one shape in one batched product.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 4


def orthogonalise(updates: Tensor) -> Tensor:
    """Push the singular values of ``(matrices, short, long)`` towards one."""
    a, b, c = NEWTON_SCHULZ
    x = updates / (updates.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Optimiser of 2-D parameters; the state of each is one tensor, ``momentum``."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Apply one update to every parameter that has a gradient."""
        for group in self.param_groups:
            same_shape = defaultdict(list)
            for param in group["params"]:
                if param.grad is not None:
                    same_shape[tuple(sorted(param.shape))].append(param)
            for params in same_shape.values():
                self._step_batch(params, group)

    def _step_batch(self, params: list[Tensor], group: dict) -> None:
        updates = []
        for param in params:
            state = self.state[param]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(param)
            momentum = state["momentum"].lerp_(param.grad, 1 - group["momentum"])
            update = param.grad.lerp(momentum, group["momentum"])  # Nesterov
            updates.append(update.T if param.shape[0] > param.shape[1] else update)
        scale = group["lr"] * 0.2 * math.sqrt(max(params[0].shape))
        for param, update in zip(params, orthogonalise(torch.stack(updates)), strict=True):
            param.mul_(1 - group["lr"] * group["weight_decay"])
            param.add_(update.T if param.shape[0] > param.shape[1] else update, alpha=-scale)
