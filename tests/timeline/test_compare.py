"""Comparisons: the intervals are those of a plain bootstrap over streams."""

from __future__ import annotations

import numpy as np
import pytest

from lm_deluge.timeline import Settings, Timeline, compare_groups, measure, pair_groups
from lm_deluge.timeline.measures.comparing.compare import resample
from lm_deluge.timeline.measures.metrics import Group
from support.timelines import timeline


def streams(seed: int, n: int, slow: float = 1.0, stall: float = 0.02) -> list[Timeline]:
    """Streams whose pace differs from one to the next, so that gaps are not independent."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        pace = random.lognormal(-3, 0.6)
        gaps = random.exponential(pace, size=random.integers(2, 30))
        gaps = np.where(random.random(len(gaps)) < stall, gaps + 1.5, gaps)
        arrivals = random.lognormal(-0.7, 0.5) * slow + np.cumsum(gaps)
        made.append(timeline(arrivals.tolist()))
    return made


def group(*timelines: Timeline) -> Group:
    (only,) = measure(timelines).groups.values()
    return only


def plainly_resampled(timelines: list[Timeline], metric: str, times: int) -> np.ndarray:
    """Draw whole streams, measure them again; nothing else."""
    random = np.random.default_rng(7)
    name, _, statistic = metric.partition(".")
    measure_one = {
        "gap": lambda line: line.gaps,
        "ttft": lambda line: [line.ttft],
        "qoe": lambda line: [line.qoe()],
    }[name]
    numbers = [measure_one(line) for line in timelines]
    results = []
    for _ in range(times):
        drawn = random.integers(0, len(numbers), len(numbers))
        values = np.concatenate([numbers[k] for k in drawn])
        if statistic.startswith("p"):
            results.append(np.percentile(values, float(statistic[1:])))
        else:
            results.append(np.mean(values))
    return np.array(results)


@pytest.mark.parametrize(
    "metric",
    ["ttft.p50", "ttft.p95", "ttft.p99", "ttft.mean", "qoe.mean", "gap.p50", "gap.p95", "gap.mean"],
)  # fmt: skip
@pytest.mark.parametrize("n", [8, 120])
def test_resampling_agrees_with_a_plain_bootstrap(metric: str, n: int) -> None:
    timelines = streams(3, n)
    fast = resample(group(*timelines), metric, 4_000, np.random.default_rng(1))
    assert fast is not None
    plain = plainly_resampled(timelines, metric, 1_500)
    spread = plain.std() or 1e-9
    for q in (5, 25, 50, 75, 95):
        assert np.percentile(fast, q) == pytest.approx(np.percentile(plain, q), abs=0.25 * spread)


@pytest.mark.parametrize("metric", ["gap.p50", "gap.p95", "gap.mean", "qoe.mean"])
def test_of_many_streams_normal_draws_agree_with_the_bootstrap(metric: str) -> None:
    one = group(*streams(3, 400))
    drawn, normal = (
        resample(one, metric, 4_000, np.random.default_rng(1), most) for most in (400, 399)
    )
    assert drawn is not None
    assert normal is not None
    assert not np.array_equal(drawn, normal)
    for q in (2.5, 50, 97.5):
        assert np.percentile(normal, q) == pytest.approx(
            np.percentile(drawn, q), abs=0.35 * drawn.std()
        )


def test_gap_intervals_resample_streams_not_gaps() -> None:
    """Of two streams, one slow and one fast, the interval must know that they are only two."""
    slow, fast = timeline([k * 1.0 for k in range(500)]), timeline([k * 0.01 for k in range(500)])
    values = resample(group(slow, fast), "gap.mean", 2_000, np.random.default_rng(1))
    assert values is not None
    assert set(np.round(values, 3)) == {0.01, 0.505, 1.0}


def test_many_distinct_gaps_are_binned_within_a_bin() -> None:
    timelines = streams(5, 400)
    one = group(*timelines)
    assert len(np.unique(one.values("gap"))) > 2_000
    values = resample(one, "gap.p99", 2_000, np.random.default_rng(1))
    assert values is not None
    exact = one.summary()["gap"]["p99"]
    assert np.median(values) == pytest.approx(exact, rel=0.05)


def test_a_real_difference_is_clear_and_its_interval_holds_the_truth() -> None:
    new, old = group(*streams(1, 400)), group(*streams(2, 400, slow=2.0))
    comparison = compare_groups(new, old, "ttft.p50")
    assert comparison.is_clear
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.difference < comparison.high < 0  # type: ignore[operator]
    assert comparison.low < -np.exp(-0.7) < comparison.high


def test_a_groups_difference_from_itself_is_not_clear() -> None:
    lines = streams(1, 100)
    for metric in ("ttft.p95", "gap.p95", "stalls.streams", "qoe.mean", "coalescing"):
        comparison = compare_groups(group(*lines), group(*lines), metric)
        assert comparison.difference == 0
        assert not comparison.is_clear


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(40):
        one, other = streams(1_000 + seed, 40), streams(2_000 + seed, 40)
        comparison = compare_groups(group(*one), group(*other), "gap.p50", resamples=500)
        assert comparison.low is not None
        assert comparison.high is not None
        hits += comparison.low <= 0 <= comparison.high
    assert hits >= 34


def test_the_same_seed_gives_the_same_interval() -> None:
    new, old = group(*streams(1, 50)), group(*streams(2, 50))
    first = compare_groups(new, old, "gap.p95")
    compare_groups(new, old, "ttft.p95")
    assert compare_groups(new, old, "gap.p95") == first
    assert compare_groups(new, old, "gap.p95", seed=1) != first


@pytest.mark.parametrize(
    "metric", ["ttft.max", "stalls.count", "cost", "streams", "ttft.n", "gap.max"]
)
def test_counts_sums_and_maxima_have_no_interval(metric: str) -> None:
    comparison = compare_groups(group(*streams(1, 50)), group(*streams(2, 50)), metric)
    assert (comparison.low, comparison.high) == (None, None)
    assert not comparison.is_clear


def test_one_stream_has_no_interval() -> None:
    one = group(timeline([0.5, 1.0]))
    for metric in ("ttft.p50", "gap.p95", "qoe.mean", "stalls.streams"):
        comparison = compare_groups(one, one, metric)
        assert comparison.difference == 0
        assert comparison.low is None


def test_without_data_there_is_no_difference() -> None:
    silent = group(timeline([], ended=1.0))
    comparison = compare_groups(silent, group(timeline([0.5])), "ttft.p95")
    assert (comparison.new, comparison.old, comparison.difference) == (None, 0.5, None)


def test_an_unknown_metric_is_a_value_error() -> None:
    one = group(timeline([0.5]))
    with pytest.raises(ValueError, match=r"did you mean ttft\.p9"):
        compare_groups(one, one, "ttft.p96")


def test_groups_are_paired_by_name_or_because_there_is_only_one() -> None:
    def measured(*models: str) -> object:
        return measure([timeline([1.0], model=m) for m in models], settings=Settings())

    one, other = measured("a"), measured("b")
    assert pair_groups(one, other) == {"a": (one.groups["a"], other.groups["b"])}  # type: ignore
    both = measured("a", "b")
    pairs = pair_groups(both, other)  # type: ignore[arg-type]
    assert pairs == {"a": (both.groups["a"], None), "b": (both.groups["b"], other.groups["b"])}  # type: ignore


@pytest.mark.parametrize("metric", ["ttft.p50", "gap.p95", "qoe.mean"])
def test_groups_that_are_swapped_have_the_same_interval_mirrored(metric: str) -> None:
    one, other = group(*streams(1, 40)), group(*streams(2, 40, slow=1.1))
    forth, back = compare_groups(one, other, metric), compare_groups(other, one, metric)
    assert forth.low is not None
    assert back.high is not None
    assert (forth.low, forth.high) == pytest.approx((-back.high, -(back.low or 0.0)))
