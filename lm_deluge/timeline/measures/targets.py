"""Targets that one stream meets or misses: what goodput counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isinf
from operator import ge, gt, le, lt

from attrs import frozen

from lm_deluge.timeline.measures.other_names import own_name, pointer
from lm_deluge.values.spelling import nearest
from lm_deluge.values.timeline import Timeline

__all__ = ["SIGNS", "Target", "parse_number", "parse_target", "percentile", "unknown_name"]

SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": le, "<": lt, ">=": ge, ">": gt}
"""How a value is compared with a limit."""

_PLAIN = ("ttft", "ttfa", "ttfo", "tpot", "tpot_per_token", "e2e", "rate")
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
_GAP = {f"{of}.{name}": q for of in ("gap", "icl") for name, q in _PERCENTILES.items()}
_NAMES = (*_PLAIN, *_GAP)
_TARGET = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>)\s*(\S+)\s*")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(ms|s|%)?")


@frozen
class Target:
    """What one stream should do: ``metric`` ``sign`` ``limit``, such as TTFT <= 0.8.

    ``metric``: ``ttft``, ``ttfa`` (or ``ttfo``), ``tpot``, ``tpot_per_token``, ``e2e``, ``rate``, or a
    percentile of the stream's own gaps, ``gap.p50`` … ``gap.p99``, ``gap.max``, or of those between
    network reads, ``icl.p50`` …. ``limit``: seconds; for
    ``rate`` tokens a second.
    """

    metric: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.limit:g}"

    def is_met(self, timeline: Timeline) -> bool:
        """Whether the stream meets it.

        A gap, TPOT or rate that a short answer does not have cannot miss its target; a TTFT, TTFA
        or E2E that is not there does.
        """
        if self.metric in _GAP:
            return self.is_met_by_gaps(timeline.gaps if self.pool == "gap" else timeline.chunk_gaps)
        return self.is_met_by(getattr(timeline, self.column))

    @property
    def column(self) -> str:
        """The metric by our own name."""
        return own_name(self.metric)

    @property
    def pool(self) -> str | None:
        """``"gap"`` or ``"icl"`` where it is about a percentile of these."""
        return self.metric.partition(".")[0] if self.metric in _GAP else None

    def is_met_by_gaps(self, gaps: list[float]) -> bool:
        """The same of a stream with these gaps, seconds."""
        return self.is_met_by(percentile(gaps, _GAP[self.metric]) if gaps else None)

    def is_met_by(self, value: float | None) -> bool:
        """The same of a stream with this value, ``None`` where it has none."""
        if value is None:
            return self.metric not in ("ttft", "ttfa", "ttfo", "e2e")
        return SIGNS[self.sign](value, self.limit)


def parse_target(text: str) -> Target:
    """Read ``"ttft<=0.8"`` or ``"gap.p95<=250ms"``; ``ValueError`` says what is wrong with it."""
    match = _TARGET.fullmatch(text)
    if match is None:
        message = f"target {text!r}: expected METRIC<=NUMBER, such as ttft<=0.8 or gap.p95<=250ms"
        raise ValueError(message)
    metric, sign, number = match.groups()
    if metric not in _NAMES:
        here = pointer(metric)
        said = unknown_name(metric, _NAMES)
        message = (
            f"target {text!r}: {said if here is None else f'no metric is named {metric!r}; {here}'}"
        )
        raise ValueError(message)
    limit, unit = parse_number(number, f"target {text!r}")
    if unit == "%":
        message = f"target {text!r}: {metric} is not a share; give a plain number"
        raise ValueError(message)
    return Target(metric, sign, limit)


def parse_number(text: str, what: str) -> tuple[float, str | None]:
    """Read ``0.8``, ``0.8s``, ``800ms`` or ``20%``; return seconds or a share, and the unit given.

    Raises ``ValueError`` whose text begins with ``what``.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        message = f"{what}: {text!r} is not a number (0.8, 0.8s, 800ms or 20%)"
        raise ValueError(message)
    unit = match[2]
    if isinf(float(match[1])):
        message = f"{what}: the number is too large"
        raise ValueError(message)
    return float(match[1]) * {"ms": 0.001, "%": 0.01}.get(unit, 1.0), unit


def unknown_name(name: str, known: tuple[str, ...], listed: str | None = None) -> str:
    """Say that there is no such metric, and which there are: the close ones, else all."""
    close = nearest(name, known, 3, cutoff=0.7)
    if close:
        return f"no metric is named {name!r}; did you mean {' or '.join(close)}?"
    return f"no metric is named {name!r}; there are {listed or ', '.join(known)}"


def percentile(values: list[float], q: float) -> float:
    """Return the linear-interpolated percentile (numpy's default) of at least one value."""
    ordered = sorted(values)
    rank = q / 100 * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
