"""Rules: a gate that lets through only what was measured and is good enough."""

from __future__ import annotations

import pytest

from lm_deluge import errors
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
from lm_deluge.timeline.measures.budget.rule_texts import opposite_of
from lm_deluge.timeline.measures.names import better_is_higher
from lm_deluge.wire.errors_inside import inside_class
from support.timelines import timeline


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
     "cost>1", "gap.n>2", "failed>0%", "failed_share>0", "retried>50%", "retried_share>50%",
     "cancelled>0", "unfinished>0%", "completed<100%", "censored>0%", "errors.RateLimitError>1%",
     "handlers.p95>1ms", "loop_lag.max>100ms"],
)  # fmt: skip
def test_a_rule_that_holds_says_nothing(rule: str) -> None:
    line = timeline([0.5, 1.0, 3.0], cost=0.5, lags=[0.0, 0.05, 0.0], busy=[0.0, 1e-4, 1e-4])
    assert broken(rule, line) == []


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


def outcomes() -> list[Timeline]:
    """Twenty streams: 15 whole, of which 4 were retried; 3 failed; 1 was cancelled; 1 goes on."""
    return [
        *(timeline([0.5], attempts=1 + (k < 4)) for k in range(15)),
        timeline([0.5], failed="ConnectionLostError"),
        timeline([0.5], failed="RateLimitError"),
        timeline([], failed="SomebodyElsesError"),
        timeline([0.5], failed="StreamCancelled"),
        timeline([0.5], ending=None),
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("failed>1%", "15.0% (3 of 20 streams)"),
        ("failed >= 15 %", "15.0% (3 of 20 streams)"),
        ("failed>15%", None),
        ("failed>2", "3 (20 streams)"),
        ("failed>3", None),
        ("failed_share>10%", "15.0% (20 streams)"),
        ("failed_share>0.1", "15.0% (20 streams)"),
        ("retried>10%", "20.0% (4 of 20 streams)"),
        ("retried>3", "4 (20 streams)"),
        ("retried_share>20%", None),
        ("cancelled>4%", "5.0% (1 of 20 streams)"),
        ("unfinished>0", "1 (20 streams)"),
        ("completed<95%", "75.0% (15 of 20 streams)"),
        ("censored>0%", "5.0% (1 of 20 streams)"),
        ("errors.ConnectionLostError>1%", "5.0% (1 of 20 streams)"),
        ("errors.SomebodyElsesError>0", "1 (20 streams)"),
        ("errors.StreamCancelled>0", "1 (20 streams)"),
        ("errors.APITimeoutError>0", None),
        # A class counts those derived from it, as ``except`` does.
        ("errors.APIError>9%", "10.0% (2 of 20 streams)"),
        ("errors.APIStatusError>0", "1 (20 streams)"),
        ("errors.ProviderError>0", None),
    ],
)
def test_counts_of_streams_are_counts_or_shares(rule: str, said: str | None) -> None:
    assert broken(rule, *outcomes()) == ([] if said is None else [f"{rule}: m: {said}"])


def test_a_class_is_what_its_name_says_whatever_errors_this_process_has_seen() -> None:
    inside_class(429)  # a RateLimitError that is a ProviderError, too
    assert broken("errors.ProviderError>0", *outcomes()) == []
    assert broken("errors.RateLimitError>0", *outcomes()) == [
        "errors.RateLimitError>0: m: 1 (20 streams)"
    ]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ConectionLostError", "did you mean errors.ConnectionLostError?"),
        ("RateLimit", "errors.RateLimitError"),
        ("Timeout", "errors.APITimeoutError"),
        ("SomebodyElseError", "errors.SomebodyElsesError"),
        ("qqq", "there are APIConnectionError, APIError"),
        ("__all__", "there are"),
    ],
)
def test_an_error_that_nobody_knows_is_refused_with_the_nearest(name: str, near: str) -> None:
    for rule in (parse_fail_if(f"errors.{name}>0"), parse_max_regression(f"errors.{name}=1")):
        with pytest.raises(ValueError, match="no error is named") as caught:
            broken_rules(measured(*outcomes()), [rule], measured(LINE))
        assert near in str(caught.value)


def test_every_class_of_errors_is_known_and_did_not_occur() -> None:
    for name in errors.__all__:
        if isinstance(kind := getattr(errors, name), type) and issubclass(kind, Exception):
            assert broken(f"errors.{name}>0", LINE) == []


def test_an_error_that_only_the_baseline_holds_is_known() -> None:
    new, old = measured(LINE), measured(*outcomes())
    assert regressed("errors.SomebodyElsesError=10%", new, old) == []
    assert broken_rules(new, [parse_fail_if("errors.SomebodyElsesError>0")], old) == []


