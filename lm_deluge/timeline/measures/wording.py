"""Numbers as people read them, and text that cannot harm a terminal."""

from __future__ import annotations

from math import isfinite

from lm_deluge.timeline.measures.names import is_count, is_percentage, unit

__all__ = [
    "BELOW",
    "NOTHING",
    "below_clocks",
    "difference",
    "interval",
    "number",
    "percent",
    "printable",
    "seconds",
    "streams_text",
    "told_amount",
    "told_interval",
]

NOTHING = "–"
BELOW = "below what the clocks can tell"


def number(metric: str, value: float | None) -> str:
    """Return a metric's value with its unit."""
    if value is None:
        return NOTHING
    kind = unit(metric)
    if is_count(metric):
        return f"{value:,.0f}"
    if kind == "s":
        return seconds(value)
    if is_percentage(metric):
        return percent(value)
    if kind == "$":
        return f"${value:.4g}" if abs(value) < 1 else f"${value:,.2f}"
    return f"{value:.3g} {kind}" if kind else f"{value:.3f}"


def seconds(value: float | None) -> str:
    """Return seconds as ``1.23 s``, ``412 ms`` or ``87 µs``."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f} s"
    if size >= 9.995:
        return f"{value:.1f} s"
    if size >= 0.9995:
        return f"{value:.2f} s"
    if size >= 0.000_999_5:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.0f} µs" if size else "0 s"


def below_clocks(bound: float) -> str:
    """Say that a figure cannot be told: ``below what the clocks can tell (± 12 ms)``."""
    return f"{BELOW} (± {seconds(bound)})"


def difference(metric: str, value: float | None) -> str:
    """Return a difference of two values of a metric with its sign: ``+15.0 points``, ``−310 ms``."""
    if value is None:
        return NOTHING
    size = abs(value)
    if not isfinite(size):
        text = "never"
    else:
        text = f"{size * 100:.1f} points" if is_percentage(metric) else number(metric, size)
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{text}"


def interval(metric: str, low: float | None, high: float | None) -> str:
    """Return a difference's interval, each end with its sign: ``−9.7 to +15.0 points``."""
    if low is None or high is None:
        return NOTHING
    texts = [difference(metric, end) for end in (low, high)]
    amount, _, kind = texts[0].partition(" ")
    shared = kind and kind == texts[1].partition(" ")[2]
    return f"{amount if shared else texts[0]} to {texts[1]}"


def told_amount(metric: str, value: float) -> str:
    """Return the size of a difference in a sentence that tells its direction: ``0.26 s``, ``15.0 points``."""
    return f"{_size(metric, value)}{_unit(metric)}" if isfinite(value) else "never"


def told_interval(metric: str, low: float | None, high: float | None) -> str:
    """Return an interval in a sentence: ``0.18–0.31 s`` where it tells the direction, else with signs."""
    if low is None or high is None:
        return "unknown"
    if low <= 0 <= high:
        ends = (f"{'−' if end < 0 else '+'}{_size(metric, end)}" for end in (low, high))
        return f"{' to '.join(ends)}{_unit(metric)}"
    nearer, further = sorted((abs(low), abs(high)))
    if not isfinite(further):
        return f"{told_amount(metric, nearer)} to never"
    return f"{_size(metric, nearer)}–{_size(metric, further)}{_unit(metric)}"


def _size(metric: str, value: float) -> str:
    size = abs(value)
    if is_percentage(metric):
        return f"{size * 100:.1f}"
    return f"{size:.2f}" if size >= 0.1 else f"{size:.2g}"


def _unit(metric: str) -> str:
    if is_percentage(metric):
        return " points"
    return f" {unit(metric)}" if unit(metric) else ""


def streams_text(count: int) -> str:
    """Return ``1 stream`` or ``7 streams``."""
    return f"{count} stream{'' if count == 1 else 's'}"


def percent(share: float | None) -> str:
    """Return a share as ``18 %`` or ``4.2 %``."""
    if share is None:
        return NOTHING
    return f"{share * 100:.0f} %" if abs(share) >= 0.0995 or not share else f"{share * 100:.2g} %"


def printable(text: str) -> str:
    """Return text from a log without what could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
