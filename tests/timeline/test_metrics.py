"""Groups of streams: who is counted where, and the fixed keys of ``--json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lm_deluge.timeline import Settings, Timeline, measure, parse_target, read_timelines
from lm_deluge.timeline.measures.groups import Group, distribution
from lm_deluge.timeline.measures.names import STATISTICS
from lm_deluge.timeline.measures.targets import percentile
from support.timelines import stream_lines, timeline, write

COUNTS = {"streams", "completed", "failed", "cancelled", "unfinished", "censored", "retried"}
DISTRIBUTIONS = {
    "ttft", "ttfa", "ttfo", "gap", "icl", "tpot", "tpot_per_token", "e2e", "rate", "qoe",
    "starvation", "handlers", "loop_lag",
}  # fmt: skip
KEYS = COUNTS | DISTRIBUTIONS | {
    "tokens_per_piece", "stalls", "coalescing", "failed_share", "retried_share", "cost", "errors",
    "request_throughput", "output_token_throughput",
}  # fmt: skip


def group_of(*timelines: Timeline, **settings: object) -> Group:
    measured = measure(timelines, settings=Settings(**settings))  # type: ignore[arg-type]
    (group,) = measured.groups.values()
    return group


def test_json_has_the_keys_of_metrics_md_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "log", [stream_lines("a", [0.5, 1.0], tags={"k": "x"})])
    document = measure(read_timelines(path), by="k").to_json(["A finding."])
    assert document.keys() == {
        "groups", "skipped_lines", "findings", "comparisons", "verdict", "pairs",
    }  # fmt: skip
    assert (document["skipped_lines"], document["findings"]) == (0, ["A finding."])
    (group,) = document["groups"].values()
    assert group.keys() == KEYS
    for name in DISTRIBUTIONS:
        assert group[name].keys() == {"n", "mean", "std", "p50", "p90", "p95", "p99", "max"}
    assert group["stalls"].keys() == {"count", "total", "longest", "streams"}
    json.dumps(document, allow_nan=False)


def test_failed_streams_count_for_ttft_gaps_stalls_and_qoe_and_not_for_tpot_e2e_and_rate() -> None:
    whole = timeline([0.5, 1.0], ended=1.5)
    failed = timeline([0.7, 1.0], ended=4.0, failed="ConnectionLostError", phase="between_tokens")
    summary = group_of(whole, failed).summary()
    assert (summary["completed"], summary["failed"]) == (1, 1)
    assert [summary[name]["n"] for name in ("ttft", "ttfa", "qoe", "starvation")] == [2] * 4
    assert [summary[name]["n"] for name in ("tpot", "e2e", "rate")] == [1] * 3
    assert (summary["gap"]["n"], summary["gap"]["max"]) == (3, 3.0)
    assert summary["stalls"] == {"count": 1, "total": 3.0, "longest": 3.0, "streams": 0.5}
    assert summary["errors"] == {"ConnectionLostError": 1}


def test_a_stream_without_output_is_censored_beside_the_percentiles() -> None:
    silent = timeline([], ended=30.0, failed="APITimeoutError", phase="first_token")
    summary = group_of(timeline([0.5, 0.6]), silent).summary()
    assert (summary["streams"], summary["censored"], summary["ttft"]["n"]) == (2, 1, 1)
    assert summary["ttft"]["max"] == 0.5


def test_an_unfinished_stream_is_neither_completed_nor_failed_nor_censored() -> None:
    group = group_of(timeline([0.5, 0.6], ending=None), timeline([], ending=None))
    summary = group.summary()
    assert [summary[name] for name in ("streams", "completed", "failed", "censored")] == [
        2,
        0,
        0,
        0,
    ]
    assert (group.unfinished, summary["ttft"]["n"], summary["e2e"]["n"]) == (2, 1, 0)


def test_what_is_undefined_is_null_and_never_zero() -> None:
    summary = group_of(timeline([], ended=1.0)).summary()
    for name in DISTRIBUTIONS - {"e2e"}:
        assert summary[name] == {"n": 0, **dict.fromkeys(STATISTICS[1:])}
    assert summary["stalls"] == dict.fromkeys(("count", "total", "longest", "streams"))
    for name in ("tokens_per_piece", "coalescing", "cost"):
        assert summary[name] is None


def test_no_stall_among_gaps_is_zero_stalls() -> None:
    summary = group_of(timeline([0.5, 0.6])).summary()
    assert summary["stalls"] == {"count": 0, "total": 0.0, "longest": None, "streams": 0.0}


def test_settings_reach_the_formulas() -> None:
    line = timeline([1.0, 1.7, 3.0])
    group = group_of(line, stall=0.5, read_rate=2.0, expected_ttft=0.5)
    summary = group.summary()
    assert summary["stalls"]["count"] == 2
    assert summary["qoe"]["mean"] == line.qoe(0.5, 2.0)
    assert summary["starvation"]["max"] == line.starvation(2.0)


def test_costs_add_up_over_the_streams_where_they_are_known() -> None:
    lines = [timeline([1.0], cost=0.1) for _ in range(10)]
    assert group_of(*lines, timeline([1.0])).summary()["cost"] == 1.0


def test_groups_are_models_or_values_of_a_tag() -> None:
    lines = [
        timeline([1.0], model="a", tags={"n": 1}),
        timeline([1.0], model=None, model_used="b", tags={"n": "1"}),
        timeline([1.0], model=None, tags={"n": {"z": [1], "a": None}}),
    ]
    assert list(measure(lines).groups) == ["(unknown model)", "a", "b"]
    assert list(measure(lines, by="n").groups) == ["1", '{"a": null, "z": [1]}']
    assert list(measure(lines, by="missing").groups) == ["(no missing)"]


def test_tokens_per_piece_says_from_how_many_streams() -> None:
    group = group_of(timeline([1, 2], output_tokens=6), timeline([1, 2]))
    assert group.summary()["tokens_per_piece"] == 3.0
    assert len(group.values("tokens_per_piece")) == 1


def test_errors_are_told_by_class_and_phase_with_what_came_before() -> None:
    group = group_of(
        timeline([1, 2], ended=3.0, failed="E", phase="tail"),
        timeline([1], ended=2.0, failed="E", phase="between_tokens"),
        timeline([1, 2, 3], ended=9.0, failed="E", phase="tail"),
    )
    assert group.summary()["errors"] == {"E": 3}
    tail = group.failures["E", "tail"]
    assert (list(tail.tokens), list(tail.seconds)) == ([2, 3], [3.0, 9.0])


def test_goodput_is_good_streams_per_second_of_the_run() -> None:
    targets = (parse_target("ttft<=0.8"), parse_target("gap.p95<=250ms"))
    good = timeline([0.5, 0.6], ended=10.0, at="2026-11-22T10:00:00+00:00")
    late = timeline([0.9, 1.0], at="2026-11-22T10:00:05Z")
    choppy = timeline([0.5, 1.0], at="2026-11-22T10:00:05")
    one_piece = timeline([0.5], at="2026-11-22T10:00:05+00:00")
    failed = timeline([0.5, 0.6], failed="E", at="2026-11-22T10:00:05+00:00")
    silent = timeline([], ended=1.0, at="2026-11-22T10:00:05+00:00")
    group = group_of(good, late, choppy, one_piece, failed, silent, targets=targets)
    assert (group.good, group.seconds) == (2, 10.0)
    assert group.summary()["goodput"] == 0.2


def test_goodput_is_unknown_without_wall_clock() -> None:
    group = group_of(timeline([0.5], at="yesterday"), targets=(parse_target("ttft<1"),))
    assert group.summary()["goodput"] is None


@pytest.mark.parametrize(
    ("metric", "sign", "limit", "met"),
    [
        ("ttft", "<=", 0.5, True), ("ttft", "<", 0.5, False), ("gap.max", "<=", 1.0, False),
        ("gap.p50", "<=", 1.25, True), ("e2e", ">", 2.0, True), ("rate", ">=", 0.8, True),
        ("tpot", "<", 1.0, False), ("tpot_per_token", "<=", 1.25, True), ("ttfa", ">", 0.5, False),
    ],
)  # fmt: skip
def test_targets_of_one_stream(metric: str, sign: str, limit: float, met: bool) -> None:
    line = timeline([0.5, 1.0, 3.0])
    assert parse_target(f" {metric} {sign} {limit} ").is_met(line) is met
    assert str(parse_target(f"{metric}{sign}{limit}")) == f"{metric}{sign}{limit:g}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ttft", "expected METRIC<=NUMBER"),
        ("tttf<1", "did you mean ttft"),
        ("ttft<fast", "not a number"),
        ("ttft<20%", "not a share"),
        ("zzz<1", "there are ttft, ttfa"),
    ],
)
def test_bad_targets_say_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_target(text)


@pytest.mark.parametrize("name", ["stall", "read_rate", "expected_ttft"])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_senseless_settings_are_value_errors_that_name_the_field(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_percentiles_are_numpys() -> None:
    values = np.random.default_rng(1).exponential(size=101)
    for q in (0, 50, 90, 95, 99, 99.9, 100):
        assert percentile(values.tolist(), q) == pytest.approx(float(np.percentile(values, q)))
    assert distribution(values)["p99"] == float(np.percentile(values, 99))


def test_bursts_are_reads_close_together() -> None:
    arrivals = [0.5, 0.5, 0.51, 1.5, 1.5, 1.52, 2.6]
    group = group_of(timeline(arrivals, reads=[1, 1, 2, 3, 3, 4, 5]))
    assert group.values("burst")[0] == pytest.approx(7 / 3)
    assert group.values("silence")[0] == pytest.approx((0.99 + 1.08) / 2)


def test_a_summary_follows_what_is_added() -> None:
    group = group_of(timeline([0.5]))
    assert group.summary()["streams"] == 1
    group.add(timeline([0.6]))
    assert group.summary()["streams"] == 2


def test_a_group_knows_its_models_its_prompts_lengths_and_its_time() -> None:
    measured = measure(
        [
            timeline([0.2, 1.5], model="a", tags={"v": "1"}, prompt_chars=12,
                     at="2026-11-22T10:00:00+00:00"),
            timeline([0.2], model=None, model_used="b", tags={"v": "1"}, at="2026-11-22T10:00:05Z"),
            timeline([], model=None, tags={"v": "1"}, ending=None),
        ],
        by="v",
    )  # fmt: skip
    group = measured.groups["1"]
    assert group.models == {"a": 1, "b": 1}
    assert group.values("prompt_chars").tolist() == [12]
    assert group.begin is not None
    assert group.end is not None
    assert group.end - group.begin == pytest.approx(5.2)
    silent = measure([timeline([0.1])]).groups["m"]
    assert (silent.begin, silent.end) == (None, None)
