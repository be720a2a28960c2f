"""Rules: a gate that lets through only what was measured and is good enough."""

from __future__ import annotations

import pytest

from lm_deluge.timeline import (
    Measured,
    Settings,
    Timeline,
    broken_rules,
    measure,
    parse_fail_if,
    parse_max_regression,
    parse_target,
)
from timeline.making import timeline


def measured(*timelines: Timeline, by: str | None = None) -> Measured:
    return measure(timelines, by=by)


def broken(rule: str, *timelines: Timeline) -> list[str]:
    return broken_rules(measured(*timelines), [parse_fail_if(rule)])


def regressed(rule: str, new: Measured, old: Measured) -> list[str]:
    return broken_rules(new, [parse_max_regression(rule)], old)


LINE = timeline([0.5, 1.0, 3.0])


@pytest.mark.parametrize(
    "rule",
    ["ttft.p95>0.5", "ttft.p95 < 0.5", "ttft.p95>=500.1ms", "stalls.streams>100%", "rate.p50<0.8",
     "stalls.longest>2s", "errors.RateLimitError>0", "failed>0", "streams<1", "qoe.mean<10%",
     "cost>1", "gap.n>2"],
)  # fmt: skip
def test_a_rule_that_holds_says_nothing(rule: str) -> None:
    assert broken(rule, timeline([0.5, 1.0, 3.0], cost=0.5)) == []


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("ttft.p95>0.4", "ttft.p95>0.4: m: 0.5 s (1 stream)"),
        (" ttft.p95 >= 500 ms ", "ttft.p95 >= 500 ms: m: 0.5 s (1 stream)"),
        ("stalls.streams>20%", "stalls.streams>20%: m: 100.0% (1 stream)"),
        ("rate.p50<=0.8", "rate.p50<=0.8: m: 0.8 tokens/s (1 stream)"),
        ("streams<30", "streams<30: m: 1 (1 stream)"),
    ],
)
def test_a_broken_rule_is_one_line_with_the_value(rule: str, line: str) -> None:
    assert broken(rule, LINE) == [line]


def test_a_rule_broken_in_several_groups_is_still_one_line() -> None:
    lines = broken("ttft.p95>0.4", timeline([0.5], model="a"), timeline([0.3], model="b"),
                   timeline([0.7], model="c"))  # fmt: skip
    assert lines == ["ttft.p95>0.4: a: 0.5 s (1 stream); c: 0.7 s (1 stream)"]


def test_a_rule_without_data_is_broken() -> None:
    silent = timeline([], ended=1.0, failed="E")
    assert broken("ttft.p95>0.8", silent) == ["ttft.p95>0.8: m: no data for ttft.p95"]
    assert broken("stalls.longest>1", silent) == ["stalls.longest>1: m: no data for stalls.longest"]
    assert broken("cost>1", LINE) == ["cost>1: m: no data for cost"]
    assert broken("ttft.p95>0.8") == ["ttft.p95>0.8: no data, the log holds no stream"]


