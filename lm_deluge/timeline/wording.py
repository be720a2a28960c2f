"""Numbers as people read them, and text that cannot harm a terminal."""

from __future__ import annotations

from lm_deluge.timeline.names import SHARES, unit

__all__ = ["number", "percent", "printable", "seconds"]

NOTHING = "–"  # noqa: RUF001 - an en dash stands for "undefined", which is not 0


def number(metric: str, value: float | None) -> str:
    """Return a metric's value with its unit."""
    if value is None:
        return NOTHING
    kind = unit(metric)
    if kind == "s":
        return seconds(value)
    if metric in SHARES and not metric.startswith("qoe"):
        return percent(value)
    if kind == "$":
        return f"${value:.4g}" if abs(value) < 1 else f"${value:,.2f}"
    if float(value).is_integer() and not metric.startswith(("qoe", "rate")):
        return f"{value:,.0f}"
    return f"{value:.3g} {kind}".rstrip() if kind else f"{value:.3f}"


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


def percent(share: float | None) -> str:
    """Return a share as ``18 %`` or ``4.2 %``."""
    if share is None:
        return NOTHING
    return f"{share * 100:.0f} %" if abs(share) >= 0.0995 or not share else f"{share * 100:.2g} %"


def printable(text: str) -> str:
    """Return text from a log without what could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
