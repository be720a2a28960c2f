"""Logs and timelines for the tests, made from plain numbers."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lm_deluge.logs.record import (
    Line,
    complete_line,
    encode_lines,
    error_line,
    piece_line,
    start_line,
    token_line,
)
from lm_deluge.timeline import Ending, Timeline
from lm_deluge.values.usage import Usage


def timeline(
    arrivals: Sequence[float] = (),
    *,
    ended: float | None = None,
    failed: str | None = None,
    phase: str | None = None,
    reads: Sequence[int] | None = None,
    busy: Sequence[float] = (),
    lags: Sequence[float] = (),
    pieces: Sequence[str] | None = None,
    first_output: float | None = None,
    output_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    **fields: Any,
) -> Timeline:
    """A stream whose tokens arrived at these seconds, each in a network read of its own, unless
    ``reads`` says otherwise; complete at its last arrival, unless ``ended`` or ``failed`` do."""
    reads = list(range(len(arrivals))) if reads is None else list(reads)
    slots, times, ordinals = [], [], []
    for t, read in zip(arrivals, reads, strict=True):
        if not ordinals or ordinals[-1] != read:
            times.append(t)
            ordinals.append(read)
        slots.append(len(times) - 1)
    texts = list(pieces) if pieces is not None else ["x"] * len(arrivals)
    if first_output is None and arrivals:
        first_output = arrivals[0]
    end = ended if ended is not None else (arrivals[-1] if arrivals else 0.0)
    usage = None
    if output_tokens is not None:
        usage = Usage(output_tokens=output_tokens, reasoning_tokens=reasoning_tokens)
    values: dict[str, Any] = {
        "stream": "s",
        "model": "m",
        "lengths": array("I", map(len, texts)),
        "slots": array("I", slots),
        "times": array("d", times),
        "reads": array("I", ordinals),
        "busy": array("d", busy),
        "lags": array("d", lags),
        "texts": {0: "".join(texts)},
        "first_output": first_output,
        "last_output": arrivals[-1] if arrivals else first_output,
        "ending": Ending("error", end, failed, phase) if failed else Ending("complete", end),
        "usage": usage,
    }
    return Timeline(**{**values, **fields})


def stream_lines(
    stream: str,
    arrivals: Sequence[float],
    *,
    model: str = "m",
    tags: dict[str, Any] | None = None,
    at: str = "2026-11-22T10:00:00+00:00",
    reads: Sequence[int] | None = None,
    pieces: Sequence[str] | None = None,
    reasoning: Sequence[float] = (),
    failed: str | None = None,
    phase: str | None = None,
    ended: float | None = None,
    usage: dict[str, int] | None = None,
    cost: float | None = None,
    text: bool = True,
    d: float | None = 0.0001,
    busy: float | None = None,
) -> list[Line]:
    """The lines of one stream, in order."""
    lines: list[Line] = [start_line(stream, model=model, at=at, base_url="http://h/v1", tags=tags)]
    for index, t in enumerate(reasoning):
        lines.append(piece_line("reasoning", stream, t, index, "hm", 0))
    for index, t in enumerate(arrivals):
        piece = pieces[index] if pieces is not None else " word"
        read = reads[index] if reads is not None else index + 1
        lines.append(
            token_line(stream, t, index, piece if text else None, read, d, busy, length=len(piece))
        )
    end = ended if ended is not None else max([0.0, *reasoning, *arrivals])
    if failed is not None:
        lines.append(
            error_line(stream, end, error=failed, phase=phase, tokens=len(arrivals), attempts=1)
        )
    else:
        lines.append(
            complete_line(
                stream,
                end,
                model=model,
                finish_reason="stop",
                usage=usage,
                cost=cost,
                response_id="r",
                attempts=1,
            )
        )
    return lines


def streams(seed: int, *, slow: float = 1.0, n: int = 40) -> list[list[Line]]:
    """Streams of two models and two variants, one of them failed."""
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        t = numbers.uniform(0.3, 0.5) * slow
        arrivals = []
        for _ in range(20):
            arrivals.append(t)
            t += numbers.expovariate(30)
        made.append(
            stream_lines(
                f"{seed}-{k}", arrivals, tags={"variant": "AB"[k % 2]}, model=f"model-{k % 2}",
                failed="APITimeoutError" if k == 7 else None, phase="between_tokens", cost=0.01,
                pieces=["secret"] * 20,
            )
        )  # fmt: skip
    return made


def write(path: Path, streams: Iterable[Sequence[Line]]) -> Path:
    """Write streams one after the other."""
    path.write_bytes(b"".join(encode_lines(list(lines)) for lines in streams))
    return path


def parsed(path: Path) -> list[dict[str, Any]]:
    """The log's lines as plain objects."""
    return [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