def test_a_regression_of_counts_in_percent_compares_shares() -> None:
    """The logs are not equally long: 3 of 20 is no worse than 6 of 40, and worse than 3 of 40."""
    new = measured(*outcomes())
    twice = measured(*outcomes(), *outcomes())
    long = measured(*outcomes(), *[LINE] * 20)
    assert regressed("failed=0%", new, twice) == regressed("failed=0%", twice, new) == []
    (line,) = regressed("failed=20%", new, long)
    assert line.startswith(
        "failed=20%: m: 7.5% -> 15.0% (+100.0%, 95 % interval of the difference -"
    )
    assert regressed("failed=2", twice, new) == ["failed=2: m: 3 -> 6 (+100.0%)"]
    assert regressed("retried=50%", new, long)[0].startswith("retried=50%: m: 10.0% -> 20.0%")


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
            r"there are ttft, ttfa, ttfo, gap.*each with one of \.n, \.mean.*stalls\.streams.*errors\.CLASS",
        ),
        ("errors.>1", "no metric"),
        ("ttft.p95>fast", "'fast' is not a number"),
        ("ttft.p95>nan", "not a number"),
        ("ttft.p95>1e", "not a number"),
        ("ttft.p95>20%", "not a share"),
        ("rate.p50<3s", "not in seconds"),
        ("stalls.streams>3ms", "not in seconds"),
        ("failed>1s", "not in seconds"),
        ("errors.RateLimitError>1ms", "not in seconds"),
        ("cost>5%", "not a share"),
        ("streams>5%", "not a share"),
        ("stalls.count>5%", "not a share"),
        ("failed>0.01", r"a count of whole things; 0\.01 is none \(as a share .*: failed>1%\)"),
        ("errors.APIError>0.5", r"errors\.APIError>50%"),
        ("streams<1.5", "a count of whole things"),
        ("stalls.streams>20", "is a share, between 0 and 1 or 0% and 100%; did you mean 20%"),
        ("failed_share>5", "did you mean 5%"),
        ("failed>150%", "is a share"),
        ("qoe.mean<90", "did you mean 90%"),
        ("handler_lag.p95>1", r"handlers\.p95 is how long.*loop_lag\.p95"),
        ("handler_lag>1", "handlers is how long.*loop_lag how long"),
        ("loop_lag>1", r"loop_lag is many numbers; name one of loop_lag\.n"),
        ("e2el.p95>1", "no metric is named 'e2el.p95'; it is e2e here"),
        ("itl.p99>1", "vLLM's is gap, AIPerf's and GuideLLM's tpot_per_token"),
        ("ttft.median>1", r"the median is \.p50"),
        ("ttfo>1", r"ttfo is many numbers; name one of ttfo\.n"),
        ("request_throughput<1s", "not in seconds"),
        ("", "expected METRIC>NUMBER"),
    ],
)
def test_a_bad_rule_says_what_is_wrong(rule: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        assert opposite_of(parse_fail_if(rule)) is None


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("ttft.p95>1", "expected METRIC=NUMBER"),
        ("ttft.p95=-1%", "not negative"),
        ("ttft.p95=", "expected METRIC=NUMBER"),
        ("tttft.p95=1%", "did you mean ttft.p95"),
        ("rate.p50=1s", "not in seconds"),
        ("stalls.streams=20", "did you mean 20%"),
        ("handler_lag.p95=20%", r"handlers\.p95.*loop_lag\.p95"),
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


def test_ttfo_is_judged_as_ttfa_with_those_that_never_came() -> None:
    silent = timeline([], ended=3.0, failed="APITimeoutError", phase="first_token")
    new = measured(timeline([0.5]), silent, silent)
    (line,) = broken_rules(new, [parse_fail_if("ttfo.p95>9")])
    assert "p95 falls among the 2 of 3 streams that failed without visible text" in line
    assert line.replace("ttfo", "ttfa") == broken_rules(new, [parse_fail_if("ttfa.p95>9")])[0]


def test_a_regression_of_icl_and_ttfo_has_an_interval() -> None:
    new = measured(*(timeline([0.5 + k / 99, 1.5, 3.5]) for k in range(9)))
    old = measured(*(timeline([0.3 + k / 99, 0.8, 1.2]) for k in range(9)))
    for rule in ("icl.p95=1%", "ttfo.p50=1%", "gap.mean=1%"):
        assert "95 % interval" in regressed(rule, new, old)[0]
    (line,) = regressed("icl.std=1%", new, old)  # no interval, and no reason to fall
    assert "interval" not in line


def test_throughput_that_fell_is_worse_and_a_smaller_deviation_is_not() -> None:
    assert better_is_higher("request_throughput")
    assert better_is_higher("output_token_throughput")
    assert not better_is_higher("rate.std")
    assert better_is_higher("rate.n")


def test_targets_may_name_ttfo_and_icl() -> None:
    settings = Settings(targets=(parse_target("ttfo<=0.6"), parse_target("icl.max<=0.5")))
    two_in_a_read = timeline([0.5, 0.5, 0.9], reads=[0, 0, 1])
    late = timeline([0.5, 1.5])
    (group,) = measure([two_in_a_read, late], settings=settings).groups.values()
    assert group.good == 1
    with pytest.raises(ValueError, match="it is e2e here"):
        parse_target("e2el<1")


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ("ttft.p95<0.8", "ttft.p95>0.8"),
        ("ttft.p95<=800ms", "ttft.p95>800ms"),
        ("gap.p99<1", "gap.p99>1"),
        ("stalls.longest<2", "stalls.longest>2"),
        ("seen.ttft.p95<1.5", "seen.ttft.p95>1.5"),
        ("qoe.mean>0.9", "qoe.mean<0.9"),
        ("rate.p50>=20", "rate.p50<20"),
        ("seen.share>90%", "seen.share<90%"),
    ],
)
def test_of_a_rule_that_fails_where_all_is_well_is_said_what_was_meant(
    rule: str, meant: str
) -> None:
    assert opposite_of(parse_fail_if(rule)) == meant
    assert opposite_of(parse_fail_if(meant)) is None


@pytest.mark.parametrize(
    "rule", ["streams<100", "streams>9", "ttft.n<5", "failed<1", "cost<1", "completed>5"]
)
def test_a_rule_on_what_may_be_too_few_or_too_many_is_none_of_these(rule: str) -> None:
    assert opposite_of(parse_fail_if(rule)) is None
