"""What a reader notices, and how many more streams would decide what is open."""

from __future__ import annotations

import numpy as np
import pytest

from lm_deluge.timeline import compare_all, measure
from lm_deluge.timeline.measures.comparing.chance import fisher, fisher_more
from lm_deluge.timeline.measures.comparing.compare import SIGNIFICANT
from lm_deluge.timeline.measures.comparing.noticeable import noticed, threshold_of
from lm_deluge.timeline.measures.verdict.enough import (
    MOST_MORE,
    can_be_clear,
    least_streams,
    more_for_share,
    more_for_time,
    rounded,
)
from support.timelines import timeline


@pytest.mark.parametrize(
    ("metric", "one", "two", "threshold"),
    [
        ("ttft.p50", 0.2, 0.3, 0.1),  # below half a second: what feels instant
        ("ttft.p50", 2.0, 1.0, 0.4),  # above it: a fifth of the longer one
        ("gap.p95", 0.02, 0.03, 0.1),
        ("e2e.p50", 30.0, 20.0, 6.0),
        ("tpot.p50", 0.03, 0.06, 0.17),  # both are quicker than the reader, who takes 0.2 s
        ("tpot.p50", 0.3, 0.4, 0.08),
        ("failed_share", 0.1, 0.2, 0.0),
        ("stalls.streams", 0.1, 0.2, 0.0),
        ("qoe.mean", 0.9, 0.8, None),
        ("retried_share", 0.1, 0.2, None),
    ],
)
def test_how_large_a_difference_is_noticed(
    metric: str, one: float, two: float, threshold: float | None
) -> None:
    assert threshold_of(metric, one, two, stall=1.0, reading=0.2) == pytest.approx(threshold)
    assert threshold_of(metric, two, one, stall=1.0, reading=0.2) == pytest.approx(threshold)


def test_a_stall_shorter_than_an_instant_is_not_noticed() -> None:
    assert threshold_of("stalls.streams", 0.1, 0.2, stall=0.05, reading=0.2) is None


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.15, 0.3, "yes"), (-0.3, -0.1, "yes"), (0.05, 0.3, "maybe"), (-0.3, 0.2, "maybe"),
        (-0.05, 0.09, "no"), (0.02, 0.05, "no"), (None, None, "unknown"),
    ],
)  # fmt: skip
def test_the_whole_interval_counts(low: float | None, high: float | None, said: str) -> None:
    assert noticed(low, high, 0.1) == said
    assert noticed(low, high, None) == "unknown"


def test_more_failures_by_chance_alone() -> None:
    """Of 7 and 3 of 100: the hypergeometric tail from 7 on, summed by hand."""
    assert fisher_more(7, 100, 3, 100) == pytest.approx(0.165, abs=0.001)
    assert fisher_more(1, 100, 0, 100) == pytest.approx(0.5)
    assert fisher_more(0, 10, 5, 10) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("hits", "n"), [((7, 3), 100), ((1, 0), 40), ((30, 20), 60), ((2, 1), 300)]
)
def test_so_many_more_streams_make_the_same_shares_clear(hits: tuple[int, int], n: int) -> None:
    more = more_for_share(hits, (n, n), left=8)

    def chance(streams: float) -> float:
        counts = [round(hit / n * streams) for hit in hits]
        return fisher(counts[0], round(streams), counts[1], round(streams))

    assert chance((n + more) * 1.1) * 8 <= SIGNIFICANT
    assert chance((n + more) * 0.85) * 8 > SIGNIFICANT


def test_equal_shares_are_never_decided() -> None:
    assert more_for_share((3, 3), (100, 100), left=1) == MOST_MORE + 1


def waits(n: int, shift: float, repeat: int = 1) -> tuple[float, float]:
    """The chance and the corrected one of a difference of medians, with every stream repeated."""
    random = np.random.default_rng(5)
    made = []
    for name, by in (("a", 0.0), ("b", shift)):
        values = 0.5 + by + random.normal(0, 0.15, n)
        made += [timeline([float(value)], model=name) for value in values for _ in range(repeat)]
    compared = compare_all(measure(made)).pairs[0].with_interval("ttft.p50")
    assert compared.low is not None
    assert compared.high is not None
    assert compared.difference is not None
    more = more_for_time(
        compared.difference, compared.low, compared.high, 1e-9,
        chance=compared.chance or 0.0, left=8, streams=(n * repeat, n * repeat),
    )  # fmt: skip
    return more, (compared.chance or 0.0) * 8


def test_so_many_more_streams_make_the_same_times_clear() -> None:
    more, chance = waits(20, 0.1)
    assert chance > SIGNIFICANT
    repeat = 1 + more / 20
    assert waits(20, 0.1, repeat=int(np.ceil(repeat)))[1] <= SIGNIFICANT
    assert waits(20, 0.1, repeat=max(1, int(repeat * 0.6)))[1] > SIGNIFICANT


def test_a_difference_far_below_what_is_noticed_is_shown_to_be_so_sooner_than_clear() -> None:
    told = {"chance": 0.9, "left": 8, "streams": (100, 100)}
    assert more_for_time(0.001, -0.12, 0.122, 0.1, **told) < 100  # type: ignore[arg-type]
    assert more_for_time(0.1, -0.12, 0.32, 0.1, **told) == MOST_MORE + 1  # type: ignore[arg-type]


def test_a_larger_group_needs_the_smaller_one_to_grow() -> None:
    few = more_for_share((7, 3), (100, 100), left=8)
    many = more_for_share((700, 3), (10_000, 100), left=8)
    assert 0 < many < few


@pytest.mark.parametrize(
    ("streams", "said"),
    [(1, "a few"), (9, "a few"), (12, "about 12"), (137, "about 140"), (1_401, "about 1,500"),
     (10_000, "about 10,000"), (10_001, "more than 10,000")],
)  # fmt: skip
def test_numbers_of_streams_are_said_as_people_say_them(streams: int, said: str) -> None:
    assert rounded(streams) == said


@pytest.mark.parametrize("comparisons", [1, 8, 528])
def test_the_least_number_of_streams_is_the_least_that_can_show_anything(comparisons: int) -> None:
    least = least_streams(comparisons)
    assert can_be_clear(least, least, comparisons)
    assert not can_be_clear(least - 1, least - 1, comparisons)
    assert not can_be_clear(1, 1, comparisons)
