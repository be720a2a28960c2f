"""Files of ``vllm bench serve --save-result --save-detailed`` are read as logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.timeline import measure, read_timelines
from lm_deluge.timeline.measures.metrics import Measured

DETAILED: dict[str, Any] = {
    "date": "20251127-101500", "backend": "vllm", "label": None, "model_id": "m/x",
    "tokenizer_id": "m/x", "num_prompts": 3, "request_rate": "inf", "max_concurrency": 2,
    "duration": 2.0, "completed": 2, "input_lens": [5, 6, 7], "output_lens": [3, 2, 0],
    "ttfts": [0.5, 0.25, 0.0], "itls": [[0.1, 2.0], [0.2], []],
    "generated_texts": ["a", "b", ""], "errors": ["", "", "Bad Gateway"],
}  # fmt: skip


def _written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


@pytest.mark.parametrize("road", ["rows", "columns"])
def test_ttfts_gaps_and_failures_are_those_of_the_file(road: str, tmp_path: Path) -> None:
    reader = read_timelines(_written(tmp_path / "vllm.json", DETAILED))
    measured: Measured = measure(reader, keep=(lambda *_: None) if road == "rows" else None)
    summary = measured.groups["m/x"].summary()
    counts = [summary[name] for name in ("streams", "completed", "failed", "censored")]
    assert counts == [3, 2, 1, 1]
    assert (summary["ttft"]["n"], summary["ttft"]["max"]) == (2, 0.5)
    assert (summary["gap"]["n"], summary["gap"]["max"]) == (3, pytest.approx(2.0))
    assert summary["stalls"]["count"] == 1
    assert summary["tokens_per_piece"] == 1
    assert measured.skipped_lines == 0


@pytest.mark.parametrize("lacking", ["ttfts", "itls"])
def test_a_file_without_details_is_no_log(lacking: str, tmp_path: Path) -> None:
    document = {key: value for key, value in DETAILED.items() if key != lacking}
    reader = read_timelines(_written(tmp_path / "vllm.json", document))
    assert list(reader) == []
    assert len(reader.foreign) == 1
