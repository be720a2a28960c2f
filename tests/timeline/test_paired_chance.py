"""Tests by prompt, against numbers from books and against counting everything out."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.timeline.measures.comparing.chance import difference_of_shares, fisher
from lm_deluge.timeline.measures.comparing.paired_chance import (
    paired_shares,
    signed_rank,
    within_prompts,
)


def counted_out(differences: list[float]) -> float:
    """The signed rank test with every choice of signs looked at."""
    kept = [d for d in differences if d]
    if not kept:
        return 1.0
    sizes = sorted(abs(d) for d in kept)
    ranks = [sizes.index(abs(d)) + (sizes.count(abs(d)) + 1) / 2 for d in kept]
    middle = sum(ranks) / 2
    seen = abs(sum(rank for rank, d in zip(ranks, kept, strict=True) if d > 0) - middle)
    far = sum(
        abs(sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) - middle)
        >= seen - 1e-9
        for signs in product((0, 1), repeat=len(kept))
    )
    return far / 2 ** len(kept)


@given(
    st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, np.inf, -np.inf]), max_size=9)
)
def test_the_signed_rank_test_is_exact_also_with_ties_zeros_and_what_never_came(
    differences: list[float],
) -> None:
    assert signed_rank(np.array(differences)) == pytest.approx(counted_out(differences))


def test_darwins_maize() -> None:
    # Fisher, The Design of Experiments, 1935, section 17; R: wilcox.test(d)$p.value is 0.0413.
    eighths = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
    assert signed_rank(eighths) == pytest.approx(0.0413, abs=5e-4)


def test_many_differences_agree_with_the_exact_ones() -> None:
    random = np.random.default_rng(1)
    some = random.normal(0.1, 1.0, 100)
    exact = signed_rank(some)
    more = signed_rank(np.append(some, 1e-9))  # one more, of the least rank: approximated
    assert more == pytest.approx(exact, rel=0.1)
    assert signed_rank(random.normal(1.0, 1.0, 1000)) < 1e-100


def mcnemar(only: int, only_other: int) -> float:
    n, k = only + only_other, min(only, only_other)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n) if n else 1.0


def strata(*rows: tuple[int, int, int, int]) -> list[np.ndarray]:
    return list(np.array(rows, np.int64).reshape(-1, 4).T)


@pytest.mark.parametrize(("only", "only_other"), [(0, 0), (1, 0), (5, 5), (7, 1), (10, 2), (0, 9)])
def test_with_one_stream_a_prompt_it_is_mcnemars_exact_test(only: int, only_other: int) -> None:
    rows = (
        [(1, 1, 0, 1)] * only
        + [(0, 1, 1, 1)] * only_other
        + [(0, 1, 0, 1)] * 20
        + [(1, 1, 1, 1)] * 3
    )
    assert within_prompts(*strata(*rows)) == pytest.approx(mcnemar(only, only_other))


@given(st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_with_one_prompt_it_is_fishers_exact_test_where_that_is_symmetric(
    hits: tuple[int, int],
) -> None:
    a, b = hits
    assert within_prompts(*strata((a, 6, b, 6))) == pytest.approx(fisher(a, 6, b, 6))


def test_very_many_prompts_agree_with_the_exact_test() -> None:
    rows = [(1, 2, 0, 2)] * 1100 + [(0, 2, 1, 2)] * 900
    exact = within_prompts(*strata(*rows))
    assert within_prompts(*strata(*rows, (1, 2, 0, 2), (0, 2, 1, 2))) == pytest.approx(
        exact, rel=0.03
    )


def test_newcombes_paired_interval() -> None:
    # Newcombe 1998 (paired), table II, method 10: 36, 12, 2, 0 and 53, 0, 1, 0 and 0, 54, 0, 0.
    assert paired_shares(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=1e-3)
    low, high = paired_shares(53, 0, 1, 0)
    assert (low, high) == pytest.approx((-0.0983, 0.0511), abs=2e-3)
    assert paired_shares(0, 54, 0, 0)[1] == pytest.approx(1.0)


def test_an_interval_of_shares_that_never_differed_is_around_nothing_and_not_empty() -> None:
    low, high = paired_shares(0, 0, 0, 60)
    assert low < 0 < high


def test_newcombes_interval_takes_less_off_where_prompts_agree_by_chance() -> None:
    # By hand: ad - bc = 225, less n/2 = 20; over the root of 25 · 15 · 23 · 17 it is 0.5354 (0.5876 without).
    low, high = paired_shares(20, 5, 3, 12)
    assert (low, high) == pytest.approx((-0.0925749, 0.1889042), abs=1e-6)
    # What agrees no better than chance (ad - bc within n/2) counts as nothing.
    assert paired_shares(5, 5, 5, 6) == pytest.approx(difference_of_shares(10, 21, 10, 21))