def test_no_stall_is_data_for_the_longest_stall() -> None:
    assert broken("stalls.longest>1", timeline([0.5, 0.6])) == []


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("ttft.p95", "expected METRIC>NUMBER"),
        ("ttft.p95=0.8", "expected METRIC>NUMBER"),
        ("ttft.p96>1", r"no metric is named 'ttft\.p96'; did you mean ttft\.p9"),
        ("ttft>1", r"ttft is many numbers; name one of ttft\.n, ttft\.mean"),
        (
            "latency>1",
            r"there are ttft, ttfa, gap.*each with one of \.n, \.mean.*stalls\.streams.*errors\.CLASS",
        ),
        ("errors.>1", "no metric"),
        ("ttft.p95>fast", "'fast' is not a number"),
        ("ttft.p95>nan", "not a number"),
        ("ttft.p95>1e", "not a number"),
        ("ttft.p95>20%", "not a share"),
        ("rate.p50<3s", "not in seconds"),
        ("stalls.streams>3ms", "not in seconds"),
        ("", "expected METRIC>NUMBER"),
    ],
)
def test_a_bad_rule_says_what_is_wrong(rule: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_fail_if(rule)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("ttft.p95>1", "expected METRIC=NUMBER"),
        ("ttft.p95=-1%", "not negative"),
        ("ttft.p95=", "expected METRIC=NUMBER"),
        ("tttft.p95=1%", "did you mean ttft.p95"),
        ("rate.p50=1s", "not in seconds"),
    ],
)
def test_a_bad_regression_rule_says_what_is_wrong(rule: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_max_regression(rule)


def test_a_regression_is_relative_with_percent_and_absolute_without() -> None:
    new, old = measured(timeline([0.6])), measured(timeline([0.5]))
    assert regressed("ttft.p95=21%", new, old) == []
    assert regressed("ttft.p95=19%", new, old) == ["ttft.p95=19%: m: 0.5 s -> 0.6 s (+20.0%)"]
    assert regressed("ttft.p95=0.11", new, old) == []
    assert regressed("ttft.p95=90ms", new, old) == ["ttft.p95=90ms: m: 0.5 s -> 0.6 s (+20.0%)"]
    assert regressed("ttft.p95=0%", old, new) == []


def test_a_lower_rate_is_worse_and_a_higher_one_is_not() -> None:
    fast, slow = measured(timeline([0.5, 1.0])), measured(timeline([0.5, 1.5]))
    assert regressed("rate.p50=20%", fast, slow) == []
    assert regressed("rate.p50=20%", slow, fast) == [
        "rate.p50=20%: m: 2 tokens/s -> 1 tokens/s (-50.0%)"
    ]


def test_any_worsening_from_nothing_is_more_than_any_percentage() -> None:
    calm, choppy = measured(timeline([0.5, 0.6])), measured(timeline([0.5, 3.6]))
    assert regressed("stalls.streams=20%", choppy, calm) == [
        "stalls.streams=20%: m: 0.0% -> 100.0% (from nothing)"
    ]
    assert regressed("stalls.streams=20%", calm, calm) == []


def test_the_interval_of_the_difference_is_told() -> None:
    new = measured(*(timeline([0.9 + k / 100]) for k in range(40)))
    old = measured(*(timeline([0.5 + k / 100]) for k in range(40)))
    (line,) = regressed("ttft.p50=20%", new, old)
    assert "(+57.6%, 95 % interval of the difference 0.3" in line


def test_a_regression_without_data_is_broken() -> None:
    silent, talking = measured(timeline([], ended=1.0)), measured(LINE)
    assert regressed("ttft.p95=1%", silent, talking) == [
        "ttft.p95=1%: m: no data for ttft.p95 in the log"
    ]
    assert regressed("ttft.p95=1%", talking, silent) == [
        "ttft.p95=1%: m: no data for ttft.p95 in the baseline"
    ]
    assert regressed("ttft.p95=1%", measured(), talking) == [
        "ttft.p95=1%: no data, the log holds no stream"
    ]
    assert regressed("ttft.p95=1%", talking, measured()) == [
        "ttft.p95=1%: no data, the baseline holds no stream"
    ]


def test_a_group_without_a_counterpart_breaks_a_regression_rule() -> None:
    both = measured(timeline([0.5], model="a"), timeline([0.5], model="b"))
    assert regressed("ttft.p95=1%", both, measured(timeline([0.5], model="a"))) == [
        "ttft.p95=1%: b: only in the log"
    ]
    assert regressed("ttft.p95=1%", measured(timeline([0.5], model="a")), both) == [
        "ttft.p95=1%: b: only in the baseline"
    ]


def test_one_model_can_be_held_against_another() -> None:
    new, old = measured(timeline([0.9], model="new")), measured(timeline([0.5], model="old"))
    assert regressed("ttft.p95=20%", new, old) == ["ttft.p95=20%: new: 0.5 s -> 0.9 s (+80.0%)"]


def test_rules_that_cannot_be_judged_are_value_errors() -> None:
    with pytest.raises(ValueError, match="needs a baseline"):
        broken_rules(measured(LINE), [parse_max_regression("ttft.p95=1%")])
    with pytest.raises(ValueError, match="needs at least one target"):
        broken_rules(measured(LINE), [parse_fail_if("goodput<1")])


def test_a_rule_on_goodput() -> None:
    options = Settings(targets=(parse_target("ttft<1"),))
    line = timeline([0.5], ended=10.0, at="2026-11-22T10:00:00Z")
    assert broken_rules(measure([line], settings=options), [parse_fail_if("goodput<1")]) == [
        "goodput<1: m: 0.1 /s (1 stream)"
    ]
