"""Answers drawn by chance, and what vLLM, AIPerf and GuideLLM compute of them, by their own formulas."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from attrs import define, field

from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline import Settings, measure, parse_target, read_timelines
from support.timelines import stream_lines

BEGIN = datetime(2026, 11, 27, 10, tzinfo=UTC)


@define
class Answer:
    """What a client saw: when the request began, chunks of reasoning and of text, how it ended."""

    begin: float
    reasoning: list[float] = field(factory=list)
    text: list[float] = field(factory=list)
    reads: list[int] = field(factory=list)
    end: float = 0.0
    failed: bool = False
    tokens: int = 0

    @property
    def chunks(self) -> list[float]:
        return self.reasoning + self.text


def micro(seconds: float) -> float:
    """A log has whole microseconds."""
    return round(seconds, 6)


def drawn(seed: int, *, reasoning: bool, bundled: int = 1, n: int = 40) -> list[Answer]:
    """Answers with coalesced reads, failures and answers of one token; ``bundled`` tokens a chunk."""
    numbers = random.Random(seed)
    answers = []
    for k in range(n):
        now = micro(numbers.uniform(0.2, 0.9))
        answer = Answer(begin=micro(k * numbers.uniform(0.3, 0.6)))
        if reasoning and k % 3 == 0:
            for _ in range(5):
                answer.reasoning.append(now)
                now = micro(now + numbers.expovariate(20))
        read = 0
        for _ in range(1 if k % 7 == 0 else numbers.randint(2, 30)):
            answer.text.append(now)
            answer.reads.append(read)
            if numbers.random() < 0.6:
                now = micro(now + numbers.expovariate(15))
                read += 1
        answer.failed = k % 11 == 5
        answer.end = answer.text[-1] + numbers.choice([0.0, 0.1])
        answer.tokens = bundled * len(answer.text) + len(answer.reasoning)
        answers.append(answer)
    return answers


def ours(answers: list[Answer], *targets: str) -> dict[str, Any]:
    lines = []
    for k, answer in enumerate(answers):
        at = (BEGIN + timedelta(seconds=answer.begin)).isoformat()
        lines += stream_lines(
            str(k), answer.text, reads=answer.reads, reasoning=answer.reasoning, ended=answer.end,
            at=at, failed="ConnectionLostError" if answer.failed else None,
            phase="between_tokens" if answer.failed else None,
            usage={"output_tokens": answer.tokens, "reasoning_tokens": len(answer.reasoning)},
        )  # fmt: skip
    settings = Settings(targets=tuple(map(parse_target, targets)))
    measured = measure(read_timelines(io.BytesIO(encode_lines(lines))), settings=settings)
    return measured.groups["m"].summary()


def in_seconds(summary: dict[str, Any]) -> tuple[float, ...]:
    return tuple(summary[key] for key in ("n", "mean", "std", "p50", "p90", "p95", "p99", "max"))


def of(values: list[float]) -> Any:
    """Mean, np.std (divided by n) and interpolated percentiles: all three tools' statistics."""
    percentiles = np.percentile(values, (50, 90, 95, 99))
    whole = (len(values), np.mean(values), np.std(values), *percentiles, max(values))
    return pytest.approx(whole, rel=1e-9, abs=1e-9)


def vllm(answers: list[Answer], goodput: dict[str, float] | None = None) -> dict[str, Any]:
    """vLLM, ``calculate_metrics`` of vllm/benchmarks/serve.py, fed by
    ``async_request_openai_chat_completions`` of vllm/benchmarks/lib/endpoint_request_func.py.

    A server's empty role chunk counts for its TTFT; these answers have none.
    """
    itls, ttfts, tpots, all_tpots, e2els, lengths = [], [], [], [], [], []
    for answer in answers:
        if answer.failed:
            continue
        ttft, latency = answer.chunks[0], answer.chunks[-1]
        itls += [b - a for a, b in pairwise(answer.chunks)]
        tpot = 0.0
        if answer.tokens > 1:
            tpot = (latency - ttft) / (answer.tokens - 1)
            tpots.append(tpot)
        all_tpots.append(tpot)
        ttfts.append(ttft)
        e2els.append(latency)
        lengths.append(answer.tokens)
    asked = goodput or {}
    kinds = {"ttft": ttfts, "tpot": all_tpots, "e2el": e2els}
    rows = zip(*(kinds[name] for name in asked), strict=True)
    good = sum(all(s >= r for s, r in zip(asked.values(), row, strict=True)) for row in rows)
    seconds = run_seconds(answers)
    return {
        "ttft": ttfts, "itl": itls, "tpot": tpots, "e2el": e2els,
        "request_throughput": len(ttfts) / seconds,
        "output_throughput": sum(lengths) / seconds,
        "request_goodput": good / seconds,
    }  # fmt: skip


def run_seconds(answers: list[Answer]) -> float:
    """First request to last ending: AIPerf's BenchmarkDurationMetric, vLLM's ``dur_s``."""
    return max(a.begin + a.end for a in answers) - min(a.begin for a in answers)


def aiperf(answers: list[Answer]) -> dict[str, Any]:
    """AIPerf, ``_parse_record`` of TTFTMetric, TimeToFirstOutputTokenMetric, InterChunkLatencyMetric,
    InterTokenLatencyMetric and RequestLatencyMetric in aiperf/metrics/types; ``np.std`` in
    ``metric_result_from_array`` of aiperf/metrics/metric_dicts.py.

    Its chunks are the server's events with content, as ours are pieces; here a read is one event.
    """
    figures: dict[str, list[float]] = {
        name: [] for name in ("ttft", "ttfo", "icl", "itl", "latency")
    }
    tokens = 0
    for answer in answers:
        if answer.failed:
            continue
        events = answer.reasoning + events_of(answer)
        figures["ttft"].append(events[0])
        figures["ttfo"].append(events_of(answer)[0])
        figures["icl"] += [b - a for a, b in pairwise(events)]
        if answer.tokens >= 2:
            figures["itl"].append((events[-1] - events[0]) / (answer.tokens - 1))
        figures["latency"].append(events[-1])
        tokens += answer.tokens
    seconds = run_seconds(answers)
    return figures | {
        "request_throughput": len(figures["ttft"]) / seconds,
        "output_token_throughput": tokens / seconds,
    }


def events_of(answer: Answer) -> list[float]:
    """One moment per network read that held text."""
    moments: dict[int, float] = {}
    for t, read in zip(answer.text, answer.reads, strict=True):
        moments.setdefault(read, t)
    return list(moments.values())


def guidellm(answers: list[Answer]) -> dict[str, list[float]]:
    """GuideLLM, ``GenerativeRequestStats`` of guidellm/schemas/request_stats.py: of each request
    ``time_to_first_token_ms``, ``time_to_first_output_token_ms``, ``inter_token_latency_ms``,
    ``time_per_output_token_ms`` and ``request_latency``.
    """
    whole = [answer for answer in answers if not answer.failed]
    return {
        "ttft": [answer.chunks[0] for answer in whole],
        "ttfot": [answer.text[0] for answer in whole],
        "itl": [
            (a.chunks[-1] - a.chunks[0]) / (a.tokens - 1) for a in whole if a.tokens > 1
        ],
        "tpot": [answer.chunks[-1] / answer.tokens for answer in whole],
        "latency": [answer.end for answer in whole],
    }  # fmt: skip


def whole(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.failed]
