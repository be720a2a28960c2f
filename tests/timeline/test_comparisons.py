"""A difference that is named would be found again; of alike groups none is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lm_deluge.timeline import Comparisons, Measured, Timeline, compare_all, findings_of, measure
from lm_deluge.timeline.measures.comparing.chance import fisher
from lm_deluge.timeline.measures.comparing.comparisons import MOST_GROUPS
from support.timelines import timeline

NAMED = ("lower", "higher", "more,", "fewer,")


def stream(
    random: np.random.Generator, name: str, *, slow: float = 1.0, breaks: float = 0.06
) -> Timeline:
    """A stream of one server: it stalls, fails and is retried now and then."""
    pieces = int(random.integers(5, 60))
    gaps = random.lognormal(-3.2, 0.8, pieces) * random.lognormal(0, 0.3)
    gaps = np.where(random.random(pieces) < 0.01, gaps + 1.4, gaps)
    arrivals = (random.lognormal(-0.8, 0.5) * slow + np.cumsum(gaps)).tolist()
    failed = None
    if random.random() < breaks:
        arrivals, failed = arrivals[: int(random.integers(0, pieces))], "ConnectionLostError"
    attempts = 1 + int(random.random() < 0.1)
    return timeline(arrivals, failed=failed, model=name, attempts=attempts)


def groups(seed: int, names: str, n: int = 40, **changed: float) -> Measured:
    random = np.random.default_rng(seed)
    lines = [stream(random, name) for name in names for _ in range(n)]
    if changed:
        lines += [stream(random, "new", **changed) for _ in range(n)]
    return measure(lines)


def is_named(lines: list[str]) -> bool:
    return any(word in line.split() for line in lines for word in NAMED)


def wrongly_named(times: int, names: str, n: int) -> int:
    return sum(
        next(compare_all(groups(seed, names, n)).clear(), None) is not None for seed in range(times)
    )


@pytest.mark.parametrize(("names", "n"), [("abcdefg", 12), ("ab", 40)])
def test_of_random_groups_on_one_server_no_difference_is_named(names: str, n: int) -> None:
    """5 % of such reports may name one; of 40 more than 6 have a chance of 1 in 250."""
    assert wrongly_named(40, names, n) <= 6


@pytest.mark.slow
@pytest.mark.parametrize(("names", "n"), [("abcdefg", 30), ("abc", 20), ("ab", 100)])
def test_of_very_many_reports_no_more_than_one_in_twenty_is_wrong(names: str, n: int) -> None:
    wrong = wrongly_named(300, names, n)
    print(f"{wrong} of 300 reports name a difference")
    assert wrong <= 24  # 15 are expected at most; more than 24 has a chance of 1 in 100


def test_the_report_of_seven_alike_groups_says_how_many_comparisons_were_made() -> None:
    lines = findings_of(groups(4, "abcdefg"))
    assert not is_named(lines)
    assert (
        "No clear difference: all 21 pairs of groups were compared (168 comparisons, corrected for "
        "being so many by Holm's method)."
    ) in lines


def test_a_real_difference_is_found_among_seven_groups() -> None:
    lines = findings_of(groups(4, "abcdef", slow=3.0))
    named = [line for line in lines if line.startswith("Median TTFT")]
    assert len(named) == 6
    assert all(line.startswith("Median TTFT of new is") and " higher " in line for line in named)
    assert any(line.startswith("All 21 pairs of groups were compared (168") for line in lines)


def test_more_failures_are_found_among_seven_groups() -> None:
    lines = findings_of(groups(4, "abcdef", breaks=0.7))
    assert all(" of new failed, " in line and " points more, " in line for line in lines[:6])


def test_a_tail_alone_is_found() -> None:
    random = np.random.default_rng(5)
    steady = [timeline([t], model="a") for t in random.uniform(0.4, 0.5, 300)]
    tailed = [timeline([t + 2.0 * (k % 10 == 0)], model="b")
              for k, t in enumerate(random.uniform(0.4, 0.5, 300))]  # fmt: skip
    lines = findings_of(measure([*steady, *tailed]))
    assert any(line.startswith("p95 TTFT of b is") for line in lines)
    assert not any(line.startswith("Median TTFT") for line in lines)


def test_gaps_are_compared_by_stream() -> None:
    """One stream with ten thousand short gaps is one stream."""
    a = [timeline([0.1 * k for k in range(10)], model="a") for _ in range(4)]
    b = [timeline([0.1 * k for k in range(10)], model="b") for _ in range(4)]
    b[0] = timeline([0.3 * k for k in range(3_000)], model="b")
    assert list(compare_all(measure([*a, *b])).clear()) == []


def test_of_very_many_groups_the_largest_are_compared_and_the_others_are_named() -> None:
    random = np.random.default_rng(1)
    lines = [stream(random, f"g{k:02}") for k in range(MOST_GROUPS + 2) for _ in range(5 + (k > 1))]
    comparisons = compare_all(measure(lines))
    assert len(comparisons.pairs) == MOST_GROUPS * (MOST_GROUPS - 1) // 2
    assert comparisons.left_out == ["g00", "g01"]
    said = findings_of(measure(lines))
    assert "Only the groups with the most streams were compared; left out: g00, g01." in said


def test_very_many_differences_are_counted_and_not_all_told() -> None:
    lines = [timeline([0.1 * k + j / 1000], model=f"m{k}") for k in range(1, 8) for j in range(30)]
    told = findings_of(measure(lines))
    assert sum(" than that of " in line for line in told) == 12
    assert any(line.startswith("And ") and "--json lists them" in line for line in told)


def test_a_clear_and_small_difference_is_not_called_unclear() -> None:
    lines = [
        timeline([begin + k / 1e5], model=model)
        for model, begin in (("a", 0.5), ("b", 0.51))
        for k in range(500)
    ]
    (line,) = findings_of(measure(lines))
    assert line.startswith(
        "No difference above 5 % between b and a: median TTFT differs by +0.01 s, 95 % interval 0.00"
    )


def listed(comparisons: Comparisons) -> dict[str, object]:
    document = comparisons.to_json()
    json.dumps(document, allow_nan=False)
    return document


def test_json_lists_the_comparisons() -> None:
    document = listed(compare_all(groups(4, "a", slow=3.0)))
    assert (document["n"], document["correction"]) == (8, "Holm")
    clear = document["clear"]
    assert isinstance(clear, list)
    first = next(entry for entry in clear if entry["metric"] == "ttft.p50")
    assert (first["new"], first["old"]) == ("new", "a")
    assert first["interval"][0] < first["difference"] < first["interval"][1]
    assert 0 <= first["p_corrected"] <= 0.05
    intervals = document["intervals"]
    assert isinstance(intervals, dict)
    assert set(intervals) == {"a", "new"}
    assert set(intervals["a"]) == {"failed_share", "retried_share"}


def test_one_group_is_compared_with_nothing() -> None:
    assert listed(compare_all(groups(1, "a")))["n"] == 0
    assert listed(compare_all(measure([])))["n"] == 0


def test_streams_with_more_gaps_do_not_have_longer_ones_for_that() -> None:
    def streams(model: str, gaps: int) -> list[Timeline]:
        times = [0.01] * gaps
        times[::20] = [0.5] * len(times[::20])
        arrivals = [0.5 + sum(times[:k]) for k in range(gaps + 1)]
        return [timeline(arrivals, model=model) for _ in range(30)]

    (pair,) = compare_all(measure([*streams("a", 20), *streams("b", 40)])).pairs
    assert (pair.comparisons["gap.p95"].chance or 0.0) > 0.5


def test_a_tail_is_looked_at_twice_and_that_is_paid_for() -> None:
    waits = {"a": [1.0 + k / 1000 for k in range(100)], "b": [1.0 + k / 1000 for k in range(100)]}
    waits["b"][-9:] = [9.0] * 9
    streams = [timeline([wait], model=model) for model in waits for wait in waits[model]]
    (pair,) = compare_all(measure(streams)).pairs
    assert pair.comparisons["ttft.p95"].chance == pytest.approx(2 * fisher(9, 100, 1, 100))
