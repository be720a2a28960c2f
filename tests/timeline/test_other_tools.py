"""Our figures and those of vLLM, AIPerf and GuideLLM, each by its own formula, on the same timelines.

What each tool computes is written here anew from its source, which each function names; what is the
same as ours, and by how much the rest differs, is what docs/design/metrics.md says in its table.
"""

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


@pytest.mark.parametrize("reasoning", [False, True])
def test_ttft_is_everybodys_ttft_over_whole_answers(reasoning: bool) -> None:
    answers = whole(drawn(1, reasoning=reasoning))
    ttft = in_seconds(ours(answers)["ttft"])
    assert ttft == of(vllm(answers)["ttft"])
    assert ttft == of(aiperf(answers)["ttft"])
    assert ttft == of(guidellm(answers)["ttft"])


def test_ttfo_is_aiperfs_and_guidellms_and_another_name_of_ttfa() -> None:
    answers = whole(drawn(2, reasoning=True))
    summary = ours(answers)
    assert in_seconds(summary["ttfo"]) == of(aiperf(answers)["ttfo"])
    assert in_seconds(summary["ttfo"]) == of(guidellm(answers)["ttfot"])
    assert summary["ttfo"] == summary["ttfa"] != summary["ttft"]


def test_gaps_are_vllms_itl_where_nothing_failed_and_nobody_reasoned() -> None:
    answers = whole(drawn(3, reasoning=False))
    assert in_seconds(ours(answers)["gap"]) == of(vllm(answers)["itl"])


def test_vllms_itl_also_counts_reasoning_and_ours_is_of_what_a_reader_sees() -> None:
    answers = whole(drawn(3, reasoning=True))
    hidden = sum(len(answer.reasoning) for answer in answers)
    assert len(vllm(answers)["itl"]) == ours(answers)["gap"]["n"] + hidden


def test_icl_is_aiperfs_without_its_gaps_of_reasoning() -> None:
    answers = whole(drawn(4, reasoning=False))
    assert in_seconds(ours(answers)["icl"]) == of(aiperf(answers)["icl"])
    assert ours(answers)["icl"]["n"] < ours(answers)["gap"]["n"]  # reads held several tokens
    thinking = whole(drawn(4, reasoning=True))
    hidden = sum(len(answer.reasoning) for answer in thinking)
    assert len(aiperf(thinking)["icl"]) == ours(thinking)["icl"]["n"] + hidden


def test_failed_answers_count_for_our_gaps_with_the_silence_before_the_failure_but_not_for_icl() -> (
    None
):
    answers = drawn(5, reasoning=False)
    gaps = [b - a for x in answers for a, b in pairwise(x.text)]
    gaps += [answer.end - answer.text[-1] for answer in answers if answer.failed]
    between = [b - a for x in answers for a, b in pairwise(events_of(x))]
    summary = ours(answers)
    assert in_seconds(summary["gap"]) == of(gaps)
    assert in_seconds(summary["icl"]) == of(between)


@pytest.mark.parametrize("bundled", [1, 3])
def test_tpot_per_token_is_of_w_times_n_minus_one_tokens_and_theirs_of_all_but_one(
    bundled: int,
) -> None:
    answers = whole(drawn(6, reasoning=False, bundled=bundled))
    theirs = {
        "vllm": vllm(answers)["tpot"],
        "aiperf": aiperf(answers)["itl"],
        "guidellm": guidellm(answers)["itl"],
    }
    several = [answer for answer in answers if len(answer.text) > 1]
    same = [(a.text[-1] - a.text[0]) / (bundled * (len(a.text) - 1)) for a in several]
    assert in_seconds(ours(answers)["tpot_per_token"]) == of(same)
    for tool, values in theirs.items():
        assert values == pytest.approx(theirs["vllm"]), tool
        if bundled == 1:
            assert in_seconds(ours(answers)["tpot_per_token"]) == of(values), tool
    if bundled > 1:  # theirs divide by the tokens of the first piece, too, but one
        assert max(theirs["vllm"]) < max(same)


def test_guidellms_tpot_counts_the_wait_for_the_first_token_and_ours_does_not() -> None:
    answers = [answer for answer in whole(drawn(7, reasoning=False)) if len(answer.text) > 1]
    assert np.mean(guidellm(answers)["tpot"]) > ours(answers)["tpot_per_token"]["mean"]


def test_e2e_is_guidellms_latency_and_the_others_end_with_the_last_token() -> None:
    answers = whole(drawn(8, reasoning=True))
    assert in_seconds(ours(answers)["e2e"]) == of(guidellm(answers)["latency"])
    for theirs in (vllm(answers)["e2el"], aiperf(answers)["latency"]):
        assert np.mean(theirs) < ours(answers)["e2e"]["mean"]
    for answer in answers:
        answer.end = answer.text[-1]
    assert in_seconds(ours(answers)["e2e"]) == of(vllm(answers)["e2el"])


@pytest.mark.parametrize("reasoning", [False, True])
def test_throughputs_are_vllms_and_aiperfs_failures_and_reasoning_included(reasoning: bool) -> None:
    answers = drawn(9, reasoning=reasoning, bundled=2)
    summary, theirs = ours(answers), vllm(answers)
    requests, tokens = summary["request_throughput"], summary["output_token_throughput"]
    assert (requests, tokens) == (
        pytest.approx(theirs["request_throughput"], rel=1e-6),
        pytest.approx(theirs["output_throughput"], rel=1e-6),
    )
    assert requests == pytest.approx(aiperf(answers)["request_throughput"], rel=1e-6)
    assert tokens == pytest.approx(aiperf(answers)["output_token_throughput"], rel=1e-6)


def test_goodput_is_vllms_and_aiperfs_with_the_same_limits() -> None:
    answers = drawn(10, reasoning=False)
    theirs = vllm(answers, {"ttft": 0.6, "tpot": 0.05})["request_goodput"]
    mine = ours(answers, "ttft<=0.6", "tpot_per_token<=0.05")["goodput"]
    assert 0 < mine == pytest.approx(theirs, rel=1e-6)


def test_without_usage_a_piece_counts_as_a_token_in_the_throughput() -> None:
    at = [BEGIN.isoformat(), (BEGIN + timedelta(seconds=1)).isoformat()]
    lines = [*stream_lines("a", [0.5, 1.0], at=at[0]), *stream_lines("b", [0.5, 1.0], at=at[1])]
    measured = measure(read_timelines(io.BytesIO(encode_lines(lines))))
    summary = measured.groups["m"].summary()
    assert summary["request_throughput"] == pytest.approx(2 / 2)
    assert summary["output_token_throughput"] == pytest.approx(4 / 2)
