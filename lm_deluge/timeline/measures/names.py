"""The names of metrics, as rules and comparisons use them: paths into the ``--json`` object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import lm_deluge.errors
from lm_deluge.errors import StreamError, UnsupportedModelError
from lm_deluge.timeline.measures.other_names import ALIASES, pointer
from lm_deluge.timeline.measures.targets import unknown_name
from lm_deluge.timeline.measures.way.names import SEEN, SEEN_DISTRIBUTIONS, WORDS
from lm_deluge.values.spelling import nearest

__all__ = [
    "COUNTS",
    "DISTRIBUTIONS",
    "METRICS",
    "PER_STREAM",
    "POOLED",
    "SHARES",
    "STATISTICS",
    "STREAM_COUNTS",
    "better_is_higher",
    "bound_of",
    "check_name",
    "in_words",
    "is_count",
    "is_percentage",
    "look_up",
    "no_such_error",
    "share_of",
    "unit",
]

DISTRIBUTIONS = (
    "ttft",
    "ttfa",
    "ttfo",
    "gap",
    "icl",
    "tpot",
    "tpot_per_token",
    "e2e",
    "rate",
    "qoe",
    "starvation",
    "handlers",
    "loop_lag",
)
"""What is given as a distribution."""

POOLED = ("gap", "icl")
"""Distributions of many numbers per stream."""

PER_STREAM = tuple(name for name in DISTRIBUTIONS if name not in POOLED and name not in ALIASES)
"""Distributions of one number per stream, each by its own name."""

STATISTICS = ("n", "mean", "std", "p50", "p90", "p95", "p99", "max")
"""What is given of every distribution."""

STREAM_COUNTS = ("completed", "failed", "cancelled", "unfinished", "censored", "retried")
"""Counts of streams, which a rule may ask for as a share of the group: ``failed>1%``."""

METRICS = (
    *(f"{name}.{statistic}" for name in DISTRIBUTIONS for statistic in STATISTICS),
    "stalls.streams",
    "stalls.count",
    "stalls.total",
    "stalls.longest",
    "streams",
    *STREAM_COUNTS,
    "failed_share",
    "retried_share",
    "tokens_per_piece",
    "coalescing",
    "cost",
    "request_throughput",
    "output_token_throughput",
    "goodput",
)
_ALL = (
    f"{', '.join((*DISTRIBUTIONS, *SEEN_DISTRIBUTIONS))}, each with one of .{', .'.join(STATISTICS)}; "
    f"{', '.join((*METRICS[len(DISTRIBUTIONS) * len(STATISTICS) :], *SEEN))}, errors.CLASS"
)

METRICS = (
    *METRICS,
    *(f"{name}.{statistic}" for name in SEEN_DISTRIBUTIONS for statistic in STATISTICS),
    *SEEN,
)
"""Every metric of a group, besides ``errors.CLASS``."""

SHARES = (
    "failed_share",
    "retried_share",
    "stalls.streams",
    "coalescing",
    "seen.share",
    *(f"qoe.{name}" for name in STATISTICS[1:]),
)
"""Metrics between 0 and 1, which a rule may give in percent."""

COUNTS = (
    "stalls.count",
    "streams",
    *STREAM_COUNTS,
    *(name for name in SEEN if name.endswith((".streams", ".hidden", ".readers", ".count"))),
)
"""Metrics that count, besides ``errors.CLASS`` and every ``.n``."""

_HIGHER_IS_BETTER = (
    "rate",
    "qoe",
    "completed",
    "streams",
    "goodput",
    "request_throughput",
    "output_token_throughput",
)
_UNITS = {
    "rate": "tokens/s",
    "output_token_throughput": "tokens/s",
    "cost": "$",
    "goodput": "/s",
    "request_throughput": "/s",
}
_WORDS = {
    "ttft": "TTFT",
    "ttfa": "time to the first visible token",
    "ttfo": "time to the first output token (TTFO)",
    "gap": "gap",
    "icl": "inter-chunk latency (ICL)",
    "tpot": "time per piece",
    "tpot_per_token": "time per token",
    "e2e": "total time",
    "rate": "output rate",
    "qoe": "QoE",
    "starvation": "reader starvation",
    "handlers": "hold of the event loop by handlers",
    "loop_lag": "loop lag",
    "failed_share": "share of streams that failed",
    "retried_share": "share of streams that were retried",
    "coalescing": "coalescing",
    "request_throughput": "request throughput",
    "output_token_throughput": "output token throughput",
    "stalls.streams": "share of streams with a stall",
}


_AT = {"process": "at our process", "browser": "in the browser", "painted": "painted"}


def check_name(name: str) -> None:
    """Raise ``ValueError`` with the close names unless ``name`` is a metric."""
    if name in METRICS or (name.startswith("errors.") and len(name) > len("errors.")):
        return
    head, _, rest = name.partition(".")
    if head == "handler_lag":
        tail = f".{rest}" if rest else ""
        raise ValueError(
            f"{name} is two things: handlers{tail} is how long handlers held the event loop, "
            f"loop_lag{tail} how long something else did"
        )
    if name in (*DISTRIBUTIONS, *SEEN_DISTRIBUTIONS):
        one_of = ", ".join(f"{name}.{statistic}" for statistic in STATISTICS)
        raise ValueError(f"{name} is many numbers; name one of {one_of}")
    said = unknown_name(name, METRICS, _ALL)
    if (here := pointer(name)) is not None:
        said = f"no metric is named {name!r}; {here}"
    raise ValueError(said)


def no_such_error(name: str, logged: Iterable[str]) -> str | None:
    """Say what is wrong with ``errors.NAME`` if no error has that name; else return ``None``.

    ``logged``: the names that the logs hold, those of other programs among them.
    """
    head, _, wanted = name.partition(".")
    known = {*_classes(), *logged}
    if head != "errors" or wanted in known:
        return None
    close = next(
        (near for cutoff in (0.85, 0.6) if (near := nearest(wanted, known, 3, cutoff))),
        [],
    )
    listed = (
        f"did you mean {' or '.join(f'errors.{near}' for near in close)}?"
        if close
        else f"there are {', '.join(sorted(known))}"
    )
    return f"no error is named {wanted!r}, neither in lm_deluge.errors nor in the log; {listed}"


def look_up(summary: Mapping[str, Any], name: str) -> float | None:
    """Return the metric of a group's ``--json`` object; ``None`` where there is no data.

    The longest stall of a group that has gaps and no stall counts as 0 seconds. ``errors.CLASS``
    counts the class and those derived from it, as ``except`` does. Raises ``ValueError`` for a name
    that is no metric.
    """
    check_name(name)
    head, _, rest = name.partition(".")
    if head == "errors":
        counts = summary["errors"].items()
        return float(sum(count for error, count in counts if _is_a(error, rest)))
    value = summary.get(head)
    for key in rest.split(".") if rest else ():
        value = value[key] if value is not None else None
    if value is None and name == "stalls.longest" and summary["stalls"]["count"] == 0:
        return 0.0
    return None if value is None else float(value)


def bound_of(summary: Mapping[str, Any], name: str) -> float | None:
    """Return the clocks' bound where a figure of the way is below it and so is not told; else ``None``."""
    if not name.startswith("seen.") or "seen" not in summary:
        return None
    told: Any = summary
    *path, statistic = name.split(".")
    for key in path:
        told = told[key]
    if not told.get("n") or told.get(statistic) is not None:
        return None
    bound: float | None = told.get("bound")
    return bound


