"""What benchmarks leave is read as logs are: told by its content, with what it lacks, and refused clearly."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.timeline import findings_of, measure, read_timelines
from lm_deluge.values.timeline import Timeline
from support.programs import Call

FOLDER = Path(__file__).with_name("benchmarks")
FILES = {path.stem: path for path in FOLDER.iterdir() if path.suffix in (".json", ".jsonl")}


def told(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def gaps_of(timeline: Timeline) -> list[float]:
    """Seconds between pieces; those of one moment have 0."""
    pieces = [timeline.times[slot] for slot in timeline.slots]
    return [after - before for before, after in pairwise(pieces)]


def records() -> list[Any]:
    return [json.loads(line) for line in FILES["aiperf"].read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_answer_is_a_timeline(name: str) -> None:
    reader = read_timelines(FILES[name])
    timelines = list(reader)
    assert len(timelines) == len({each.stream for each in timelines}) == 12
    assert reader.foreign == []
    assert reader.skipped == []
    assert reader.unfinished == 0


def test_vllms_times_are_those_of_its_lists() -> None:
    run = told(FILES["vllm"])
    for index, timeline in enumerate(read_timelines(FILES["vllm"])):
        assert timeline.ttft == pytest.approx(run["ttfts"][index])
        assert gaps_of(timeline) == pytest.approx(run["itls"][index])
        assert (timeline.model, timeline.tags["max_concurrency"]) == ("gpt-4o", 4)


def test_vllms_failure_has_the_pieces_before_it_and_the_class_at_the_end_of_its_traceback() -> None:
    (broken,) = [each for each in read_timelines(FILES["vllm"]) if each.failed]
    assert broken.ending is not None
    assert broken.ending.error == "ClientPayloadError"
    assert len(broken.times) == 6 + 1  # and the event of its role


def test_vllms_figures_are_its_own() -> None:
    run = told(FILES["vllm"])
    whole = [each for each in read_timelines(FILES["vllm"]) if not each.failed]
    mean = sum(float(each.ttft or 0) for each in whole) / len(whole)
    assert mean * 1000 == pytest.approx(run["mean_ttft_ms"])


def test_aiperfs_times_are_those_of_its_metrics() -> None:
    for record, timeline in zip(records(), read_timelines(FILES["aiperf"]), strict=True):
        metrics = record["metrics"]
        if timeline.failed:
            assert timeline.ending is not None
            assert timeline.ending.error == record["error"]["type"]
            continue
        assert timeline.ttft == pytest.approx(metrics["time_to_first_token"]["value"] / 1000)
        assert timeline.ending is not None
        assert timeline.ending.t == pytest.approx(metrics["request_latency"]["value"] / 1000)
        assert gaps_of(timeline) == pytest.approx(
            [each / 1000 for each in metrics["inter_chunk_latency"]["value"]]
        )


def test_aiperfs_cancelled_request_did_not_fail_and_its_warm_up_is_no_answer(
    tmp_path: Path,
) -> None:
    cancelled, warm, *rest = records()
    cancelled["metadata"]["was_cancelled"] = True
    warm["metadata"]["benchmark_phase"] = "warmup"
    path = tmp_path / "profile_export.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (cancelled, warm, *rest)), "utf-8")
    timelines = list(read_timelines(path))
    assert len(timelines) == 11
    assert timelines[0].ending is not None
    assert timelines[0].ending.error == "StreamCancelled"


def test_guidellms_first_piece_and_end_are_told() -> None:
    requests = told(FILES["guidellm"])["benchmarks"][0]["requests"]
    timelines = list(read_timelines(FILES["guidellm"]))
    for request, timeline in zip(requests["successful"], timelines, strict=False):
        assert timeline.ttft == pytest.approx(request["time_to_first_token_ms"] / 1000, abs=1e-5)
        assert timeline.ending is not None
        assert timeline.ending.t == pytest.approx(request["request_latency"], abs=1e-5)
    assert [each.ending and each.ending.error for each in timelines[-2:]] == ["HTTPStatusError"] * 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vllm", "an event, also one without text"),
        ("aiperf", "no piece is told"),
        ("guidellm", "nothing is known of gaps, stalls"),
    ],
)
def test_a_finding_says_what_the_file_lacks(name: str, words: str) -> None:
    findings = findings_of(measure(read_timelines(FILES[name])))
    (lacks,) = [each for each in findings if each.startswith("Measured by")]
    assert words in lacks


def test_the_same_streams_have_the_same_ids_at_every_reading() -> None:
    first, *_ = read_timelines(FILES["vllm"])
    (again,) = read_timelines(FILES["vllm"], only=[first.stream])
    assert list(again.times) == list(first.times)


def test_they_are_read_compressed_and_from_a_file_object_too(tmp_path: Path) -> None:
    packed = tmp_path / "vllm.json.gz"
    packed.write_bytes(gzip.compress(FILES["vllm"].read_bytes()))

    def moments(timelines: list[Timeline]) -> list[list[float]]:
        return [list(each.times) for each in timelines]

    plain = moments(list(read_timelines(FILES["vllm"])))
    assert moments(list(read_timelines(packed))) == plain
    with FILES["vllm"].open("rb") as file:
        assert moments(list(read_timelines(file))) == plain


def test_results_that_were_appended_are_all_read(tmp_path: Path) -> None:
    path = tmp_path / "vllm.json"
    path.write_text(FILES["vllm"].read_text("utf-8") * 2, "utf-8")
    assert len(list(read_timelines(path))) == 24


def _without_details(run: dict[str, Any]) -> None:
    for name in ("ttfts", "itls", "errors"):
        del run[name]


def _uneven(run: dict[str, Any]) -> None:
    run["itls"].pop()


def _newer(report: dict[str, Any]) -> None:
    report["metadata"]["version"] = 3


def _odd(run: dict[str, Any]) -> None:
    run["itls"][0][0] = "soon"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("vllm", _without_details, "without ttfts, itls, errors: run it with --save-detailed"),
        ("vllm", _uneven, "with 12 ttfts and 11 itls"),
        ("vllm", _odd, "a gap between pieces is no number of seconds"),
        ("guidellm", _newer, "a report of GuideLLM with schema 3; known is 2"),
    ],
)
def test_a_shape_that_is_not_known_is_a_clear_error(
    name: str, change: Any, words: str, call: Call, tmp_path: Path
) -> None:
    document = told(FILES[name])
    change(document)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document), "utf-8")
    done = call("report", path)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_a_cut_file_is_a_clear_error(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(FILES["vllm"].read_bytes()[:-200])
    done = call("report", path)
    assert done.code == 2
    assert "its JSON is damaged or cut" in " ".join(done.err.split())


def test_other_json_is_no_log_as_before(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"metadata": {"num_prompts": 3}, "rows": [1, 2]}', "utf-8")
    done = call("report", path)
    assert done.code == 2
    assert "neither a timeline log nor a recording" in " ".join(done.err.split())


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_report_and_its_page_are_made(name: str, call: Call, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = call("report", FILES[name], "--html", page)
    assert done.code == 0, done.err
    assert "Measured by" in done.out
    assert "Measured by" in page.read_text("utf-8")
