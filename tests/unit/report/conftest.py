"""A result folder as `tenuto compare` writes it, made up: no model runs."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenuto.report import write_report
from tenuto.report.comparison import Kind, Row

NUM_STEPS, NUM_BLOCKS = 40, 8
PROMPTS = [
    "a red heart moves left over the sky",
    "a frog grows over the night",
    "a big car bounces over the meadow",
]
# technique, kind, PSNR in dB, speed-up, MACs ratio
ROWS = [
    ("off (repeat)", "off", None, 1.0, 1.0),
    ("fewer-steps:30", "control", 35.2, 1.32, 1.33),
    ("fewer-steps:26", "control", 33.0, 1.5, 1.54),
    ("fewer-steps:20", "control", 28.4, 1.97, 2.0),
    ("fewer-steps:13", "control", 23.1, 3.02, 3.08),
    ("tomesd:ratio=0.5", "peer", 19.8, 1.29, 1.41),
    ("taylorseer:interval=2", "peer", 34.1, 1.78, 1.9),
    ("fbc:threshold=0.1", "peer", 31.0, 1.55, 1.6),
    ("DiTo paper", "tenuto", 25.3, 1.38, 1.5),
    ("DiTo best 1.3x", "tenuto", 41.7, 1.33, 1.42),
    ("DiTo best 1.5x", "tenuto", 38.1, 1.52, 1.66),
    ("DiTo best 2x", "tenuto", 32.9, 2.01, 2.3),
    ("ORBIS ratio=0.5", "tenuto", 37.2, 1.48, 1.7),
    ("FFNReuse sparsity=0.9", "tenuto", 36.0, 1.12, 1.9),
    ("DiTo + FFNReuse, interval=3, sparsity=0.9", "tenuto", 33.4, 1.84, 2.4),
]


def comparison(num_prompts: int = 32) -> dict[str, Any]:
    """The object of compare.json."""
    random = np.random.default_rng(0)
    return {
        "schema": 1,
        "model": "emoji-video",
        "command": "tenuto compare --model emoji-video -t dito:ratio=0.5,interval=3 --prompts 32",
        "created": "2026-11-23T15:00:00+00:00",
        "prompts": PROMPTS,
        "machine": {
            "cpu": "Example CPU @ 2.50GHz",
            "cores": 2,
            "threads": 1,
            "memory_gib": 7.6,
            "platform": "Linux-6.1-x86_64",
        },
        "versions": {"tenuto": "0.1.0", "torch": "2.13.0+cpu", "python": "3.11.2"},
        "reference": {
            "seconds_median": 12.1,
            "seconds_min": 11.9,
            "seconds_max": 12.6,
            "macs": 1.93e12,
            "steps": NUM_STEPS,
            "scheduler": "UniPCMultistepScheduler",
            "seed": 0,
            "num_prompts": num_prompts,
            "guidance_scale": 4.0,
            "repeat_identical": True,
        },
        "rows": [row(index, num_prompts, random) for index in range(len(ROWS))],
    }


def row(index: int, num_prompts: int, random: np.random.Generator) -> dict[str, Any]:
    technique, kind, psnr_db, speedup, macs_ratio = ROWS[index]
    values: dict[str, Any] = {
        "technique": technique,
        "slug": f"row-{index}",
        "kind": kind,
        "params": {"ratio": 0.5, "predict": "hold"} if kind == "tenuto" else {},
        "psnr_db": psnr_db,
        "identical": psnr_db is None,
        "ssim": 1.0,
        "flip": 0.0,
        "seconds_median": 12.1 / speedup,
        "seconds_min": 11.9 / speedup,
        "seconds_max": 12.7 / speedup,
        "speedup": speedup,
        "macs_ratio": macs_ratio,
        "state_bytes_peak": 6_291_456 if kind == "tenuto" else 0,
        "dense_reasons": {"matching step": 112} if kind == "tenuto" else {},
        "measured": True,
    }
    if psnr_db is None:
        return values
    spread_db = random.normal(0, 4, num_prompts)
    per_prompt_db = psnr_db + spread_db - spread_db.mean()
    return values | {
        "psnr_per_prompt": [round(float(db), 3) for db in per_prompt_db],
        "psnr_median_db": float(np.median(per_prompt_db)),
        "psnr_p10_db": float(np.percentile(per_prompt_db, 10)),
        "psnr_ci95_db": [psnr_db - 1.4, psnr_db + 1.4],
        "ssim": 1 - 10 ** (-psnr_db / 20),
        "flip": 10 ** (-psnr_db / 25),
        "temporal_psnr_db": psnr_db + 2.5,
        "matching_share": 0.012 if kind == "tenuto" else None,
    }


def maps() -> dict[str, Any]:
    """The object of maps.json."""
    steps, blocks = np.arange(NUM_STEPS), np.arange(NUM_BLOCKS)[:, None]
    gap = np.abs(steps[:, None] - steps)
    similarity = 0.99 - 0.3 * np.exp(-steps / 6) - 0.01 * blocks
    error = 0.002 * np.exp(-steps / 20) * (1 + blocks)
    shares = np.where(steps % 3 == 0, 0.0, np.where(blocks < 4, 0.5, 1.0))
    return {
        "pmr": {
            "attn": (0.25 + 0.75 * np.exp(-gap / (4 + steps / 4))).tolist(),
            "ffn": (0.15 + 0.85 * np.exp(-gap / 5)).tolist(),
        },
        "similarity": {"attn": similarity.tolist(), "ffn": (similarity - 0.1).tolist()},
        "forecast_error": {"hold": (3 * error).tolist(), "linear": error.tolist()},
        "skipped": [
            skipped("DiTo best 1.5x", shares, np.zeros_like(shares), ()),
            skipped("ORBIS ratio=0.5", 0.5 * shares, 0.8 * shares, ("tokens", "hidden values")),
        ],
    }


def skipped(
    technique: str, scores: np.ndarray, feed_forward: np.ndarray, pictures: tuple[str, ...]
) -> dict[str, Any]:
    """What the run of one technique left out."""
    return {
        "technique": technique,
        "num_steps": NUM_STEPS,
        "shares": {"scores": scores.tolist(), "feed-forward": feed_forward.tolist()},
        "pictures": [
            {"of": what, "block": 4, "step": step, "rows": 512, "columns": 768,
             "skipped": np.linspace(0, 1, 32 * 48).reshape(32, 48).round(2).tolist()}
            for what in pictures for step in (4, 17, 31)
        ],
    }  # fmt: skip


def clip(seed: int, noise: float, num_frames: int, side: int = 64) -> np.ndarray:
    """A disc that moves over a sky, uint8 (frames, side, side, 3); `seed` is the noise alone."""
    down, across = np.mgrid[:side, :side]
    sky = np.stack([60 + down * 2, 120 + down, 230 - down], axis=-1).astype(np.float64)
    frames = np.repeat(sky[None], num_frames, axis=0)
    for index, frame in enumerate(frames):
        frame[(across - 12 - 2.6 * index) ** 2 + (down - 32) ** 2 < 150] = (220, 50, 60)
    frames += noise * np.random.default_rng(seed).normal(size=frames.shape)
    return frames.clip(0, 255).astype(np.uint8)


def write_folder(
    folder: Path,
    *,
    num_frames: int = 16,
    num_prompts: int = 32,
    techniques_with_clips: tuple[int, ...] = (3, 8, 10, 12),
    with_maps: bool = True,
) -> Path:
    """Write compare.json, clips/ and maps.json; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(comparison(num_prompts)))
    if with_maps:
        (folder / "maps.json").write_text(json.dumps(maps()))
    slugs = ["reference", *(f"row-{index}" for index in techniques_with_clips)]
    for number, slug in enumerate(slugs):
        (folder / "clips" / slug).mkdir(parents=True, exist_ok=True)
        for index in range(len(PROMPTS)):
            frames = clip(number, 0.7 * number, num_frames)
            np.save(folder / "clips" / slug / f"{index}.npy", frames)
    return folder


