"""Every metric against an implementation that shares nothing with the library.

Logs of random streams are written as plain JSON, read and measured by the library, and measured
again here, straight from the definitions of docs/design/metrics.md, with loops and without haste.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.timeline import Settings, measure, read_timelines

Stream = dict[str, Any]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """A stream: what arrived when, in whole microseconds."""
    now = draw(st.integers(0, 3_000_000))
    events = []
    for read in range(draw(st.integers(0, 12))):
        now += draw(
            st.sampled_from([0, 1, 40, 20_000, 60_000, 999_999, 1_000_000, 1_000_001, 3_300_000])
        )
        kind = draw(st.sampled_from(["token", "token", "token", "reasoning", "tool_call"]))
        busy = draw(st.sampled_from([None, 0.0, 0.01, 1.5]))
        count = draw(st.integers(1, 4))
        for piece in range(count):
            d = draw(st.sampled_from([None, 0.0, 0.004, 0.3]))
            events.append((now / 1e6, kind, read, d, busy if piece == 0 else None))
    usage = None
    if draw(st.booleans()):
        usage = {"output_tokens": draw(st.integers(0, 60))}
        if draw(st.booleans()):
            usage["reasoning_tokens"] = draw(st.integers(0, 20))
    return {
        "events": events,
        "ending": draw(st.sampled_from(["complete", "complete", "error", None])),
        "end": (now + draw(st.sampled_from([0, 500, 2_000_000]))) / 1e6,
        "usage": usage,
        "cost": draw(st.sampled_from([None, 0.0, 0.25])),
        "error": draw(
            st.sampled_from(["APITimeoutError", "ConnectionLostError", "StreamCancelled"])
        ),
        "busy": draw(st.sampled_from([None, 0.0, 0.02])),
        "retries": draw(st.sampled_from([0, 0, 1, 2])),
        "group": draw(st.sampled_from("AB")),
    }


def as_log(given_streams: list[Stream]) -> bytes:
    """Write the streams interleaved, line by line."""
    columns = []
    for number, stream in enumerate(given_streams):
        name = f"s{number}"
        lines = [{"v": 1, "e": "start", "s": name, "t": 0.0, "model": "m",
                  "tags": {"group": stream["group"]}}]  # fmt: skip
        lines += [
            {"v": 1, "e": "retry", "s": name, "t": 0.0, "error": "RateLimitError", "attempt": k + 1}
            for k in range(stream["retries"])
        ]
        indexes = {"token": 0, "reasoning": 0, "tool_call": 0}
        for t, kind, read, d, busy in stream["events"]:
            line: dict[str, Any] = {"v": 1, "e": kind, "s": name, "t": t}
            if kind == "tool_call":
                line |= {"index": 0, "len": 3}
            else:
                line |= {"i": indexes[kind], "text": "é\n", "read": read}
                line |= {} if d is None else {"d": d}
                line |= {} if busy is None else {"busy": busy}
            indexes[kind] += 1
            lines.append(line)
        if stream["ending"] == "complete":
            lines.append({"v": 1, "e": "complete", "s": name, "t": stream["end"], "model": "m",
                          "usage": stream["usage"], "cost": stream["cost"],
                          "busy": stream["busy"]})  # fmt: skip
        elif stream["ending"] == "error":
            lines.append({"v": 1, "e": "error", "s": name, "t": stream["end"],
                          "error": stream["error"], "phase": "between_tokens",
                          "busy": stream["busy"]})  # fmt: skip
        columns.append(lines)
    rows = []
    for position in range(max((len(lines) for lines in columns), default=0)):
        rows += [lines[position] for lines in columns if position < len(lines)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def numpy_percentile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    exact = (len(ordered) - 1) * q / 100
    low, high = math.floor(exact), math.ceil(exact)
    return ordered[low] * (1 - (exact - low)) + ordered[high] * (exact - low)


def expected_distribution(values: list[float]) -> dict[str, Any]:
    if not values:
        return dict.fromkeys(("mean", "std", "p50", "p90", "p95", "p99", "max")) | {"n": 0}
    result: dict[str, Any] = {"n": len(values), "mean": math.fsum(values) / len(values)}
    squares = math.fsum((value - result["mean"]) ** 2 for value in values)
    result["std"] = math.sqrt(squares / len(values))
    for q in (50, 90, 95, 99):
        result[f"p{q}"] = numpy_percentile(values, q)
    return result | {"max": max(values)}


def is_failed(stream: Stream) -> bool:
    return stream["ending"] == "error" and stream["error"] != "StreamCancelled"


def expected_numbers(stream: Stream, stall: float, rate: float, patience: float) -> dict[str, Any]:
    """What docs/design/metrics.md says of one stream."""
    tokens = [event for event in stream["events"] if event[1] == "token"]
    t = [event[0] for event in tokens]
    n = len(t)
    usage = stream["usage"] if stream["ending"] == "complete" else None
    w = None
    if usage is not None and n:
        hidden = usage.get("reasoning_tokens")
        if hidden is None:
            hidden = math.nan if any(event[1] == "reasoning" for event in stream["events"]) else 0
        tokens_out = usage["output_tokens"] - hidden
        w = tokens_out / n if tokens_out > 0 else None
    numbers: dict[str, Any] = {"tokens_per_piece": w}
    w = 1.0 if w is None else w
    numbers["ttft"] = stream["events"][0][0] if stream["events"] else None
    numbers["ttfa"] = t[0] if n else None
    gaps = [t[i] - t[i - 1] for i in range(1, n)]
    if is_failed(stream) and n:
        gaps.append(stream["end"] - t[-1])
    numbers["gaps"] = gaps
    reads = {event[2]: event[0] for event in reversed(tokens)}
    moments = sorted(reads.values())
    numbers["icl"] = [moments[i] - moments[i - 1] for i in range(1, len(moments))]
    numbers["stalls"] = [gap for gap in gaps if gap > stall]
    done = stream["ending"] == "complete"
    numbers["tpot"] = (t[-1] - t[0]) / (n - 1) if done and n >= 2 else None
    numbers["tpot_per_token"] = (t[-1] - t[0]) / (w * (n - 1)) if done and n >= 2 else None
    numbers["rate"] = w * (n - 1) / (t[-1] - t[0]) if done and n >= 2 and t[-1] > t[0] else None
    numbers["e2e"] = stream["end"] if done else None
    step = w / rate
    numbers["qoe"] = numbers["starvation"] = numbers["coalescing"] = None
    if n:
        digest = [max(t[0], patience)]
        ideal = [patience + i * step for i in range(n)]
        for i in range(1, n):
            digest.append(max(t[i], digest[-1] + step))
        late = sum(max(0.0, d - i) for d, i in zip(digest, ideal, strict=True))
        numbers["qoe"] = 1 - late / sum(digest) if sum(digest) else 1.0
        finished = t[0] + step
        waited = 0.0
        for arrival in t[1:]:
            waited += max(0.0, arrival - finished)
            finished = max(finished, arrival) + step
        numbers["starvation"] = waited
        together = sum(tokens[i][2] == tokens[i - 1][2] for i in range(1, n))
        numbers["coalescing"] = together / n
    if is_failed(stream):
        numbers["qoe"] = 0.0
    numbers |= expected_lateness(stream)
    return numbers


def expected_lateness(stream: Stream) -> dict[str, float | None]:
    """Handlers and loop lag: a read's ``busy`` tells of the read before, the ending's of the last."""
    reads: dict[int, list[Any]] = {}
    for event in stream["events"]:
        reads.setdefault(event[2], []).append(event)
    # A tool call's line tells neither: whatever is told next is about that call.
    told = [None if pieces[0][1] == "tool_call" else pieces[0][4] for pieces in reads.values()]
    told.append(stream["busy"] if stream["ending"] else None)
    lags = []
    for place, pieces in enumerate(reads.values()):
        if pieces[0][1] == "tool_call":
            continue
        before, own = told[place], told[place + 1]
        waits = [piece[3] for piece in pieces]
        if own is None:
            waits = waits[:1]  # the others may have waited for their neighbours' handlers
        lags += [max(0.0, d - (before or 0.0) - (own or 0.0)) for d in waits if d is not None]
    known = [busy for busy in told if busy is not None]
    return {"handlers": max(known, default=None), "loop_lag": max(lags, default=None)}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(streams(), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1.0, 4.8, 30.0]),
    st.sampled_from([0.0, 1.0, 2.5]),
)
def test_the_library_agrees_with_a_straightforward_implementation(
    given_streams: list[Stream], stall: float, rate: float, patience: float
) -> None:
    reader = read_timelines(io.BytesIO(as_log(given_streams)))
    options = Settings(stall=stall, read_rate=rate, expected_ttft=patience)
    measured = measure(reader, by="group", settings=options)
    assert measured.skipped_lines == 0
    assert list(measured.groups) == sorted({stream["group"] for stream in given_streams})
    for name, group in measured.groups.items():
        mine = [stream for stream in given_streams if stream["group"] == name]
        numbers = [expected_numbers(stream, stall, rate, patience) for stream in mine]
        expected: dict[str, Any] = {
            "streams": len(mine),
            "completed": sum(stream["ending"] == "complete" for stream in mine),
            "failed": sum(map(is_failed, mine)),
            "cancelled": sum(s["ending"] == "error" and not is_failed(s) for s in mine),
            "unfinished": sum(s["ending"] is None for s in mine),
            "censored": sum(s["ending"] is not None and not s["events"] for s in mine),
        }
        for key in ("ttft", "ttfa", "tpot", "tpot_per_token", "e2e", "rate", "qoe", "starvation",
                    "handlers", "loop_lag"):  # fmt: skip
            values = [number[key] for number in numbers if number[key] is not None]
            expected[key] = expected_distribution(values)
        gaps = [gap for number in numbers for gap in number["gaps"]]
        expected["gap"] = expected_distribution(gaps)
        expected["icl"] = expected_distribution([g for number in numbers for g in number["icl"]])
        expected["ttfo"] = expected["ttfa"]
        expected |= {"request_throughput": None, "output_token_throughput": None}  # no wall clock
        stalls = [gap for number in numbers for gap in number["stalls"]]
        expected["stalls"] = {
            "count": len(stalls) if gaps else None,
            "total": sum(stalls) if gaps else None,
            "longest": max(stalls, default=None),
            "streams": sum(bool(n["stalls"]) for n in numbers) / len(mine) if gaps else None,
        }
        for key in ("coalescing", "tokens_per_piece"):
            values = [number[key] for number in numbers if number[key] is not None]
            expected[key] = sum(values) / len(values) if values else None
        costs = [s["cost"] for s in mine if s["ending"] == "complete" and s["cost"] is not None]
        expected["cost"] = sum(costs) if costs else None
        expected["retried"] = sum(s["retries"] > 0 for s in mine)
        expected["retried_share"] = expected["retried"] / len(mine)
        expected["failed_share"] = expected["failed"] / len(mine)
        failed = [stream["error"] for stream in mine if stream["ending"] == "error"]
        expected["errors"] = {error: failed.count(error) for error in failed}
        assert_same(group.summary(), expected)


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_same(actual[key], value)
        elif value is None:
            assert actual[key] is None, key
        else:
            assert actual[key] == pytest.approx(value, rel=1e-9, abs=1e-9), key
