"""A broken answer never looks better than a whole one: in figures, findings, and gates."""

from __future__ import annotations

import io

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lm_deluge.timeline import (
    Ending,
    Measured,
    Timeline,
    broken_rules,
    compare_all,
    findings_of,
    measure,
    parse_fail_if,
    parse_max_regression,
)
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.printing.tables import print_report
from support.timelines import timeline


def whole(n: int, *, begin: float = 1.15, model: str = "whole", seed: int = 1) -> list[Timeline]:
    """Whole answers that begin a little late: QoE 0.99."""
    random = np.random.default_rng(seed)
    starts = begin + random.uniform(0, 0.05, n)
    return [timeline((start + 0.04 * np.arange(60)).tolist(), model=model) for start in starts]


def broken_after(
    n: int, pieces: int, *, begin: float = 0.3, model: str = "broken"
) -> list[Timeline]:
    """Answers that begin soon and break off."""
    return [
        timeline((begin + 0.04 * np.arange(pieces)).tolist(), ended=begin + 0.04 * pieces + 0.1,
                 failed="ConnectionLostError", phase="between_tokens", model=model)
        for _ in range(n)
    ]  # fmt: skip


def group(lines: list[Timeline]) -> Group:
    (only,) = measure(lines).groups.values()
    return only


def broken_by(rule: str, new: list[Timeline], old: list[Timeline] | None = None) -> list[str]:
    if old is None:
        return broken_rules(measure(new), [parse_fail_if(rule)])
    return broken_rules(measure(new), [parse_max_regression(rule)], measure(old))


def test_the_seen_case_29_of_40_break_after_5_pieces() -> None:
    better = group(whole(40)).summary()["qoe"]["mean"]
    worse = group([*broken_after(29, 5), *whole(11, begin=0.3, model="broken")]).summary()["qoe"][
        "mean"
    ]
    assert better > 0.95
    assert worse == pytest.approx(11 / 40)


@given(
    st.lists(st.floats(0.001, 3.0), min_size=1, max_size=30),
    st.integers(0, 30),
    st.floats(0, 40),
    st.sampled_from(["ConnectionLostError", "APITimeoutError", "AnswerCutError", "Unheard"]),
)
def test_breaking_off_never_raises_qoe(
    gaps: list[float], kept: int, after: float, error: str
) -> None:
    arrivals = np.cumsum(gaps).tolist()
    cut = arrivals[:kept]
    end = (cut[-1] if cut else 0.0) + after
    broken = timeline(cut, ended=end, failed=error, phase="between_tokens")
    assert broken.qoe() == 0.0
    assert (timeline(arrivals).qoe() or 0.0) >= 0.0


def test_a_silent_failure_has_qoe_0_and_what_the_reader_stopped_counts_as_far_as_it_went() -> None:
    silent = timeline([], ended=30.0, failed="APITimeoutError", phase="first_token")
    left = timeline([0.5, 0.6], ended=9.0, failed="StreamCancelled", phase="between_tokens")
    unseen = timeline([], ended=0.2, failed="StreamCancelled", phase="first_token")
    going_on = timeline([0.5, 3.0], ending=None)
    assert silent.qoe() == 0.0
    assert left.qoe() == timeline([0.5, 0.6]).qoe() == 1.0
    assert unseen.qoe() is None
    assert going_on.qoe() == timeline([0.5, 3.0]).qoe() != 1.0
    summary = group([silent, left, unseen, going_on]).summary()
    assert summary["qoe"]["n"] == 3
    assert [summary[name] for name in ("failed", "cancelled", "unfinished", "completed")] == [
        1,
        2,
        1,
        0,
    ]


def test_who_left_waits_no_longer() -> None:
    left = timeline([1.0, 1.5], ended=9.0, failed="StreamCancelled", phase="between_tokens")
    lost = timeline([1.0, 1.5], ended=9.0, failed="ConnectionLostError", phase="between_tokens")
    assert (left.gaps, left.stalls()) == ([0.5], [])
    assert lost.gaps == [0.5, 7.5]
    assert (left.failed, left.cancelled, lost.failed, lost.cancelled) == (False, True, True, False)


