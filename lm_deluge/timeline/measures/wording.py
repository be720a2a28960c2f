"""Numbers as people read them, and text that cannot harm a terminal."""

from __future__ import annotations

from lm_deluge.timeline.measures.names import is_count, is_percentage, unit

__all__ = ["NOTHING", "difference", "number", "percent", "printable", "seconds", "streams_text"]

NOTHING = "–"


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


def difference(metric: str, value: float | None) -> str:
    """Return a difference of two values of a metric, without a sign if positive."""
    if value is not None and is_percentage(metric):
        return f"{value * 100:.1f} points"
    return number(metric, value)


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
