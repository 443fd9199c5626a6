"""`tenuto calibrate --method composed`: the front, a file for each target, and a picture."""

import argparse
import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from tenuto.cli_progress import progress_bar

if TYPE_CHECKING:
    from tenuto.evaluation.search.run import Result


def run_composed(chosen: argparse.Namespace) -> int:
    """Search, print the front, write each target's composition and the picture."""
    from tenuto.evaluation.generation import load_workload
    from tenuto.evaluation.prompts import prompts_for
    from tenuto.evaluation.search.choose import Target
    from tenuto.evaluation.search.evaluations import Evaluations
    from tenuto.evaluation.search.measuring import NUM_BESIDE_FIT, Measuring
    from tenuto.evaluation.search.run import Budget, in_words, save_winner, search
    from tenuto.evaluation.search.worker import Site

    targets = (
        *(Target(psnr_db=wanted) for wanted in chosen.target_psnr or ()),
        *(Target(speed=wanted) for wanted in chosen.target_speed or ()),
    )
    budget = Budget(targets=targets, price=chosen.price, num_proposed=chosen.evaluations)
    workload = load_workload(
        chosen.model, num_steps=chosen.steps, seed=chosen.seed, scheduler=chosen.scheduler
    )
    site = Site(
        model=chosen.model,
        num_steps=chosen.steps,
        seed=chosen.seed,
        scheduler=chosen.scheduler,
        prompts=prompts_for(
            chosen.model, "seen", chosen.prompts + NUM_BESIDE_FIT, chosen.prompt_file
        ),
        num_fitted=chosen.prompts,
        max_gap=chosen.max_gap or 4,
        folder=chosen.out.with_suffix(".search"),
    )
    with (
        progress_bar(None) as step,
        Evaluations(site, chosen.workers, step) as evaluations,
    ):
        measuring = Measuring(site, evaluations)
        result = search(measuring, budget)
    print(in_words(result))
    for winner in result.winners:
        out = chosen.out
        if len(targets) > 1:
            out = out.with_name(f"{out.stem}-{winner.target.slug}{out.suffix}")
        save_winner(measuring, workload, result, winner, out)
        print(f"wrote {out}")
    print(f"wrote {_draw(result, chosen.out.with_suffix('.png'))}")
    for sentence in result.refused:
        print(f"tenuto calibrate: {sentence}", file=sys.stderr)
    return 1 if result.refused else 0


def _draw(result: "Result", path: Path) -> Path:
    """Draw everything measured and the front."""
    from tenuto.report.front_picture import Point, write_front_picture

    chosen = {winner.chosen.setting for winner in result.winners}
    points = [
        Point(
            speed=one.speed,
            psnr_db=fmean(one.psnr_db),
            kinds=" + ".join(sorted(one.setting.kinds)),
            is_chosen=one.setting in chosen,
        )
        for one in result.measured
    ]
    front = [(one.speed, fmean(one.psnr_db)) for one in result.front]
    return write_front_picture(points, front, path)
