"""Tests and intervals, against enumeration and against published numbers."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from lm_deluge.timeline.measures.comparing.chance import (
    difference_of_shares,
    fisher,
    holm,
    rank_sum,
    share_interval,
)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("m", [1, 3, 7])
def test_fishers_test_adds_up_what_is_no_likelier(n: int, m: int) -> None:
    for hits in range(n + 1):
        for others in range(m + 1):
            drawn = hits + others
            ways = {
                k: comb(n, k) * comb(m, drawn - k)
                for k in range(max(0, drawn - m), min(n, drawn) + 1)
            }
            exact = sum(way for way in ways.values() if way <= ways[hits]) / comb(n + m, drawn)
            assert fisher(hits, n, others, m) == pytest.approx(exact)


def test_fishers_test_tells_small_from_tiny() -> None:
    assert fisher(40, 40, 0, 40) == pytest.approx(2 / comb(80, 40))
    assert fisher(0, 50_000, 0, 50_000) == 1.0


def test_the_rank_sum_is_near_what_enumeration_says() -> None:
    random = np.random.default_rng(1)
    for n, m in ((4, 5), (6, 6), (7, 4)):
        for ties in (False, True):
            pooled = random.normal(size=n + m)
            pooled = np.round(pooled) if ties else pooled
            ranks = np.array([(pooled < x).sum() + ((pooled == x).sum() + 1) / 2 for x in pooled])
            middle = ranks.sum() * n / (n + m)
            sums = [ranks[list(chosen)].sum() for chosen in combinations(range(n + m), n)]
            exact = np.mean(np.abs(np.array(sums) - middle) >= abs(ranks[:n].sum() - middle) - 1e-9)
            found = rank_sum(pooled[:n], pooled[n:])
            assert found == pytest.approx(exact, abs=0.05) or min(found, exact) > 0.5


def test_without_a_spread_or_values_there_is_nothing_to_tell_apart() -> None:
    same = np.ones(20)
    assert rank_sum(same, same) == 1.0
    assert rank_sum(same, same[:0]) == 1.0


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_wilsons_interval_of_small_counts() -> None:
    assert share_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert share_interval(1, 3) == pytest.approx((0.0615, 0.7923), abs=5e-5)
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998


def test_an_interval_of_none_begins_at_0_and_one_of_all_ends_at_1() -> None:
    counts = range(1, 300)
    assert {share_interval(0, n)[0] for n in counts} == {0.0}
    assert {share_interval(n, n)[1] for n in counts} == {1.0}


@pytest.mark.parametrize(
    ("counts", "interval"),
    [((56, 70, 48, 80), (0.0524, 0.3339)), ((9, 10, 3, 10), (0.1705, 0.8090)),
     ((10, 10, 0, 10), (0.6075, 1.0)), ((5, 56, 0, 29), (-0.0381, 0.1926))],
)  # fmt: skip
def test_newcombes_interval_is_that_of_his_table(
    counts: tuple[int, int, int, int], interval: tuple[float, float]
) -> None:
    assert difference_of_shares(*counts) == pytest.approx(interval, abs=1e-4)


def test_intervals_of_shares_cover_the_truth() -> None:
    random = np.random.default_rng(2)
    hits = random.binomial(40, 0.05, 2_000), random.binomial(40, 0.2, 2_000)
    covered = 0
    for one, other in zip(*hits, strict=True):
        low, high = difference_of_shares(int(one), 40, int(other), 40)
        covered += low <= 0.05 - 0.2 <= high
    assert covered / 2_000 > 0.93
