"""GuideLLM's ``benchmarks.json``: runs at several rates, with the requests of each.

Shape: guidellm/benchmark/schemas/report.py ``GenerativeBenchmarksReport`` (0.8, ``metadata.version`` 2):
under ``benchmarks[].requests`` lists ``successful``, ``incomplete``, ``errored`` of
``GenerativeRequestStats``, whose ``info.timings`` has the first token, the last one and the ends, in
seconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lm_deluge.timeline.foreign.answers import (
    BenchmarkedAnswer,
    NotMeasuredError,
    count,
    seconds,
    wall_clock,
)
from lm_deluge.values.timeline import CANCELLED

__all__ = ["LACKS", "NAME", "answers", "is_its_own"]

NAME: Final = "GuideLLM"
LACKS: Final = (
    "of an answer only its first piece and its end are told, so that nothing is known of gaps, stalls, "
    "TPOT and QoE: figures of these mean nothing here; a run may hold a sample of its requests"
)
_VERSION: Final = 2
_HEAD: Final = re.compile(rb'"(?:guidellm_version|python_version|platform)"\s*:')


def is_its_own(head: bytes) -> bool:
    """Whether a file that begins like this is one."""
    return b'"guidellm_version"' in head[:8192] and len(set(_HEAD.findall(head[:8192]))) >= 2


def answers(report: Mapping[str, Any]) -> Iterator[BenchmarkedAnswer]:
    """Yield the answers of all runs; raises ``NotMeasuredError`` for a version that is not known."""
    metadata = report.get("metadata")
    version = metadata.get("version") if isinstance(metadata, dict) else None
    if version != _VERSION:
        raise NotMeasuredError(
            f"a report of {NAME} with schema {version!r}; known is {_VERSION} (GuideLLM 0.8)"
        )
    benchmarks = report.get("benchmarks")
    if not isinstance(benchmarks, list):
        raise NotMeasuredError(f"a report of {NAME} without benchmarks")
    model = _model(report)
    for number, benchmark in enumerate(benchmarks, 1):
        requests = benchmark.get("requests") if isinstance(benchmark, dict) else None
        if not isinstance(requests, dict):
            raise NotMeasuredError(f"a report of {NAME} without requests in benchmark {number}")
        for status in ("successful", "incomplete", "errored"):
            for request in requests.get(status) or ():
                yield _answer(request, status, model, {"tool": NAME, "benchmark": number})


def _answer(
    request: Mapping[str, Any], status: str, model: str | None, tags: Mapping[str, Any]
) -> BenchmarkedAnswer:
    info = request.get("info")
    timings = info.get("timings") if isinstance(info, dict) else None
    if not isinstance(timings, dict):
        raise NotMeasuredError(f"a request of {NAME} without info.timings")
    start = seconds(timings.get("request_start")) or seconds(timings.get("resolve_start"))
    if start is None:
        raise NotMeasuredError(f"a request of {NAME} without request_start")
    end = seconds(timings.get("request_end")) or seconds(timings.get("resolve_end"))
    first = seconds(timings.get("first_token_iteration"))
    output = request.get("output")
    told = re.match(r"[A-Z]\w+(?=\()", str(info.get("error")) if isinstance(info, dict) else "")
    failed = told[0] if told else "StreamError"
    error = {"successful": None, "incomplete": CANCELLED, "errored": failed}[status]
    return BenchmarkedAnswer(
        model=model,
        tags=tags,
        at=wall_clock(start),
        pieces=[] if first is None else [max(0.0, first - start)],
        characters=len(output) if isinstance(output, str) else 0,
        end=None if end is None else max(0.0, end - start),
        error=error,
        input_tokens=_tokens(request.get("input_metrics")),
        output_tokens=_tokens(request.get("output_metrics")),
    )


def _tokens(metrics: object) -> int | None:
    if not isinstance(metrics, dict):
        return None
    told = count(metrics.get("total_tokens"))
    return told if told is not None else count(metrics.get("text_tokens"))


def _model(report: Mapping[str, Any]) -> str | None:
    """Return the model that the run was set to ask."""
    told: Any = report
    for name in ("config", "spec", "backend", "model"):
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, str) else None
