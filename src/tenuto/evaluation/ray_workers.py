"""Measure a comparison on a Ray cluster: one task a prompt, with every contender that lacks it.

Workers draw, this process writes: nodes share no disk. A sample is the same wherever it is drawn,
on machines of one kind with as many threads; the driver's folder ends up as if it had drawn all.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tenuto.errors import MissingExtraError, ResultError
from tenuto.evaluation.compare import Measure
from tenuto.evaluation.contenders import Contender, contender
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.measuring import draw_and_measure, running_total
from tenuto.evaluation.samples import (
    NUM_CLIPS,
    Plan,
    Progress,
    Samples,
    keep_clip,
    save_reference,
    saved_reference,
)
from tenuto.evaluation.skipped_files import read_skipped, save_skipped, watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker is asked for.

    Attributes:
        loaded: Arguments of `load_workload`: model, steps, seed, scheduler.
        num_threads: Of torch, as in the process that asks.
        caption: What to draw, and its number.
        specs: Of the contenders that lack it.
        reference: The untouched sample where it is there already, float32.
    """

    loaded: tuple[str, int, int, str | None]
    num_threads: int
    caption: tuple[str, int]
    specs: tuple[str, ...]
    reference: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a worker sends back.

    Attributes:
        reference: The untouched sample, float32.
        measured: A line of ``samples.jsonl`` for each spec, without spec and prompt.
        samples: The samples, float32; None for a prompt without a clip.
        skipped: What each row left out, for the first caption.
    """

    reference: NDArray[np.float32]
    measured: tuple[dict[str, Any], ...]
    samples: tuple[NDArray[np.float32] | None, ...]
    skipped: tuple[dict[str, Any], ...]


def on_ray(address: str) -> Measure:
    """Return a way to measure on a running cluster, for `compare`.

    Args:
        address: Of the cluster; ``local`` starts one of this machine's cores. A process that is
            connected already stays where it is.

    Raises:
        MissingExtraError: ray is not installed.
        ResultError: No cluster answers at the address.
    """
    ray = _connected(address)

    def measure(plan: Plan, progress: Progress) -> tuple[Samples, list[Tensor]]:
        (plan.folder / "clips").mkdir(parents=True, exist_ok=True)
        samples = Samples(plan)
        task = ray.remote(draw).options(num_cpus=torch.get_num_threads())
        orders = list(_orders(plan, samples))
        promised = [task.remote(order) for order in orders]
        counted: dict[str, list[dict[str, Any]]] = {}
        references = []
        for order, promise in zip(orders, promised, strict=True):
            references.append(_take(plan, order, ray.get(promise), samples, counted))
            for _ in range(1 + len(plan.contenders)):
                progress(order.caption[0])
        return samples, references

    return measure


def _connected(address: str) -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise MissingExtraError(
            "`--ray` needs ray: pip install 'tenuto[ray]', or leave `--ray` out to use this process"
        ) from None
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ResultError(f"no Ray cluster answers at {address!r}: {error}") from None
    return ray


def _orders(plan: Plan, samples: Samples) -> Iterator[Order]:
    """Yield what is to be asked for, one order a prompt; what is on disk is not drawn again."""
    work = plan.workload
    for index, prompt in enumerate(plan.prompts):
        missing = [c.spec for c in plan.contenders if samples.find(c, prompt) is None]
        reference = saved_reference(plan, index)
        yield Order(
            loaded=(work.model, work.num_steps, work.seed, work.scheduler),
            num_threads=torch.get_num_threads(),
            caption=(prompt, index),
            specs=tuple(missing),
            reference=None if reference is None else reference.numpy(),
        )


def draw(order: Order) -> Drawn:
    """Draw and measure what an order asks for, in a worker."""
    torch.set_num_threads(order.num_threads)
    workload = _workload(order.loaded)
    if order.reference is None:
        reference = workload.generate(*order.caption)
    else:
        reference = torch.from_numpy(order.reference.copy())
    with TemporaryDirectory() as folder:
        plan = Plan(
            workload=workload, folder=Path(folder), prompts=order.caption[:1],
            contenders=tuple(_prepared(order.loaded, spec) for spec in order.specs),
        )  # fmt: skip
        found = [_measured(plan, rival, order.caption, reference) for rival in plan.contenders]
        skipped = read_skipped(plan)
    return Drawn(
        reference=reference.numpy(),
        measured=tuple(measured for _, measured in found),
        samples=tuple(s.numpy() if order.caption[1] < NUM_CLIPS else None for s, _ in found),
        skipped=tuple(skipped),
    )


def _measured(
    plan: Plan, rival: Contender, caption: tuple[str, int], reference: Tensor
) -> tuple[Tensor, dict[str, Any]]:
    with rival.applied(plan.workload.pipe) as stats_of, watched(plan, rival, caption[1]):
        return draw_and_measure(plan.workload, rival, stats_of, caption, reference)


@cache
def _workload(loaded: tuple[str, int, int, str | None]) -> Workload:
    """Load a model once in each worker process."""
    model, num_steps, seed, scheduler = loaded
    return load_workload(model, num_steps=num_steps, seed=seed, scheduler=scheduler)


@cache
def _prepared(loaded: tuple[str, int, int, str | None], spec: str) -> Contender:
    """Make a contender and let it measure what it needs, once in each worker process."""
    rival = contender(spec)
    if rival.prepare is not None:
        rival.prepare(_workload(loaded))
    return rival


def _take(
    plan: Plan,
    order: Order,
    drawn: Drawn,
    samples: Samples,
    counted: dict[str, list[dict[str, Any]]],
) -> Tensor:
    """Write what a worker sent where `measure` would have; return the untouched sample."""
    prompt, index = order.caption
    reference = torch.from_numpy(drawn.reference.copy())
    if order.reference is None:
        save_reference(plan, index, reference)
    keep_clip(plan, "reference", index, reference)
    by_spec = {c.spec: c for c in plan.contenders}
    for spec, measured, sample in zip(order.specs, drawn.measured, drawn.samples, strict=True):
        if measured["stats"] is not None:
            counted.setdefault(spec, []).append(measured["stats"])
            measured["stats"] = running_total(counted[spec])
        samples.add(by_spec[spec], prompt, measured)
        if sample is not None:
            keep_clip(plan, by_spec[spec].slug, index, torch.from_numpy(sample.copy()))
    for content in drawn.skipped:
        save_skipped(plan, by_spec[content["technique"]], content)
    return reference
