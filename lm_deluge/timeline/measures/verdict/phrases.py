"""Differences as people say them: ``first text 0.26 s sooner (0.18–0.31)``."""

from __future__ import annotations

from lm_deluge.timeline.measures.verdict.enough import rounded
from lm_deluge.timeline.measures.verdict.reasons import Reason, Side
from lm_deluge.timeline.measures.wording import percent

__all__ = [
    "amount_phrase",
    "count_phrase",
    "first_text",
    "listed",
    "metric_label",
    "more_phrase",
    "phrase",
    "range_phrase",
    "seconds_phrase",
]

_TIMES = {
    "ttft.p50": ("first {text}", "sooner", "later"),
    "ttft.p95": ("for the slowest 5 % first {text}", "sooner", "later"),
    "gap.p95": ("the longest 5 % of gaps", "shorter", "longer"),
    "tpot.p50": ("each piece", "quicker", "slower"),
}
_SHARES = {
    "failed_share": ("broke", "broke"),
    "stalls.streams": ("stalled", "stalled"),
    "retried_share": ("was retried", "were retried"),
}

_LABELS = {
    "failed_share": "Broke",
    "ttft.p50": "First {text}",
    "ttft.p95": "First {text}, slowest 5 %",
    "stalls.streams": "Stalled",
    "gap.p95": "Longest 5 % of gaps",
    "tpot.p50": "Each piece",
    "retried_share": "Retried",
    "qoe.mean": "QoE",
}


def first_text(*, is_text: bool) -> str:
    """Return what comes first: ``text``, or ``output`` where models reason."""
    return "text" if is_text else "output"


def phrase(reason: Reason, subject: Side, *, text: str = "text") -> str:
    """Say how ``subject`` differs from the other side, with the interval; of shares, the counts."""
    if reason.counts is not None:
        return count_phrase(reason, subject)
    size = abs(reason.difference)
    if reason.metric not in _TIMES:
        direction = "higher" if reason.better == subject else "lower"
        bare = f"QoE {size:.2f} {direction}" if size >= 0.005 else "QoE alike"
        return f"{bare} ({range_phrase(reason, subject)})" if reason.low is not None else bare
    what, good, bad = _TIMES[reason.metric]
    direction = good if reason.better == subject else bad
    what = what.format(text=text)
    amount = seconds_phrase(size)
    bare = f"{what} alike" if amount == "0" else f"{what} {amount} s {direction}"
    if reason.prompts is not None:
        bare += " on the same prompts"
    if reason.low is None or reason.high is None:
        return bare
    interval = range_phrase(reason, subject)
    if amount == "0" and (
        reason.low > 0 or reason.high < 0
    ):  # no word before says which way it lies
        interval += f" s {bad if (reason.low > 0) == (subject == 'new') else good}"
    return f"{bare} ({interval})"


def range_phrase(reason: Reason, subject: Side) -> str:
    """Return the interval: ``0.18–0.31``, or ``from 0.05 s later to 0.21 s sooner``."""
    low, high = reason.low, reason.high
    if low is None or high is None:
        return "unknown"
    if subject == "old":
        low, high = -high, -low
    if reason.counts is not None:
        low, high = low * 100, high * 100
    if reason.metric not in _TIMES:
        return f"{_signed(low)} to {_signed(high)}"
    if low > 0 or high < 0:
        ends = sorted((abs(low), abs(high)))
        return f"{seconds_phrase(ends[0])}–{seconds_phrase(ends[1])}"
    _, good, bad = _TIMES[reason.metric]
    return f"from {seconds_phrase(-low)} s {good} to {seconds_phrase(high)} s {bad}"


def count_phrase(reason: Reason, subject: Side) -> str:
    """Return ``7 of 100 answers broke, against 3``; the other total where it is another.

    Where there was none, ``no answer broke on either side``.
    """
    if reason.counts is None:
        message = f"{reason.metric} is no share of streams"
        raise ValueError(message)
    mine, others = reason.counts if subject == "new" else reason.counts[::-1]
    count, n = mine
    if not count and not others[0]:
        return f"no answer {_SHARES[reason.metric][0]} on either side"
    verb = _SHARES[reason.metric][count != 1]
    against = f"{others[0]:,}" if others[1] == n else f"{others[0]:,} of {others[1]:,}"
    return f"{count:,} of {n:,} answer{'' if n == 1 else 's'} {verb}, against {against}"


def seconds_phrase(value: float) -> str:
    """Return seconds without their unit, as exact as people say them: ``0.26``, ``3.1``, ``0.034``."""
    size = abs(value)
    if size >= 99.95:
        return f"{size:,.0f}"
    if size >= 9.995:
        return f"{size:.1f}"
    if size >= 0.0995:
        return f"{size:.2f}"
    return f"{size:.3f}" if size >= 0.0005 else "0"


def listed(items: list[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else ""


def more_phrase(reason: Reason, each: str) -> str:
    """Return ``about 140 more streams of each variant``, or prompts where they are compared."""
    if reason.more is None:
        message = f"nothing is open about {reason.metric}"
        raise ValueError(message)
    if reason.prompts is not None:
        return f"{rounded(reason.more)} more prompts answered by both"
    return f"{rounded(reason.more)} more streams {each}"


def metric_label(metric: str, *, text: str = "text") -> str:
    """Return a metric in few words, as a picture has it: ``First text``."""
    return _LABELS[metric].format(text=text)


def amount_phrase(reason: Reason, subject: Side) -> str:
    """Return the difference in few words: ``0.26 s sooner``, ``7 % against 3 %``."""
    if reason.counts is not None:
        mine, others = (reason.new, reason.old) if subject == "new" else (reason.old, reason.new)
        return f"{percent(mine)} against {percent(others)}"
    is_better = reason.better == subject
    if reason.metric not in _TIMES:
        size = abs(reason.difference)
        return f"{size:.2f} {'higher' if is_better else 'lower'}" if size >= 0.005 else "alike"
    _, good, bad = _TIMES[reason.metric]
    amount = seconds_phrase(reason.difference)
    return "alike" if amount == "0" else f"{amount} s {good if is_better else bad}"


def _signed(value: float) -> str:
    text = f"{abs(value):.2f}" if abs(value) >= 0.01 or not value else f"{abs(value):.3f}"
    return f"{'−' if value < 0 else '+'}{text}"
