"""What benchmarks of servers leave behind, as lines of a timeline log: ``vllm bench serve --save-detailed``.

That file is one JSON object with lists, a place for each request: ``ttfts`` (seconds to the first piece),
``itls`` (seconds between pieces), ``input_lens`` and ``output_lens`` (tokens), ``errors`` (``""`` for none),
``start_times`` in newer versions. It has no text, no network reads, and no ending: a stream counts as over
with its last piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import msgspec

__all__ = ["is_benchmark", "log_of"]

#: Fields with which such a file begins.
_FIRST: Final = (b'"date"', b'"model_id"', b'"num_prompts"')


class _Detailed(msgspec.Struct):
    model_id: str
    ttfts: list[float]
    itls: list[list[float]]
    date: str = ""
    backend: str | None = None
    request_rate: float | str | None = None
    max_concurrency: int | None = None
    input_lens: list[int] | None = None
    output_lens: list[int] | None = None
    errors: list[str | None] | None = None
    start_times: list[float] | None = None


_detailed = msgspec.json.Decoder(_Detailed).decode


def is_benchmark(beginning: bytes) -> bool:
    """Whether a file that begins so may be one."""
    return beginning[:1] == b"{" and all(name in beginning[:4096] for name in _FIRST)


def log_of(data: bytes, name: str) -> bytes | None:
    """Return the lines of a log that says the same; ``None`` for a file without the times of pieces.

    ``name``: of the file; the streams' ids are made of it.
    """
    try:
        found = _detailed(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return b"\n".join(msgspec.json.encode(line) for line in _lines(found, name))


def _lines(found: _Detailed, name: str) -> Iterator[dict[str, Any]]:
    run = {"backend": found.backend, "request_rate": found.request_rate}
    tags = {key: str(value) for key, value in run.items() if value is not None}
    if found.max_concurrency is not None:
        tags["max_concurrency"] = str(found.max_concurrency)
    starts = found.start_times or []
    for number, (ttft, gaps) in enumerate(zip(found.ttfts, found.itls, strict=False)):
        common = {"v": 1, "s": f"{name}#{number}"}
        after = starts[number] - starts[0] if number < len(starts) else 0.0
        yield common | {
            "e": "start", "t": 0.0, "model": found.model_id, "queued": 0.0, "tags": tags,
            "at": _moment(found.date, after),
        }  # fmt: skip
        why = _of(found.errors, number)
        # A request that failed has no times, or those of the pieces before.
        times = [] if why and not ttft else list(accumulate(map(_seconds, gaps), initial=ttft))
        for index, t in enumerate(times):
            yield common | {"e": "token", "t": _seconds(t), "i": index, "len": 0}
        end = _seconds(times[-1]) if times else 0.0
        if why:
            yield common | {
                "e": "error", "t": end, "error": "StreamError", "phase": None, "attempts": 1,
                "tokens": len(times),
            }  # fmt: skip
            continue
        counts = (_of(found.input_lens, number), _of(found.output_lens, number))
        usage = {"input_tokens": counts[0], "output_tokens": counts[1]}
        yield common | {
            "e": "complete", "t": end, "model": found.model_id, "finish_reason": None,
            "usage": None if counts[1] is None else usage, "cost": None, "attempts": 1,
        }  # fmt: skip


def _of(values: list[Any] | None, number: int) -> Any:
    return values[number] if values is not None and number < len(values) else None


def _seconds(value: float) -> float:
    return value if math.isfinite(value) and value > 0 else 0.0


def _moment(date: str, after: float) -> str | None:
    """Return when a request began; the file's own date (local time, taken as UTC) is that of its writing."""
    try:
        begun = datetime.strptime(date, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (begun + timedelta(seconds=after)).isoformat()