def test_what_broke_is_the_first_finding_and_stays_beside_what_looks_better() -> None:
    lines = findings_of(
        measure([*whole(40), *broken_after(29, 5), *whole(11, begin=0.3, model="broken")])
    )
    assert lines[0].startswith(
        "0 of 40 streams of whole failed, 29 of 40 of broken: 72.5 points fewer, 95 % interval 5"
    )
    assert lines[1].startswith(
        "29 of 40 streams of broken failed (72 %). The connection broke after"
    )
    better = [line for line in lines if line.startswith(("Median TTFT", "p95 TTFT"))]
    assert len(better) == 2
    for line in better:
        assert line.endswith("; but 29 of the 40 streams of broken failed.")
    assert any(line.startswith("Mean QoE of whole is 0.7") and " higher " in line for line in lines)


def test_since_the_baseline_too() -> None:
    new = measure([*broken_after(29, 5, model="m"), *whole(11, begin=0.3, model="m")])
    old = measure(whole(40, model="m"))
    lines = findings_of(new, old)
    assert lines[0].startswith("29 of 40 streams of m failed, 0 of 40 before: 72.5 points more")
    assert any(
        line.startswith("Median TTFT of m is") and line.endswith("; but 29 of 40 streams failed.")
        for line in lines
    )
    back = findings_of(old, new)
    assert any(line.endswith("; but before, 29 of 40 streams failed.") for line in back)


def test_retry_rates_are_compared_and_come_first_too() -> None:
    calm = whole(60, model="a")
    retried = [attrs.evolve(line, model="b", retries=("RateLimitError",)) for line in whole(30)]
    lines = findings_of(measure([*calm, *retried, *whole(30, model="b")]))
    assert lines[0].startswith(
        "30 of 60 streams of b were retried, 0 of 60 of a: 50.0 points more, 95 % interval 36."
    )
    assert lines[1] == (
        "30 of 60 streams of b were retried (50 %); the server was too busy (429): 30 × (RateLimitError)."
    )


def test_failures_come_before_retries_be_they_clear_or_not() -> None:
    a = [*whole(60, model="a"), *broken_after(1, 5, model="a")]
    b = [attrs.evolve(line, attempts=2) for line in whole(60, model="b")]
    lines = findings_of(measure([*a, *b]))
    assert lines[0].startswith("0 of 60 streams of b failed, 1 of 61 of a: 1.6 points fewer")
    assert lines[0].endswith("That is no clear difference.")
    assert lines[1].startswith(
        "60 of 60 streams of b were retried, 0 of 61 of a: 100.0 points more"
    )


def test_few_failures_are_compared_and_not_called_a_difference() -> None:
    one = [*whole(2, model="a"), *broken_after(1, 5, model="a")]
    other = [*whole(3, model="b")]
    lines = findings_of(measure([*one, *other]))
    assert lines[0] == (
        "0 of 3 streams of b failed, 1 of 3 of a: 33.3 points fewer, 95 % interval −79.2 to "
        "+29.1 points. That is no clear difference."
    )


@pytest.mark.parametrize("metric", ["ttft", "ttfa", "e2e"])
@pytest.mark.parametrize("statistic", ["p50", "p90", "p95", "p99"])
def test_a_gate_counts_what_never_came_as_too_late(metric: str, statistic: str) -> None:
    silent = [timeline([], ended=0.05, failed="AuthenticationError", phase="status")] * 30
    lines = [*whole(20), *silent]
    (line,) = broken_by(f"{metric}.{statistic}>60", [attrs.evolve(x, model="m") for x in lines])
    assert f"m: {statistic} falls among the 30 of 50 streams that failed" in line
    assert broken_by(f"{metric}.{statistic}>60", whole(50)) == []