@pytest.fixture
def make_result_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return `write_folder` for a new folder."""
    return lambda **options: write_folder(tmp_path / "result", **options)


@pytest.fixture
def result_dir(make_result_folder: Callable[..., Path]) -> Path:
    """A small whole result folder: two frames a clip, one technique beside the reference."""
    return make_result_folder(num_frames=2, techniques_with_clips=(10,))


@pytest.fixture(scope="session")
def whole_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a whole small folder, for tests that only look at it."""
    folder = tmp_path_factory.mktemp("whole") / "result"
    return write_report(write_folder(folder, num_frames=2, techniques_with_clips=(10,)))


@pytest.fixture
def rewrite(result_dir: Path) -> Callable[..., Path]:
    """Return a function that changes keys of compare.json, or of its first row, and saves it."""

    def change(*, first_row: dict[str, Any] | None = None, **keys: Any) -> Path:
        path = result_dir / "compare.json"
        content = json.loads(path.read_text()) | keys
        if first_row is not None:
            content["rows"][0] |= first_row
        path.write_text(json.dumps(content))
        return result_dir

    return change


@pytest.fixture
def make_row() -> Callable[..., Row]:
    """Return a function that builds a tenuto row of which only the given fields are known."""

    def build(technique: str, kind: Kind = Kind.TENUTO, **known: Any) -> Row:
        unknown = dict.fromkeys(field.name for field in fields(Row))
        filled = {"params": {}, "dense_reasons": {}, "measured": True, "identical": False}
        return Row(
            **{**unknown, **filled, "psnr_per_prompt_db": ()}
            | {"technique": technique, "kind": kind}
            | known
        )

    return build
