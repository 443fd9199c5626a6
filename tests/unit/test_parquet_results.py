"""League results as one Parquet file."""

import json

import pytest

from tenuto.evaluation.parquet_results import write_parquet

pq = pytest.importorskip("pyarrow.parquet")


def sample(spec, prompt, psnr_db):
    of = {"steps": 40, "seed": 0, "scheduler": "UniPC"}
    measured = {"psnr_db": psnr_db, "ssim": 0.9, "ms_ssim": 0.9, "flip": None}
    return {"spec": spec, "prompt": prompt, "of": of, "temporal_psnr_db": 1.0, **measured}


def test_there_is_one_row_a_technique_and_prompt_with_its_provenance(tmp_path):
    folder = tmp_path / "emoji-video"
    folder.mkdir()
    lines = [sample("dito", "a", 40.0), sample("dito", "b", None), sample("gone", "a", 1.0)]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"spec": "cut'
    (folder / "samples.jsonl").write_text(text)
    timed = dict.fromkeys(("speedup", "seconds_median", "seconds_min", "seconds_max"), 2.0)
    result = {
        "model": "emoji-video", "split": "held-out", "prompts": ["a", "b"], "command": "c",
        "created": "2026", "machine": {"cpu": "x"}, "versions": {"torch": "2"},
        "rows": [{"technique": "dito", "kind": "tenuto", "params": {"ratio": 1.0},
                  "macs_ratio": 1.9, **timed}],
    }  # fmt: skip

    table = pq.read_table(write_parquet({"emoji-video": result}, tmp_path))

    assert table.column("prompt").to_pylist() == ["a", "b"]
    assert table.column("psnr_db").to_pylist() == [40.0, None]
    assert table.column("speedup").to_pylist() == [2.0, 2.0]
    provenance = json.loads(table.schema.metadata[b"tenuto"])["emoji-video"]
    assert provenance["versions"] == {"torch": "2"}
