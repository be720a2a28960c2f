"""AIPerf's ``profile_export.jsonl``: a line for each request, with its metrics and their units.

Shape: aiperf/common/models/record_models.py ``MetricRecordInfo`` (0.13): ``metadata`` (``request_start_ns``,
``request_end_ns``, ``benchmark_phase``, ``was_cancelled``), ``metrics`` (``time_to_first_token``,
``inter_chunk_latency``: a list, ``request_latency``), ``error``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lm_deluge.timeline.foreign.answers import (
    BenchmarkedAnswer,
    NotMeasuredError,
    count,
    moments,
    seconds,
    wall_clock,
)
from lm_deluge.values.timeline import CANCELLED

__all__ = ["LACKS", "NAME", "answers", "is_its_own"]

NAME: Final = "AIPerf"
LACKS: Final = (
    "a piece is a chunk with content, whatever its tokens; texts, network reads, prompts and the model "
    "are not told; of a request that failed no piece is told"
)

_PER_SECOND: Final = {"s": 1.0, "sec": 1.0, "ms": 1e3, "us": 1e6, "µs": 1e6, "ns": 1e9}
_HEAD: Final = re.compile(rb'"(?:metadata|session_num|request_start_ns|benchmark_phase)"\s*:')


def is_its_own(head: bytes) -> bool:
    """Whether a file that begins like this is one."""
    return len(set(_HEAD.findall(head[:8192]))) >= 3


def answers(record: Mapping[str, Any]) -> Iterator[BenchmarkedAnswer]:
    """Yield the record's answer, unless it warmed up; raises ``NotMeasuredError`` where it has no times."""
    metadata, metrics = record.get("metadata"), record.get("metrics")
    if not isinstance(metadata, dict) or not isinstance(metrics, dict):
        raise NotMeasuredError(f"a line of {NAME} without metadata and metrics")
    if metadata.get("benchmark_phase") == "warmup":
        return
    start, end = seconds(metadata.get("request_start_ns")), seconds(metadata.get("request_end_ns"))
    if start is None or end is None:
        raise NotMeasuredError(f"a line of {NAME} without request_start_ns and request_end_ns")
    failed = record.get("error")
    error = CANCELLED if metadata.get("was_cancelled") else _error(failed) if failed else None
    first = _metric(metrics, "time_to_first_token")
    if first is None and error is None:
        raise NotMeasuredError(
            f"a line of {NAME} without time_to_first_token: run it with --streaming"
        )
    gaps = _metric(metrics, "inter_chunk_latency")
    latency = _metric(metrics, "request_latency")
    # A reading of the model's name costs nothing where a newer version tells it.
    model = metadata.get("model_name") or metadata.get("model")
    yield BenchmarkedAnswer(
        model=model if isinstance(model, str) else None,
        tags={"tool": NAME},
        at=wall_clock(start / 1e9),
        pieces=[] if not isinstance(first, float) else moments(first, gaps),
        end=latency if isinstance(latency, float) else max(0.0, (end - start) / 1e9),
        error=error,
        input_tokens=_tokens(metrics, "input_sequence_length"),
        output_tokens=_tokens(metrics, "output_sequence_length"),
    )


def _metric(metrics: Mapping[str, Any], name: str) -> float | list[Any] | None:
    """Return a metric in seconds, a list of them where it is one."""
    told = metrics.get(name)
    if not isinstance(told, dict):
        return None
    unit, value = told.get("unit"), told.get("value")
    if unit not in _PER_SECOND:
        raise NotMeasuredError(
            f"a line of {NAME} with {name} in {unit!r}, which is no unit of time"
        )
    scale = _PER_SECOND[unit]
    if isinstance(value, list):
        return [None if (one := seconds(each)) is None else one / scale for each in value]
    one = seconds(value)
    return None if one is None else one / scale


def _tokens(metrics: Mapping[str, Any], name: str) -> int | None:
    told = metrics.get(name)
    return count(told.get("value")) if isinstance(told, dict) else None


def _error(told: object) -> str:
    kind = told.get("type") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) and kind.isidentifier() else "StreamError"
