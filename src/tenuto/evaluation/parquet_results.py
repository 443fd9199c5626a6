"""Results as one Parquet file: a row for each technique and prompt, with where it came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenuto.errors import MissingExtraError
from tenuto.evaluation.samples import read_samples

_MEASURED = ("psnr_db", "ssim", "ms_ssim", "flip", "temporal_psnr_db")
_OF_ROW = ("kind", "speedup", "seconds_median", "seconds_min", "seconds_max", "macs_ratio")


def write_parquet(results: Mapping[str, Mapping[str, Any]], folder: Path) -> Path:
    """Write ``league.parquet`` from comparisons and the samples in their folders.

    Args:
        results: What `compare` returned, by the name of its folder inside `folder`.
        folder: Takes the file; it appears whole or not at all.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(
            "writing Parquet needs pyarrow: pip install 'tenuto[bench]'"
        ) from None
    records = [
        record
        for name, result in results.items()
        for record in _records(result, folder / name / "samples.jsonl")
    ]
    provenance = {
        name: {key: result[key] for key in ("command", "created", "machine", "versions")}
        for name, result in results.items()
    }
    table = pa.Table.from_pylist(records)
    table = table.replace_schema_metadata({"tenuto": json.dumps(provenance)})
    path = folder / "league.parquet"
    partial = path.with_name(path.name + ".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)
    return path


def _records(result: Mapping[str, Any], samples: Path) -> list[dict[str, Any]]:
    rows = {row["technique"]: row for row in result["rows"]}
    prompts = set(result["prompts"])
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for sample in read_samples(samples):
        if sample["spec"] not in rows or sample["prompt"] not in prompts:
            continue
        row = rows[sample["spec"]]
        found[sample["spec"], sample["prompt"]] = {
            "model": result["model"],
            "split": result.get("split"),
            "technique": sample["spec"],
            "prompt": sample["prompt"],
            "params": json.dumps(row["params"]),
            "steps": sample["of"]["steps"],
            "seed": sample["of"]["seed"],
            "scheduler": sample["of"]["scheduler"],
            **{key: sample.get(key) for key in _MEASURED},
            "reading": json.dumps(sample.get("reading")),
            **{key: row[key] for key in _OF_ROW},
            "created": result["created"],
        }
    return list(found.values())
