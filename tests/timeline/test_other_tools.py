"""Our figures and those of vLLM, AIPerf and GuideLLM, each by its own formula, on the same timelines.

What each tool computes is in support/other_tools.py, written anew from its source (outside/test_benchmarks.py
holds it against their own code); what is the same as ours, and by how much the rest differs, is what
docs/design/metrics.md says in its table.
"""

from __future__ import annotations

import io
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline import measure, read_timelines
from support.other_tools import (
    BEGIN,
    aiperf,
    drawn,
    events_of,
    guidellm,
    in_seconds,
    of,
    ours,
    vllm,
    whole,
)
from support.timelines import stream_lines


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
