"""The rules of a verdict: failures first, then waits, then flow; mirrored when the sides are swapped."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.timeline.measures.verdict.decision import KINDS, Decision, decide
from lm_deluge.timeline.measures.verdict.reasons import RULES, Reason, other
from lm_deluge.timeline.measures.verdict.sentences import Setting, sentence_of

LEVELS = {rule.metric: rule.level for rule in RULES}
SHARES = ("failed_share", "stalls.streams", "retried_share")


def share(metric: str, new: int, old: int, *, clear: bool = False, n: int = 100) -> Reason:
    """A share that more streams of new have, if it is above that of old."""
    return Reason(
        metric, LEVELS[metric], new / n, old / n, -0.2, 0.2,
        None if metric == "retried_share" else 0.0,
        clear, is_suspicious=not clear and abs(new - old) >= 4, counts=((new, n), (old, n)),
    )  # fmt: skip


def time(metric: str, difference: float, *, clear: bool = True, spread: float = 0.02) -> Reason:
    """A time of new that is by so many seconds longer, and may be noticed from 0.1 s on."""
    low, high = difference - spread, difference + spread
    return Reason(metric, LEVELS[metric], 1 + difference, 1.0, low, high, 0.1, clear)


def mirrored(reason: Reason) -> Reason:
    """The same seen from the other side."""
    return Reason(
        reason.metric, reason.level, reason.old, reason.new,
        None if reason.high is None else -reason.high, None if reason.low is None else -reason.low,
        reason.threshold, reason.is_clear, reason.is_suspicious,
        None if reason.counts is None else (reason.counts[1], reason.counts[0]),
    )  # fmt: skip


FASTER, SLOWER = time("ttft.p50", -0.3), time("ttft.p50", 0.3)
JERKIER = share("stalls.streams", 40, 2, clear=True)
BROKEN = share("failed_share", 40, 2, clear=True)
SUSPECT = share("failed_share", 7, 3)


@pytest.mark.parametrize(
    ("reasons", "decision"),
    [
        ([FASTER], Decision("better", "new", "new")),
        ([SLOWER], Decision("better", "old", "old")),
        ([BROKEN], Decision("better", "old", "old", by_failures=True)),
        ([BROKEN, SLOWER], Decision("better", "old", "old", by_failures=True)),
        ([BROKEN, FASTER], Decision("better_but_broken", "new", "old")),
        ([SUSPECT, FASTER], Decision("better_but_broken", "new", "old")),
        ([SUSPECT, SLOWER], Decision("better", "old", "old")),
        ([SUSPECT], Decision("undecided")),
        ([FASTER, JERKIER], Decision("trade_off", "new")),
        ([BROKEN, SLOWER, share("stalls.streams", 2, 40, clear=True)],
         Decision("better", "old", "old", by_failures=True)),
        ([time("ttft.p50", -0.03)], Decision("alike")),
        ([time("ttft.p50", -0.03), JERKIER], Decision("better", "old", "old")),
        ([time("ttft.p50", -0.09, spread=0.05)], Decision("better", "new", "new")),
        ([time("ttft.p50", -0.3, clear=False)], Decision("undecided")),
        ([time("ttft.p50", -0.03), time("gap.p95", 0.2, clear=False)], Decision("undecided")),
        ([share("retried_share", 40, 2, clear=True)], Decision("undecided")),
        ([], Decision("undecided")),
    ],
)  # fmt: skip
def test_the_rules_decide(reasons: list[Reason], decision: Decision) -> None:
    assert decide(reasons) == decision


def test_waits_count_before_flow_in_whatever_order_a_trade_off_is() -> None:
    assert decide([SLOWER, time("gap.p95", -0.5)]).better == "old"
    assert decide([FASTER, time("gap.p95", 0.5)]).better == "new"


def test_the_table_has_every_case() -> None:
    broke = {"nobody": ("nobody", "one", "both")}
    broke |= dict.fromkeys(("suspected", "clear"), ("nobody", "who broke", "who did not", "both"))
    assert set(KINDS) == {(kind, feel) for kind, feels in broke.items() for feel in feels}


def drawn_shares(metric: str) -> st.SearchStrategy[Reason | None]:
    counts = st.integers(0, 100)
    return st.none() | st.builds(
        lambda new, old, clear: share(metric, new, old, clear=clear and new != old),
        counts, counts, st.booleans(),
    )  # fmt: skip


def drawn_times(metric: str) -> st.SearchStrategy[Reason | None]:
    seconds = st.floats(-0.9, 9.0).map(lambda value: round(value, 4))

    def made(difference: float, spread: float, clear: bool) -> Reason:
        return time(metric, difference, spread=spread, clear=clear and abs(difference) > spread)

    return st.none() | st.builds(made, seconds, st.floats(0.001, 1.0), st.booleans())


DRAWN = st.tuples(
    *(
        drawn_shares(rule.metric) if rule.metric in SHARES else drawn_times(rule.metric)
        for rule in RULES
        if rule.metric != "qoe.mean"
    )
).map(lambda made: [reason for reason in made if reason is not None])


@given(DRAWN)
def test_swapped_groups_get_the_mirrored_verdict(reasons: list[Reason]) -> None:
    one, two = decide(reasons), decide([mirrored(reason) for reason in reasons])
    assert two == Decision(
        one.kind,
        other(one.better) if one.better else None,
        other(one.keep) if one.keep else None,
        one.by_failures,
    )


@given(DRAWN)
def test_what_clearly_broke_more_is_never_kept(reasons: list[Reason]) -> None:
    decision = decide(reasons)
    for reason in reasons:
        if reason.metric == "failed_share" and reason.is_clear and decision.keep is not None:
            assert decision.keep == reason.better


@given(DRAWN, st.booleans(), st.sampled_from([(100, 100), (1, 1), (2, 4_000)]))
def test_every_verdict_is_one_sentence_that_tells_of_clear_failures(
    reasons: list[Reason], is_baseline: bool, streams: tuple[int, int]
) -> None:
    decision = decide(reasons)
    setting = Setting(streams, 6, is_baseline, "of each variant", "text")
    said = sentence_of(decision, reasons, setting)
    for word in ("None", "nan", "inf", "  ", ". ", "\n", "1 answers", "+-", "--"):
        assert word not in said, said
    assert said.count("(") == said.count(")")
    assert "\0new\0" in said
    broke = next((reason for reason in reasons if reason.level == "failures"), None)
    if broke is not None and broke.is_clear:
        assert "broke" in said
    if decision.better is not None and broke is not None and broke.better == other(decision.better):
        assert "broke" in said


@pytest.mark.parametrize(
    ("kind", "is_baseline"), list(product(["too_few", "all_failed", "no_data"], [True, False]))
)
def test_verdicts_without_reasons_are_sentences(kind: str, is_baseline: bool) -> None:
    setting = Setting((1, 2), 6, is_baseline, "of each model", "text")
    said = sentence_of(Decision(kind), [], setting)  # type: ignore[arg-type]
    assert said.startswith(("Too few", "Nothing", "Every answer", "\0new\0"))
