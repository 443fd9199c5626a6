"""From the samples of one contender to its row of the result."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from tenuto.evaluation.contenders import Contender
from tenuto.evaluation.quality import PSNR_CEILING_DB
from tenuto.evaluation.reading import Reading, readings_row
from tenuto.evaluation.statistics import summarize
from tenuto.evaluation.timing import Timing, TimingReport

Sample = dict[str, Any]


class Untouched(NamedTuple):
    """One untouched sample: denoising steps, and multiply-accumulates."""

    steps: int
    macs: int


def result_row(
    contender: Contender,
    samples: Sequence[Sample],
    timing: Timing | None,
    report: TimingReport | None,
    untouched: Untouched,
    shown: Sequence[Reading | None],
) -> dict[str, Any]:
    """Return the row of one contender; its keys are fixed in docs/results.md.

    Args:
        contender: Whose.
        samples: One a prompt, as `tenuto.evaluation.compare` writes them.
        timing: Of the contender, None where nothing was timed.
        report: With the untouched pipeline's timing first, None likewise.
        untouched: What an untouched sample takes.
        shown: What is read back from each untouched sample.
    """
    psnr = [sample["psnr_db"] for sample in samples]
    summary = summarize(psnr, identical_as=PSNR_CEILING_DB)
    is_identical = summary.num_identical == summary.num_prompts
    interval = summary.interval
    return {
        "technique": contender.spec,
        "slug": contender.slug,
        "kind": contender.kind,
        "params": contender.params,
        "identical": is_identical,
        "psnr_db": summary.mean,
        "psnr_median_db": summary.median,
        "psnr_p10_db": summary.p10,
        "psnr_ci95_db": None if interval is None else [interval.low, interval.high],
        "psnr_per_prompt": psnr,
        "ssim": _mean([s["ssim"] for s in samples]),
        "ms_ssim": _mean([s["ms_ssim"] for s in samples]),
        "flip": _mean([s["flip"] for s in samples]),
        "temporal_psnr_db": _mean([s["temporal_psnr_db"] for s in samples]),
        **readings_row([s["reading"] for s in samples], shown),
        **_times(timing, report),
        **_work(samples, untouched, contender.num_steps or untouched.steps),
        "measured": True,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _times(timing: Timing | None, report: TimingReport | None) -> dict[str, Any]:
    """Seconds, and the median over runs of the untouched pipeline's time over this one's.

    Paired by round: whatever slowed the machine in a round slowed both.
    """
    if timing is None or report is None or not timing.runs_s:
        names = ("seconds_median", "seconds_min", "seconds_max", "speedup")
        return dict.fromkeys(names)
    reference = report.timings[0].runs_s
    ratios = sorted(r / t for r, t in zip(reference, timing.runs_s, strict=True))
    middle = len(ratios) // 2
    speedup = ratios[middle] if len(ratios) % 2 else fmean(ratios[middle - 1 : middle + 1])
    return {
        "seconds_median": timing.median_s,
        "seconds_min": timing.min_s,
        "seconds_max": timing.max_s,
        "speedup": speedup,
    }


def _work(samples: Sequence[Sample], untouched: Untouched, num_steps: int) -> dict[str, Any]:
    """Operations, matching, memory and what ran dense.

    Counts of our handle run on from sample to sample: the last one has them all. Its dense count is
    of as many steps as it ran.
    """
    last = samples[-1]["stats"] if samples else None
    if last is None:
        done = _mean([s["macs"] for s in samples])
        return {
            "macs_ratio": untouched.macs / done if done else None,
            "matching_share": None,
            "state_bytes_peak": None,
            "dense_reasons": {},
        }
    return {
        "macs_ratio": last["macs_dense"] / last["macs_done"] * untouched.steps / num_steps,
        "matching_share": last["matching_macs"] / last["macs_done"],
        "matching_s": last["matching_s"],
        "state_bytes_peak": last["state_bytes_peak"],
        "dense_reasons": last["dense_reasons"],
    }
