"""The state of one training run: weights, their average, optimisers, position; and its step.

Randomness holds no state: every draw of a step comes from a generator seeded by (run seed, step)
and every sample from its own seed, so a checkpoint of tensors and counters resumes to the bit.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recipes.zoo.models import CaptionedModel, token_ids
from recipes.zoo.muon import Muon
from recipes.zoo.plan import Lot, Stage, Task, lot_of, lr_factor
from recipes.zoo.scenes import FIRST_TRAINING_SEED

SEEDS_PER_RUN = 50_000_000
LABEL_DROPOUT = 0.1
SIGMA_MEAN_LOGIT, SIGMA_STD_LOGIT = 0.8, 1.1
SIGMA_FLOOR = 0.05
MAX_GRAD_NORM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is told: the same settings, seed and code give the same weights."""

    lr: float = 2e-3
    ema_decay: float = 0.998
    total_tokens: float = 40e6
    seed: int = 0
    num_layers: int = 8
    num_heads: int = 4
    is_tiny: bool = False


@dataclass(slots=True)
class Position:
    """How far a run is."""

    step: int = 0
    samples: int = 0
    tokens: int = 0


class Run:
    """A training run that can be advanced, and its tensors read or replaced by name."""

    def __init__(self, task: Task, settings: Settings):
        self.task, self.settings, self.position = task, settings, Position()
        self.commits: list[str] = []  # of the code that trained it, in order
        self.config = task.config | {
            "num_layers": settings.num_layers,
            "num_attention_heads": settings.num_heads,
        }
        if "caption_projection_dim" in self.config:
            width = settings.num_heads * self.config["attention_head_dim"]
            self.config["caption_projection_dim"] = width
        self.model: CaptionedModel = task.build(self.config, settings.seed)
        self.params = dict(self.model.named_parameters())
        self.ema = {name: param.detach().clone() for name, param in self.params.items()}
        self.optimizers = _optimizers(self.params, settings.lr)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self.task.tiny_stages if self.settings.is_tiny else self.task.stages

    def compile_blocks(self) -> None:
        """Compile each block on its own; shapes are fixed per lot."""
        transformer = self.model.transformer
        blocks = getattr(transformer, "blocks", None) or transformer.transformer_blocks
        for block in blocks:
            block.compile(dynamic=False)

    def advance(self) -> dict[str, float | str]:
        """Take one step; returns the loss, the gradient norm, the rate and the grid's name."""
        position, settings = self.position, self.settings
        generator = torch.Generator().manual_seed(_step_seed(settings.seed, position.step))
        draw = torch.rand(1, generator=generator).item()
        lot = lot_of(self.stages, position.tokens, draw)
        lr = settings.lr * lr_factor(position.step, position.tokens, settings.total_tokens)
        loss = self._loss(lot, generator)
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(
            self.params.values(), MAX_GRAD_NORM, error_if_nonfinite=True
        )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()
        self._average()
        position.step += 1
        position.samples += lot.num_samples
        position.tokens += self.task.num_tokens(lot)
        grid = "x".join(map(str, (lot.grid.num_frames, lot.grid.height, lot.grid.width)))
        return {"loss": loss.item(), "grad_norm": grad_norm.item(), "lr": lr, "grid": grid}

    def _loss(self, lot: Lot, generator: torch.Generator) -> Tensor:
        first = FIRST_TRAINING_SEED + self.settings.seed * SEEDS_PER_RUN + self.position.samples
        clean, captions = self.task.render(range(first, first + lot.num_samples), lot.grid)
        dropped = torch.rand(lot.num_samples, generator=generator) < LABEL_DROPOUT
        captions = ["" if drop else text for drop, text in zip(dropped, captions, strict=True)]
        logit = torch.randn(lot.num_samples, generator=generator)
        sigma = torch.sigmoid(logit * SIGMA_STD_LOGIT + SIGMA_MEAN_LOGIT)
        noise = torch.randn(clean.shape, generator=generator)
        wide = sigma.view(-1, *[1] * (clean.ndim - 1))
        noisy = (1 - wide) * clean + wide * noise
        ids = token_ids(captions, self.task.num_words)
        predicted = self.task.predict(self.model, ids, noisy, sigma)
        return ((predicted - clean) / wide.clamp_min(SIGMA_FLOOR)).square().mean()

    def _average(self) -> None:
        step = self.position.step
        decay = min(self.settings.ema_decay, (step + 1) / (step + 20))
        weights = [param.detach() for param in self.params.values()]
        torch._foreach_lerp_(list(self.ema.values()), weights, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """Give all that must be kept, by name."""
        kept = {f"model.{name}": param.detach() for name, param in self.params.items()}
        kept |= {f"ema.{name}": tensor for name, tensor in self.ema.items()}
        names = {id(param): name for name, param in self.params.items()}
        for optimizer in self.optimizers:
            for param, state in optimizer.state.items():
                for key, tensor in state.items():
                    kept[f"optimizer.{key}.{names[id(param)]}"] = tensor
        return kept

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], position: Position) -> None:
        """Take back what `tensors` gave."""
        self.position = position
        for name, param in self.params.items():
            param.copy_(tensors[f"model.{name}"])
            self.ema[name].copy_(tensors[f"ema.{name}"])
        keys = {"Muon": ("momentum",), "AdamW": ("step", "exp_avg", "exp_avg_sq")}
        names = {id(param): name for name, param in self.params.items()}
        for optimizer in self.optimizers:
            for param in (param for group in optimizer.param_groups for param in group["params"]):
                stored = {
                    key: tensors[f"optimizer.{key}.{names[id(param)]}"].clone()
                    for key in keys[type(optimizer).__name__]
                    if f"optimizer.{key}.{names[id(param)]}" in tensors
                }
                if stored:
                    optimizer.state[param] = stored


def _optimizers(params: dict[str, Tensor], lr: float) -> list[torch.optim.Optimizer]:
    is_matrix = {name: "blocks" in name and param.ndim == 2 for name, param in params.items()}
    matrices = [param for name, param in params.items() if is_matrix[name]]
    others = [param for name, param in params.items() if not is_matrix[name]]
    adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    return [Muon(matrices, lr=lr), adam]


def _step_seed(seed: int, step: int) -> int:
    state = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
