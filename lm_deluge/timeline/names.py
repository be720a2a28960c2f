"""The names of metrics, as rules and comparisons use them: paths into the ``--json`` object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.timeline.targets import unknown_name

__all__ = [
    "COUNTS",
    "METRICS",
    "SHARES",
    "better_is_higher",
    "check_name",
    "in_words",
    "is_percentage",
    "look_up",
    "unit",
]

_DISTRIBUTIONS = (
    "ttft",
    "ttfa",
    "gap",
    "tpot",
    "tpot_per_token",
    "e2e",
    "rate",
    "qoe",
    "starvation",
    "handler_lag",
)
_STATISTICS = ("n", "mean", "p50", "p90", "p95", "p99", "max")

METRICS = (
    *(f"{name}.{statistic}" for name in _DISTRIBUTIONS for statistic in _STATISTICS),
    "stalls.streams",
    "stalls.count",
    "stalls.total",
    "stalls.longest",
    "streams",
    "completed",
    "failed",
    "censored",
    "tokens_per_piece",
    "coalescing",
    "cost",
    "goodput",
)
"""Every metric of a group, besides ``errors.CLASS``."""

_ALL = (
    f"{', '.join(_DISTRIBUTIONS)}, each with one of .{', .'.join(_STATISTICS)}; "
    f"{', '.join(METRICS[len(_DISTRIBUTIONS) * len(_STATISTICS) :])}, errors.CLASS"
)

SHARES = ("stalls.streams", "coalescing", *(f"qoe.{name}" for name in _STATISTICS[1:]))
"""Metrics between 0 and 1, which a rule may give in percent."""

COUNTS = ("stalls.count", "streams", "completed", "failed", "censored")
"""Metrics that count, besides ``errors.CLASS`` and every ``.n``."""

_HIGHER_IS_BETTER = ("rate", "qoe", "completed", "streams", "goodput")
_WORDS = {
    "ttft": "TTFT",
    "ttfa": "time to the first visible token",
    "gap": "gap",
    "tpot": "time per piece",
    "tpot_per_token": "time per token",
    "e2e": "total time",
    "rate": "output rate",
    "qoe": "QoE",
    "starvation": "reader starvation",
    "handler_lag": "handler lag",
    "coalescing": "coalescing",
    "stalls.streams": "share of streams with a stall",
}


def check_name(name: str) -> None:
    """Raise ``ValueError`` with the close names unless ``name`` is a metric."""
    if name in METRICS or (name.startswith("errors.") and len(name) > len("errors.")):
        return
    if name in _DISTRIBUTIONS:
        one_of = ", ".join(f"{name}.{statistic}" for statistic in _STATISTICS)
        raise ValueError(f"{name} is many numbers; name one of {one_of}")
    raise ValueError(unknown_name(name, METRICS, _ALL))


def look_up(summary: Mapping[str, Any], name: str) -> float | None:
    """Return the metric of a group's ``--json`` object; ``None`` where there is no data.

    The longest stall of a group that has gaps and no stall counts as 0 seconds. Raises
    ``ValueError`` for a name that is no metric.
    """
    check_name(name)
    head, _, rest = name.partition(".")
    if head == "errors":
        return float(summary["errors"].get(rest, 0))
    value = summary.get(head)
    if rest and value is not None:
        value = value[rest]
    if value is None and name == "stalls.longest" and summary["stalls"]["count"] == 0:
        return 0.0
    return None if value is None else float(value)


def better_is_higher(name: str) -> bool:
    """Whether a higher value is the better one."""
    return name.partition(".")[0] in _HIGHER_IS_BETTER or name.endswith(".n")


def is_percentage(name: str) -> bool:
    """Whether people read the metric in percent: the shares, but not QoE."""
    return name in SHARES and not name.startswith("qoe")


def unit(name: str) -> str:
    """Return the metric's unit: ``"s"``, ``"tokens/s"``, ``"$"``, ``"/s"``, or ``""``."""
    head, _, rest = name.partition(".")
    if rest == "n" or head in ("errors", "qoe"):
        return ""
    if head == "stalls":
        return "s" if rest in ("total", "longest") else ""
    return {"rate": "tokens/s", "cost": "$", "goodput": "/s"}.get(
        head, "s" if head in _DISTRIBUTIONS else ""
    )


def in_words(name: str) -> str:
    """Return the metric in words: ``"p95 TTFT"``, ``"mean QoE"``."""
    if name in _WORDS:
        return _WORDS[name]
    head, _, rest = name.partition(".")
    words = _WORDS.get(head, head.replace("_", " "))
    rest = "median" if rest == "p50" else rest
    return f"{rest} {words}".strip()
