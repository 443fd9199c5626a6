"""`accelerate` a pipeline or transformer: check everything, then hook every place."""

from typing import Any

from torch import nn

from tenuto.algorithms.reduction import Reduction
from tenuto.algorithms.schedule import Table
from tenuto.errors import AlreadyAcceleratedError, CalibrationError, UnsupportedModelError
from tenuto.integration.calibration import Calibration
from tenuto.integration.composed import Composed, reduction_of, resolved
from tenuto.integration.composition import (
    NO_REDUCTION,
    Composition,
    Technique,
    check_predicts,
    check_reuses,
)
from tenuto.integration.eager_attentions import eager_attentions
from tenuto.integration.families import ModelFamily, family_of
from tenuto.integration.feed_forward import check_weights, feed_forwards
from tenuto.integration.handle import Handle, is_accelerated
from tenuto.integration.hooking import Settings, hook, spans_of
from tenuto.integration.shards import check_parallel

_DENOISERS = ("transformer", "transformer_2", "unet")


def accelerate(
    pipe_or_model: Any,
    *techniques: Technique | Composed,
    strict: bool = True,
    scheduler: Any = None,
) -> Handle:
    """Make a diffusers pipeline, or a transformer of one, faster by a technique.

    Only instances are hooked, never classes; weights and configuration are not touched.

    Args:
        pipe_or_model: A diffusers pipeline with a transformer, or a transformer itself.
        techniques: At most one of each kind (`tenuto.integration.composition`): a token reduction,
            an `FFNReuse`, an `EagerPrediction`. Or a `Composed` alone: all of them from a file.
        strict: Raise when numbers stop being finite in a run with reduced calls; False goes on
            densely and counts it.
        scheduler: Of a bare transformer's loop, where there is one; calibrations need it. None
            asks the pipeline for its present scheduler.

    Returns:
        The handle: statistics, and the way back. Also a context manager.

    Raises:
        UnsupportedModelError: The model's class, or a part of it, cannot be hooked.
        AlreadyAcceleratedError: The model has a handle that was not removed.
        CalibrationError: A calibration does not fit the model.
        TypeError: Something else than a technique is given.
        ValueError: None or two of a kind are given, a schedule is for other blocks, or the
            techniques leave one another nothing to do.
    """
    composition, calibration = resolved(techniques)
    models = _denoisers(pipe_or_model)
    families = [family_of(model) for model in models]
    for model in models:
        if is_accelerated(model):
            raise AlreadyAcceleratedError(
                f"{type(model).__name__} must not be accelerated already: call `remove()` on its "
                "handle first"
            )
    settings = settings_of(composition, calibration)
    for model, family in zip(models, families, strict=True):  # all of them before any is hooked
        _check_numbers(model, family, settings, calibration)
        check_fit(model, family, settings)

    def present_scheduler() -> Any:
        return getattr(pipe_or_model, "scheduler", None) if scheduler is None else scheduler

    accelerated = []
    try:
        for model, family in zip(models, families, strict=True):
            accelerated.append(hook(model, family, settings, present_scheduler, calibration))
            accelerated[-1].engine.counters.is_strict = strict
    except BaseException:
        Handle(accelerated).remove()
        raise
    return Handle(accelerated)


def _denoisers(pipe_or_model: Any) -> list[nn.Module]:
    """Return the transformers to hook."""
    if isinstance(pipe_or_model, nn.Module):
        return [pipe_or_model]
    found = [getattr(pipe_or_model, name, None) for name in _DENOISERS]
    models = [model for model in found if isinstance(model, nn.Module)]
    if not models:
        raise UnsupportedModelError(
            f"`pipe_or_model` must have a transformer or unet, got {type(pipe_or_model).__name__}"
        )
    return models


def _check_fitted(reduction: Reduction, spans: tuple[tuple[int, int], ...]) -> None:
    """Raise where fitted weights would be used on something else than they were fitted to."""
    if reduction.predict != "fitted":
        return
    if reduction.fitted_weights is None:
        raise CalibrationError(
            "`schedule` must be a calibration with forecast weights (method forecast) for "
            "predict='fitted', got one without"
        )
    if not spans:
        raise ValueError(
            "`predict`='fitted' must come with ratio=1, predict_at='blocks' and a scope of all "
            "parts, because the weights are fitted to what all blocks add together, got ratios "
            f"{list(reduction.schedule.ratios())}, predict_at={reduction.predict_at!r} and parts "
            f"{sorted(reduction.parts)}"
        )


def settings_of(composition: Composition, calibration: Calibration | None) -> Settings:
    """Return what the techniques make the engine do."""
    technique = composition.token_reduction
    return Settings(
        reduction=NO_REDUCTION if technique is None else reduction_of(technique, calibration),
        ffn_reuse=composition.ffn_reuse,
        eager=composition.eager,
    )


def _check_numbers(
    model: nn.Module, family: ModelFamily, settings: Settings, calibration: Calibration | None
) -> None:
    """Raise where a calibration is for other weights, or weights cannot be read."""
    if calibration is not None:
        calibration.check_model(model)
    if settings.ffn_reuse is not None:
        rows = family.blocks_of(model)
        found = feed_forwards(rows, type(model).__name__, settings.ffn_reuse.blocks)
        check_weights(found, settings.ffn_reuse)


def check_fit(model: nn.Module, family: ModelFamily, settings: Settings) -> None:
    """Raise where a schedule or a technique is not for this model, by its modules alone.

    No weight is read: a model on the meta device will do.

    Raises:
        UnsupportedModelError: A module works in a way that a technique cannot follow.
        CalibrationError: Fitted weights are asked of a calibration without.
        ValueError: A schedule is for other blocks, or the techniques leave one another nothing.
    """
    check_parallel(model, settings.reduction, settings.predicts_scores)
    rows = family.blocks_of(model)
    reduction, funnel = settings.reduction, settings.reduction.funnel
    for schedule in (reduction.schedule,) if funnel is None else (funnel.queries, funnel.keys):
        for step_index in range(len(schedule.steps) if isinstance(schedule, Table) else 0):
            schedule.row(step_index, len(rows))
    _check_fitted(reduction, spans_of(reduction, rows))
    if settings.ffn_reuse is not None:
        feed_forwards(rows, type(model).__name__, settings.ffn_reuse.blocks)
        check_reuses(settings.ffn_reuse, reduction, len(rows))
    if settings.eager is not None:
        check_predicts(settings.eager, reduction)
        eager_attentions(rows, settings.eager)