def test_a_gate_counts_only_as_many_as_never_came() -> None:
    one_in_50 = [*whole(49, model="m"), timeline([], ended=9.0, failed="E", phase="status")]
    assert broken_by("ttft.p95>1.3", one_in_50) == []
    assert len(broken_by("ttft.p99>1.3", one_in_50)) == 1
    left = [*whole(49, model="m"), timeline([], ended=9.0, failed="StreamCancelled")]
    assert broken_by("ttft.p99>1.3", left) == []


def test_a_regression_counts_what_never_came_as_later() -> None:
    good = whole(50, model="m")
    bad = [*whole(20, model="m"), *broken_after(30, 5, model="m")]
    assert len(broken_by("e2e.p95=50%", bad, good)) == 1
    assert broken_by("e2e.p95=50%", good, bad) == []
    assert broken_by("e2e.p95=50%", bad, bad) == [
        "e2e.p95=50%: m: no data for e2e.p95 in the baseline"
    ]


def silent(n: int, model: str) -> list[Timeline]:
    return [
        timeline([], ended=30.0, failed="APITimeoutError", phase="first_token", model=model)
    ] * n


def test_of_answers_that_mostly_never_came_no_figure_is_called_better() -> None:
    """Ten quick answers of 40 against 40 whole ones: half of the readers wait for ever."""
    for broken in (silent(30, "b"), broken_after(30, 0, model="b")):
        measured = measure([*whole(40, model="a"), *whole(10, begin=0.2, model="b"), *broken])
        clear = {entry.metric: entry for _, entry in compare_all(measured).clear()}
        assert (clear["failed_share"].difference or 0) > 0
        assert (clear["qoe.mean"].difference or 0) < 0
        assert not {"ttft.p50", "ttft.p95"} & clear.keys()
    old, new = measure(whole(40, begin=2.0)), measure([*whole(10), *silent(30, "whole")])
    table = {entry.metric for _, entry in compare_all(new, old).clear()}
    assert "e2e.p50" not in table
    assert "3.5" in (
        row := next(line for line in printed(new, old).splitlines() if "e2e.p50" in line)
    )
    assert row.count("*") == 1


def test_a_few_that_never_came_do_not_hide_a_difference() -> None:
    lines = [*whole(40, model="a"), *whole(38, begin=0.2, model="b"), *silent(1, "b")]
    clear = {entry.metric for _, entry in compare_all(measure(lines)).clear()}
    assert "ttft.p50" in clear


def printed(measured: Measured, old: Measured | None = None) -> str:
    file = io.StringIO()
    print_report(Console(file=file, width=200), measured, [], old, compare_all(measured, old))
    return file.getvalue()


def test_the_tables_give_failed_and_retried_with_their_intervals() -> None:
    lines = [*whole(2), *broken_after(1, 5, model="whole")]
    text = printed(measure([attrs.evolve(line, attempts=2) for line in lines]))
    assert "33 % (6.1 to 79 %)" in text
    assert "100 % (44 to 100 %)" in text
    assert "2 +1" in text  # E2E: of two, and one failed before


def test_costs_and_rates_say_of_how_many_they_are() -> None:
    lines = [
        *(attrs.evolve(line, cost=0.5) for line in whole(2)),
        *broken_after(3, 5, model="whole"),
    ]
    assert "$1.00 (n=2)" in printed(measure(lines))


def test_a_stream_that_its_caller_left_is_no_trouble_in_a_table_of_errors() -> None:
    left = Ending("error", 1.0, "StreamCancelled", "between_tokens")
    measured = measure([*whole(3), *(attrs.evolve(line, ending=left) for line in whole(1))])
    (only,) = measured.groups.values()
    assert (only.failed, only.cancelled) == (0, 1)
    assert only.summary()["errors"] == {"StreamCancelled": 1}
    assert only.summary()["failed_share"] == 0.0
