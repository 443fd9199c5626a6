"""Run a technique and the untouched pipeline on one prompt, and measure the difference."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from threading import Event, Lock
from typing import Any

from torch import Tensor

from tenuto.errors import UnsupportedModelError
from tenuto.evaluation.contenders import Contender, contender
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.quality import fidelity
from tenuto.evaluation.rows import Untouched, result_row
from tenuto.evaluation.skipped import SkippedWork
from tenuto.evaluation.timing import Timing, TimingReport
from tenuto.integration.handle import is_accelerated, observing
from tenuto.integration.stats import Stats
from tenuto.ui.interruption import interruptible

MAX_STEPS = 200
Progress = Callable[[str, int, int], None]
"""What runs, which step of it, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to try.

    Attributes:
        prompt: A caption; an embedded model knows the words of `tenuto.zoo.prompts` only.
        spec: The technique as on the command line.
        steps: Denoising steps of the untouched run, 1..200.
        seed: Of the noise, >= 0.

    Raises:
        ValueError: A value is out of its range.
    """

    prompt: str
    spec: str
    steps: int
    seed: int

    def __post_init__(self) -> None:
        for name, rule, is_valid in (
            ("prompt", "a caption", bool(self.prompt.strip())),
            ("steps", f"an integer from 1 to {MAX_STEPS}", _is_in(self.steps, 1, MAX_STEPS)),
            ("seed", "an integer from 0 to 2147483647", _is_in(self.seed, 0, 2**31 - 1)),
        ):
            if not is_valid:
                raise ValueError(f"`{name}` must be {rule}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One technique beside the untouched run.

    Attributes:
        row: As in a result file's ``rows`` (docs/results.md), over this prompt alone.
        sample, reference: (frames, 3, height, width) in [0, 1].
        skipped: As in a result file's ``skipped``; None for a technique that is not ours.
        reference_s: Seconds of the untouched run.
    """

    row: dict[str, Any]
    sample: Tensor
    reference: Tensor
    skipped: dict[str, Any] | None
    reference_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    question: tuple[str, int, int]
    sample: Tensor
    seconds: float


class Bench:
    """One pipeline that serves one run at a time, and remembers the last untouched run."""

    def __init__(self, workload: Workload) -> None:
        """Take the model; its number of steps and its seed are each question's own.

        Raises:
            UnsupportedModelError: The pipeline has no transformer.
        """
        if not hasattr(workload.pipe, "transformer"):
            name = type(workload.pipe).__name__
            raise UnsupportedModelError(
                f"`--model` must be a pipeline with a transformer, got {name}"
            )
        self.workload = workload
        self._lock = Lock()
        self._reference: _Reference | None = None

    def answer(self, question: Question, cancel: Event, progress: Progress) -> Trial:
        """Run what is missing of the untouched run, then the technique.

        Raises:
            CancelledError: `cancel` was set; nothing is left behind.
            TenutoError: As `tenuto.accelerate`, or a caption has unknown words.
            ValueError: The spec is not valid.
        """
        made = contender(question.spec)
        with self._lock:
            reference = self._untouched(question, cancel, progress)
            return self._beside(reference, made, question, cancel, progress)

    def _untouched(self, question: Question, cancel: Event, progress: Progress) -> _Reference:
        asked = (question.prompt, question.steps, question.seed)
        if self._reference is None:  # the first run of a process is slower than the others
            self._run("warming up", question, min(2, question.steps), cancel, progress)
        if self._reference is None or self._reference.question != asked:
            sample, seconds = self._run("untouched", question, None, cancel, progress)
            self._reference = _Reference(asked, sample, seconds)
        return self._reference

    def _beside(
        self,
        reference: _Reference,
        made: Contender,
        question: Question,
        cancel: Event,
        progress: Progress,
    ) -> Trial:
        model = self.workload.pipe.transformer
        num_steps = made.num_steps or question.steps
        if made.prepare is not None:
            with interruptible(model, cancel, lambda step: progress("preparing", step, num_steps)):
                made.prepare(self._workload(question.steps, question.seed))
        with made.applied(self.workload.pipe) as stats_of:
            work = SkippedWork(model, num_steps) if is_accelerated(model) else None
            seen = nullcontext() if work is None else observing(model, work)
            with seen:
                sample, seconds = self._run(made.spec, question, num_steps, cancel, progress)
            stats = stats_of()
        skipped = None if work is None else {"technique": made.spec, **work.to_dict()}
        return Trial(
            row=_row(made, sample, seconds, reference, stats),
            sample=sample,
            reference=reference.sample,
            skipped=skipped,
            reference_s=reference.seconds,
        )

    def _run(
        self,
        name: str,
        question: Question,
        num_steps: int | None,
        cancel: Event,
        progress: Progress,
    ) -> tuple[Tensor, float]:
        """Draw one sample; return it and its seconds."""
        total = num_steps or question.steps

        def on_step(step: int) -> None:
            progress(name, step, total)

        work = self._workload(total, question.seed)
        with interruptible(work.pipe.transformer, cancel, on_step):
            start = time.perf_counter()
            sample = work.generate(question.prompt, 0)
            return sample, time.perf_counter() - start

    def _workload(self, num_steps: int, seed: int) -> Workload:
        return replace(self.workload, num_steps=num_steps, seed=seed)


def _row(
    made: Contender, sample: Tensor, seconds: float, reference: _Reference, stats: Stats | None
) -> dict[str, Any]:
    """Return the row of a result file over this one sample."""
    measured = {
        **asdict(fidelity(sample, reference.sample, measure_flip=False)),
        "stats": None if stats is None else stats.to_dict(),
        "macs": None,  # counting others' operations would slow their timed run down
        "reading": None,
    }
    timing = Timing(name=made.spec, runs_s=(seconds,))
    report = TimingReport(
        timings=(Timing(name="untouched", runs_s=(reference.seconds,)), timing),
        was_interrupted=False,
    )
    untouched = Untouched(steps=reference.question[1], macs=0)
    return result_row(made, [measured], timing, report, untouched, [None])


def _is_in(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most
