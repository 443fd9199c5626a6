"""What happens in one life of the soak, drawn from its number, and what is checked in it."""

import sys
from collections import Counter
from random import Random
from typing import Any

import torch
from tests.integration import tiny_models
from tests.integration.conftest import Loop

import tenuto
from recipes.soak.settings import random_spec
from tenuto.errors import NonFiniteError, TenutoError
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload

GENERATIONS_OF_A_LIFE = 25
EMBEDDED = ("emoji-image", "emoji-video")


class LostError(Exception):
    """A generation that was not what it must be."""


class Subject:
    """One model that is switched on and off, and what it is compared with."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.loop = Loop(tiny_models.make(family))
        self.handle: Any = None
        self.spec = ""

    def switch_on(self, spec: str) -> None:
        """Accelerate, instead of what was on before."""
        self.switch_off()
        self.handle, self.spec = tenuto.accelerate(self.loop, *contender(spec).techniques), spec

    def switch_off(self) -> None:
        """Restore the model."""
        if self.handle is not None:
            self.handle.remove()
        self.handle, self.spec = None, ""

    def check_off(self, run: dict[str, Any]) -> None:
        """Raise where the switched-off model differs from one that was never on."""
        untouched = Loop(tiny_models.make(self.family))(**run)
        if not torch.equal(self.loop(**run), untouched):
            raise LostError("with everything off, the output is not the untouched model's")

    def check_on(self, run: dict[str, Any], sample: torch.Tensor) -> None:
        """Raise where what happened before changed what an accelerated run gives."""
        fresh = Loop(tiny_models.make(self.family))
        with tenuto.accelerate(fresh, *contender(self.spec).techniques):
            if not torch.equal(fresh(**run), sample):
                raise LostError("the output is not that of the same settings on a fresh model")


def random_run(random: Random, latents: tuple[int, ...]) -> dict[str, Any]:
    """Draw steps, batch, guidance, noise and resolution of one generation."""
    if random.random() < 0.3:
        larger = {2: (64, latents[1]), 3: (4, 16, 16), 4: (*latents[:3], 12)}
        latents = larger[len(latents)]
    return {
        "num_steps": random.randint(1, 7),
        "batch": random.choice((1, 1, 2)),
        "guidance": random.choice(("batched", "split", "none")),
        "seed": random.randrange(1000),
        "latents": latents,
    }


class BrokenOffError(RuntimeError):
    """Raised on purpose in the middle of a generation."""


def break_off(random: Random, subject: Subject, run: dict[str, Any]) -> None:
    """Let one generation end with an exception somewhere inside a block."""
    left = [random.randint(1, 20)]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise BrokenOffError

    block = random.choice(subject.loop.tiny.blocks)
    hook = block.register_forward_hook(count)
    try:
        subject.loop(**run)
    except BrokenOffError:
        pass
    finally:
        hook.remove()


def generate(random: Random, number: int, subject: Subject, counts: Counter[str]) -> None:
    """Do one thing to a model and let it generate once."""
    run = random_run(random, subject.loop.tiny.latents)
    if number % 10 == 9:
        subject.switch_off()
        subject.check_off(run)
        counts["checked with everything off"] += 1
        return
    action = random.choice(("on", "on", "on", "off", "reset", "pause", "break off", "again"))
    counts[action] += 1
    if action == "on":
        subject.switch_on(random_spec(random))
    elif action == "off":
        subject.switch_off()
    elif action == "reset" and subject.handle is not None:
        subject.handle.reset()
    elif action == "break off":
        break_off(random, subject, run)
    elif action == "pause" and subject.handle is not None:
        with subject.handle.pause():
            subject.loop(**run)
    sample = subject.loop(**run)
    shape = (run["batch"], *run["latents"])
    if tuple(sample.shape) != shape or not bool(sample.isfinite().all()):
        raise LostError(
            f"the output must be finite and of shape {shape}, got {tuple(sample.shape)}"
        )
    if subject.handle is not None and number % 5 == 0:
        subject.check_on(run, sample)
        counts["checked against a fresh model"] += 1


def embedded(random: Random, workloads: dict[str, Any], counts: Counter[str]) -> None:
    """Generate with an embedded model under a random setting, then check it with everything off."""
    name = random.choice(EMBEDDED)
    if name not in workloads:
        workload = load_workload(name, num_steps=3)
        workloads[name] = workload, workload.generate("a frog spins over the sea", 0)
    workload, untouched = workloads[name]
    try:
        with contender(random_spec(random)).applied(workload.pipe):
            workload.generate("a heart moves left over the sky", random.randrange(100))
    finally:
        again = workload.generate("a frog spins over the sea", 0)
        if not torch.equal(again, untouched):
            raise LostError(f"{name} with everything off is not what it was")
    counts["embedded models"] += 1


def live(seed: int, life: int, workloads: dict[str, Any], counts: Counter[str]) -> int:
    """Go through one life; return how many of its generations were lost."""
    random = Random(f"{seed}/{life}")
    subjects = [Subject(family) for family in random.sample(tiny_models.NAMES, 4)]
    lost = 0
    for number in range(GENERATIONS_OF_A_LIFE):
        subject = random.choice(subjects)
        try:
            if number == GENERATIONS_OF_A_LIFE - 1:
                embedded(random, workloads, counts)
            else:
                generate(random, number, subject, counts)
        except NonFiniteError as error:
            lost += report_loss(seed, life, number, subject, error)
        except (TenutoError, ValueError):
            counts["refused settings"] += 1
            subject.switch_off()
        except Exception as error:
            lost += report_loss(seed, life, number, subject, error)
            subject.switch_off()
    for subject in subjects:
        subject.switch_off()
    return lost


def report_loss(seed: int, life: int, number: int, subject: Subject, error: Exception) -> int:
    """Say how to see it again."""
    print(
        f"LOST: {subject.family} {subject.spec!r}, generation {number} of life {life}: "
        f"{type(error).__name__}: {error}\n  again: python -m recipes.soak.run --seed {seed} "
        f"--life {life}",
        file=sys.stderr,
    )
    return 1
