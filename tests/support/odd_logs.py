"""Logs of the kinds that people have, beside the tidy one of the guide."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_deluge.logs.record import Line, encode_lines
from support.timelines import stream_lines

__all__ = ["ODD", "many_streams", "write_odd"]

NAMES = ("B, the new service behind a proxy that buffers", "الإصدار الجديد", "🚀 rocket", "x" * 60)


def _streams(n: int, seed: int = 1, **fields: Any) -> list[list[Line]]:
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        t, arrivals = numbers.uniform(0.2, 0.9), []
        for _ in range(numbers.randrange(3, 30)):
            arrivals.append(t)
            t += numbers.expovariate(25) + (1.5 if numbers.random() < 0.01 else 0.0)
        made.append(stream_lines(f"{seed}-{k}", arrivals, **fields))
    return made


def _written(streams: list[list[Line]]) -> bytes:
    return b"".join(b"\n" + encode_lines(lines) for lines in streams)


def _failed(n: int) -> bytes:
    kinds = (
        ("RateLimitError", "headers", ()),
        ("ConnectionLostError", "between_tokens", (0.4, 0.5, 0.9)),
        ("APITimeoutError", "first_token", ()),
    )
    made = []
    for k in range(n):
        error, phase, arrivals = kinds[k % 3]
        made.append(stream_lines(f"f-{k}", arrivals, failed=error, phase=phase, ended=2.0))
    return _written(made)


def _groups(n: int) -> bytes:
    return b"".join(
        _written(_streams(6, seed=k, tags={"variant": f"variant {k:02}"})) for k in range(n)
    )


def _named() -> bytes:
    return b"".join(
        _written(_streams(12, seed=k, tags={"variant": name})) for k, name in enumerate(NAMES)
    )


def many_streams(n: int) -> bytes:
    """``n`` streams of two variants."""
    return b"".join(_written(_streams(n // 2, seed=k, tags={"variant": "AB"[k]})) for k in range(2))


def _half(whole: bytes) -> bytes:
    lines = whole.splitlines(keepends=True)
    lines[5] = lines[5][: len(lines[5]) // 2] + b"\n"
    return b"".join(lines) + b'{"v":1,"e":"token","s":"1-0","t":'


def _foreign(whole: bytes) -> bytes:
    strangers = (
        b"INFO:root:starting up", b'{"level":"info","msg":"hello"}', b'[1, 2, 3]', b"\xff\xfe\x00",
        b'{"v":2,"e":"token","s":"later","t":1}', b'{"v":1,"e":"seen","s":"1-0","t":1.0}',
    )  # fmt: skip
    return whole + b"\n".join(strangers) + b"\n"


#: By name, the bytes of a log.
ODD: dict[str, Callable[[], bytes]] = {
    "no tags": lambda: _written(_streams(24)),
    "one stream": lambda: _written(_streams(1)),
    "one piece": lambda: _written([stream_lines("one", [0.3])]),
    "one stream that failed at once": lambda: _failed(1),
    "all failed": lambda: _failed(30),
    "no usage": lambda: _written(_streams(24, tags={"variant": "A"}, usage=None, cost=None)),
    "40 groups": lambda: _groups(40),
    "names of all kinds": _named,
    "half lines": lambda: _half(_written(_streams(24))),
    "foreign lines": lambda: _foreign(_written(_streams(24))),
    "no text": lambda: _written(_streams(24, text=False, tags={"variant": "A"})),
    "no wall clock": lambda: _written(_streams(24, at="")),
    "no reads, no lateness": lambda: _written(_streams(24, d=None)),
    "no endings": lambda: _written([lines[:-1] for lines in _streams(12)]),
    "no starts": lambda: _written([lines[1:] for lines in _streams(12)]),
    "nothing but starts": lambda: _written([lines[:1] for lines in _streams(12)]),
    "reasoning alone": lambda: _written(
        [stream_lines(f"r-{k}", [], reasoning=[0.3, 0.9, 4.0]) for k in range(12)]
    ),
    "an empty answer": lambda: _written([stream_lines(f"e-{k}", [], ended=0.4) for k in range(12)]),
    "two variants, one of three streams": lambda: (
        _written(_streams(3, seed=3, tags={"variant": "B"}))
        + _written(_streams(60, seed=4, tags={"variant": "A"}))
    ),
    "the same twice": lambda: (
        _written(_streams(40, seed=5, tags={"variant": "A"}))
        + _written(_streams(40, seed=5, tags={"variant": "B"})).replace(b'"5-', b'"6-')
    ),
    "everything at once": lambda: _written(
        [stream_lines(f"b-{k}", [0.5] * 40, reads=[1] * 40) for k in range(24)]
    ),
    "a day of silence": lambda: _written(
        [*_streams(24), stream_lines("slow", [0.5, 86_000.0], ended=86_400.0)]
    ),
}


def write_odd(folder: Path, name: str) -> Path:
    """Write one of them."""
    path = folder / "odd.jsonl"
    path.write_bytes(ODD[name]())
    return path
