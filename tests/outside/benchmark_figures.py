"""Run by another interpreter: what AIPerf's and GuideLLM's own code computes of answers given as JSON.

Standard input: a list of answers (``reasoning`` and ``text``: seconds of each event; ``end``, ``tokens``).
Standard output: for each tool and figure a list of seconds, and each tool's statistics of its TTFT.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
from aiperf.common import constants
from aiperf.common.exceptions import NoMetricValue
from aiperf.common.models.record_models import ReasoningResponseData, TextResponseData
from aiperf.metrics.metric_dicts import MetricRecordDict, metric_result_from_array
from aiperf.metrics.types.inter_chunk_latency_metric import InterChunkLatencyMetric
from aiperf.metrics.types.inter_token_latency_metric import InterTokenLatencyMetric
from aiperf.metrics.types.request_latency_metric import RequestLatencyMetric
from aiperf.metrics.types.time_to_first_output_token_metric import TimeToFirstOutputTokenMetric
from aiperf.metrics.types.ttft_metric import TTFTMetric
from guidellm.schemas import (
    DistributionSummary,
    GenerativeRequestStats,
    RequestInfo,
    RequestTimings,
    UsageMetrics,
)

START = 1_000_000_000
#: Later versions ask for it, 0.13 does not yet.
STREAMED = getattr(constants, "STREAMED_REQUEST_TAG", "streamed_request")


def aiperf(answers: list[dict[str, Any]]) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {n: [] for n in ("ttft", "ttfo", "icl", "itl", "latency")}
    for answer in answers:
        events = [(t, ReasoningResponseData(reasoning="x")) for t in answer["reasoning"]]
        events += [(t, TextResponseData(text="x")) for t in answer["text"]]
        responses = [
            SimpleNamespace(perf_ns=START + round(t * 1e9), data=data) for t, data in events
        ]
        record: Any = SimpleNamespace(
            request=SimpleNamespace(start_perf_ns=START), start_perf_ns=START, responses=responses,
            content_responses=responses, token_counts=None,
        )  # fmt: skip
        known: Any = MetricRecordDict()
        known |= {STREAMED: 1, "output_sequence_length": answer["tokens"]}
        for metric, name in (
            (TTFTMetric, "ttft"), (TimeToFirstOutputTokenMetric, "ttfo"),
            (RequestLatencyMetric, "latency"), (InterChunkLatencyMetric, "icl"),
            (InterTokenLatencyMetric, "itl"),
        ):  # fmt: skip
            try:
                value = metric()._parse_record(record, known)
            except NoMetricValue:
                continue
            known[metric.tag] = value
            figures[name] += [
                each / 1e9 for each in (value if isinstance(value, list) else [value])
            ]
    return figures


def guidellm(answers: list[dict[str, Any]]) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {n: [] for n in ("ttft", "ttfot", "itl", "tpot", "latency")}
    for number, answer in enumerate(answers):
        events = [*answer["reasoning"], *answer["text"]]
        timings = RequestTimings(
            resolve_start=0.0, request_start=0.0, first_token_iteration=events[0],
            first_output_token_iteration=answer["text"][0], last_token_iteration=events[-1],
            token_iterations=len(events), request_end=answer["end"], resolve_end=answer["end"],
        )  # fmt: skip
        stats = GenerativeRequestStats(
            request_id=str(number),
            info=RequestInfo(timings=timings),
            input_metrics=UsageMetrics(),
            output_metrics=UsageMetrics(text_tokens=answer["tokens"]),
        )
        for name, value in (
            ("ttft", stats.time_to_first_token_ms), ("ttfot", stats.time_to_first_output_token_ms),
            ("itl", stats.inter_token_latency_ms), ("tpot", stats.time_per_output_token_ms),
        ):  # fmt: skip
            if value is not None:
                figures[name].append(value / 1e3)
        figures["latency"].append(stats.request_latency or 0.0)
    return figures


answers = json.load(sys.stdin)
theirs = {"aiperf": aiperf(answers), "guidellm": guidellm(answers)}
values = np.array(theirs["aiperf"]["ttft"])
result = metric_result_from_array("ttft", "TTFT", "s", values.copy(), float(values.sum()))
summary = DistributionSummary.from_values(theirs["guidellm"]["ttft"])
statistics = {
    "aiperf": {"mean": result.avg, "std": result.std, "p95": result.p95, "max": result.max},
    "guidellm": {"mean": summary.mean, "std": summary.std_dev, "max": summary.max},
}
print(json.dumps({"figures": theirs, "statistics": statistics}))
