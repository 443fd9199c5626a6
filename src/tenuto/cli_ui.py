"""What `tenuto ui` takes, and what it does with it."""

import argparse
from contextlib import suppress
from threading import Event


def add_ui(parser: argparse.ArgumentParser) -> None:
    """Options of `tenuto ui`."""
    parser.add_argument(
        "--model", default="emoji-video",
        help="emoji-video, emoji-image, or a pipeline folder of diffusers' format",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=20, help="steps at the start (default 20)")
    parser.add_argument(
        "--host", default="127.0.0.1",
        help="address to listen at (default 127.0.0.1: this machine only; there is no password)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")


def run_ui(chosen: argparse.Namespace) -> int:
    """Load the model and serve its playground until Ctrl-C."""
    from tenuto import zoo
    from tenuto.evaluation.generation import load_workload
    from tenuto.ui.serve import serving

    if chosen.port is not None and not 0 < chosen.port < 65536:
        raise ValueError(f"`--port` must be from 1 to 65535, got {chosen.port}")
    workload = load_workload(chosen.model, num_steps=chosen.steps)
    is_embedded = chosen.model.startswith("emoji-")
    prompts = zoo.prompts(chosen.model, "seen", 4) if is_embedded else ()
    with (
        serving(workload, prompts, host=chosen.host, port=chosen.port) as address,
        suppress(KeyboardInterrupt),
    ):
        print(f"playground: {address} (Ctrl-C ends it)", flush=True)
        Event().wait()
    return 0
