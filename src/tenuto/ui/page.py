"""The page of the playground: what is asked on the left, what came out on the right."""

import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from threading import Event
from typing import Any

# Read at its import: nothing is sent anywhere.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

try:
    import gradio as gr
except ImportError as missing:
    from tenuto.errors import MissingExtraError

    raise MissingExtraError("tenuto ui needs gradio: pip install 'tenuto[ui]'") from missing

from tenuto.errors import TenutoError
from tenuto.integration.technique_specs import MAKERS
from tenuto.ui.interruption import CancelledError
from tenuto.ui.pictures import clips_html, numbers_html, pareto_html, skipped_work_html
from tenuto.ui.trials import Bench, Question, Trial

_FIRST_SETTINGS = {
    "dito": "interval=2",
    "orbis": "ratio=0.5",
    "ffn-reuse": "sparsity=0.9",
    "eager": "keep_ratio=0.5",
    "fewer-steps": "20",
}
_BAR = gr.Progress()
"""Gradio replaces it by each run's own."""
_OTHERS = ("fewer-steps", "off", "taylorseer", "fbc", "magcache", "pab")


def build_page(bench: Bench, prompts: Sequence[str], num_steps: int) -> gr.Blocks:
    """Lay out the page.

    Args:
        bench: Runs what is asked, one question at a time.
        prompts: Examples; the first one is in the field at the start.
        num_steps: Steps in the field at the start.
    """
    cancel = Event()
    with gr.Blocks(title="tenuto", analytics_enabled=False) as page:
        trials = gr.State([])
        gr.Markdown(f"# tenuto\nTechniques on `{bench.workload.model}`, beside the untouched run.")
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                asked = _questions(prompts, num_steps)
                with gr.Row():
                    go = gr.Button("Try", variant="primary", elem_id="try")
                    stop = gr.Button("Cancel", elem_id="cancel")
                said = gr.HTML(_said("Nothing tried yet."), elem_id="said")
                clear = gr.Button("Clear the list", size="sm", elem_id="clear")
            with gr.Column(scale=3, min_width=560):
                shown = [
                    gr.HTML("<p>The clips appear here.</p>", elem_id="clips"),
                    gr.HTML(elem_id="numbers"),
                    gr.HTML(elem_id="pareto"),
                    gr.HTML(elem_id="skipped"),
                ]

        def answer(known: list[Trial], *answers: Any, bar: gr.Progress = _BAR) -> tuple[Any, ...]:
            return _try(bench, cancel, known, answers, bar)

        go.click(
            answer,
            [trials, *asked],
            [trials, said, *shown],
            show_progress_on=said,
            concurrency_limit=1,
        )
        stop.click(lambda: (cancel.set(), None)[1], None, None, queue=False)
        clear.click(lambda: ([], *_NOTHING), None, [trials, said, *shown], queue=False)
    return page


_NOTHING = ('<p class="said">Nothing tried yet.</p>', "", "", "", "")


def _questions(prompts: Sequence[str], num_steps: int) -> list[Any]:
    """Lay out what is asked; return its fields in the order of `_try`."""
    prompt = gr.Textbox(value=next(iter(prompts), ""), label="Prompt", elem_id="prompt", lines=2)
    if prompts:
        gr.Examples([[text] for text in prompts], [prompt], label="Prompts that it knows")
    names = [*MAKERS, *_OTHERS]
    technique = gr.Dropdown(names, value="dito", label="Technique", elem_id="technique")
    settings = gr.Textbox(
        value=_FIRST_SETTINGS["dito"], label="Settings", elem_id="settings", info=_fields("dito")
    )
    steps = gr.Number(value=num_steps, label="Steps", precision=0, elem_id="steps")
    seed = gr.Number(value=0, label="Seed of the noise", precision=0, elem_id="seed")
    technique.change(
        lambda name: gr.Textbox(value=_FIRST_SETTINGS.get(name, ""), info=_fields(name)),
        technique,
        settings,
    )
    return [prompt, technique, settings, steps, seed]


def _fields(name: str) -> str:
    """Say which settings a technique has."""
    how = "key=value,key=value; + joins another technique. "
    if name not in MAKERS:
        return how
    return f"{how}Keys: {', '.join(MAKERS[name].keys) or 'none'}."


def _try(
    bench: Bench, cancel: Event, known: list[Trial], answers: Sequence[Any], bar: gr.Progress
) -> tuple[Any, ...]:
    """Answer one question; wrong input and a cancelled run end in a sentence."""
    prompt, technique, settings, steps, seed = answers
    same = (gr.skip(),) * 4
    cancel.clear()

    def progress(name: str, step: int, total: int) -> None:
        bar((step, total), desc=f"{name}: step {step} of {total}")

    try:
        spec = f"{technique}:{settings.strip()}" if settings.strip() else technique
        question = Question(prompt=prompt, spec=spec, steps=steps, seed=seed)
        trial = bench.answer(question, cancel, progress)
    except CancelledError:
        return (known, _said("Cancelled. The pipeline is as it was."), *same)
    except (TenutoError, ValueError, TypeError) as error:
        return (known, _said(str(error), "error"), *same)
    trials = [*known, trial]
    return (
        trials,
        _said(f"Done: {spec}."),
        clips_html(trial),
        numbers_html(trials),
        pareto_html(trials),
        skipped_work_html(trial),
    )


def _said(text: str, kind: str = "plain") -> str:
    role = "alert" if kind == "error" else "status"
    return f'<p class="said" role="{role}"><span class="{kind}">{escape(text)}</span></p>'


def style() -> str:
    """Return the page's own style sheet."""
    return (files("tenuto.ui") / "style.css").read_text(encoding="utf-8")