def share_of(summary: Mapping[str, Any], name: str) -> float | None:
    """Return what part of a group's streams a count of streams is; ``None`` without streams."""
    streams = summary["streams"]
    count = look_up(summary, name)
    return count / streams if streams and count is not None else None


def is_count(name: str) -> bool:
    """Whether the metric counts something."""
    return name in COUNTS or name.startswith("errors.") or name.endswith(".n")


def _classes() -> dict[str, type[Exception]]:
    """Return the classes of ``lm_deluge.errors`` by name."""
    found: dict[str, type[Exception]] = {}
    left: list[type[Exception]] = [StreamError, UnsupportedModelError]
    while left:
        kind = left.pop()
        if (
            getattr(lm_deluge.errors, kind.__name__, None) is kind
        ):  # others' subclasses are not ours
            found[kind.__name__] = kind
            left += kind.__subclasses__()
    return found


def _is_a(error: str, wanted: str) -> bool:
    if error == wanted:
        return True
    classes = _classes()
    return error in classes and wanted in classes and issubclass(classes[error], classes[wanted])


def better_is_higher(name: str) -> bool:
    """Whether a higher value is the better one."""
    head, _, statistic = name.partition(".")
    if head == "seen":
        return name in ("seen.streams", "seen.share", "seen.readers") or name.endswith(".n")
    return (head in _HIGHER_IS_BETTER and statistic != "std") or statistic == "n"


def is_percentage(name: str) -> bool:
    """Whether people read the metric in percent: the shares, but not QoE."""
    return name in SHARES and not name.startswith("qoe")


def unit(name: str) -> str:
    """Return the metric's unit: ``"s"``, ``"tokens/s"``, ``"$"``, ``"/s"``, or ``""``."""
    head, _, rest = name.partition(".")
    if rest == "n" or head in ("errors", "qoe"):
        return ""
    if head == "seen":
        return "" if is_count(name) or name == "seen.share" else "s"
    if head == "stalls":
        return "s" if rest in ("total", "longest") else ""
    return _UNITS.get(head, "s" if head in DISTRIBUTIONS else "")


def in_words(name: str) -> str:
    """Return the metric in words: ``"p95 TTFT"``, ``"mean QoE"``."""
    if name in _WORDS:
        return _WORDS[name]
    if name.startswith("seen."):
        return _seen_in_words(name)
    head, _, rest = name.partition(".")
    words = _WORDS.get(head, head.replace("_", " "))
    return f"{_statistic(rest)} {words}".strip()


def _statistic(name: str) -> str:
    return {"p50": "median", "std": "standard deviation of"}.get(name, name)


def _seen_in_words(name: str) -> str:
    """Return ``p95 time to the first painted text``, ``median delay by relay and network``."""
    _, kind, *rest = name.split(".")
    if not rest:
        return f"seen {'share of the streams' if kind == 'share' else kind}"
    if kind in ("ttfa", "ttft"):
        return f"{_statistic(rest[0])} time to the first painted text"
    place, *last = rest
    words = WORDS[place]
    if kind == "stalls":
        return f"{last[0]} of stalls, {_AT[place]}"
    if kind == "gap":
        return f"{_statistic(last[0])} gap, {_AT[place]}"
    what = "wait for the first text" if kind == "wait" else "delay of the pieces"
    return f"{_statistic(last[0])} {what}: {words}"
