"""Faults within an answer: cut, stalled, garbled, endless or oddly arranged."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any

import attrs

from lm_deluge.simulator.answer import Answer
from lm_deluge.simulator.chunks import event
from lm_deluge.simulator.fault_args import FaultKind, nothing, pieces, seconds
from lm_deluge.simulator.refusals import json_reply
from lm_deluge.simulator.steps import (
    ABORT,
    EOF,
    HALF_CLOSE,
    HANG,
    RESET,
    Act,
    Overhead,
    Reply,
    Step,
    Verbatim,
)

_COMMENT = Overhead(b": keep-alive\n\n")
_LINE = Overhead(b"a" * 16_384)
_SHAPES = ("object", "text", "flat", "choices", "finish", "event", "event-bare", "echo")
_ERROR = {
    "message": "The server had an error processing your request. Sorry about that!",
    "type": "server_error",
    "param": None,
    "code": None,
}


def _cut(act: Act) -> FaultKind:
    def build(count: int, answer: Answer) -> Reply:
        return answer.reply([*answer.until(count), act])

    return FaultKind(parse=pieces(3), late=build)


def _ending(act: Act) -> FaultKind:
    def build(_: None, answer: Answer) -> Reply:
        finishes = [Overhead(data) for data in answer.finishes]
        return answer.reply([*answer.until(len(answer.pieces)), *finishes, act])

    return FaultKind(parse=nothing, late=build, streamed_only=True)


def _without(**changes: Any) -> FaultKind:
    def build(_: None, answer: Answer) -> Reply:
        return attrs.evolve(answer, **changes).reply()

    return FaultKind(parse=nothing, late=build, streamed_only=True)


def _inserted(make: Callable[[Answer], list[bytes]]) -> FaultKind:
    def build(count: int, answer: Answer) -> Reply:
        return answer.reply([*answer.until(count), *make(answer), *answer.after(count)])

    return FaultKind(parse=pieces(3), late=build, streamed_only=True)


def _said(answer: Answer, text: str) -> bytes:
    return answer.printer.chunk(answer.printer.entry(0, {"content": text}))


def _hang_first(_: None, answer: Answer) -> Reply:
    return answer.reply([HANG])


def _truncated(count: int, answer: Answer) -> Reply:
    if not answer.streamed:
        return answer.reply([*answer.until(count), EOF])
    data = _said(answer, "🙂")
    cut = data.index("🙂".encode()) + 2
    return answer.reply([*answer.until(count), Overhead(data[:cut]), EOF])


def _bad_utf8(answer: Answer) -> list[bytes]:
    return [_said(answer, "MARK").replace(b"MARK", b"\xff\xfe\xc3\x28")]


def _malformed(answer: Answer) -> list[bytes]:
    return [b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"oops\n\n']


def _parse_frame(args: Sequence[str]) -> tuple[str, int]:
    shape, *rest = args or ["object"]
    if shape not in _SHAPES:
        raise ValueError(f"not a shape of an error frame: {shape!r} ({', '.join(_SHAPES)})")
    return shape, pieces(3)(rest)


def _error_frame(args: tuple[str, int], answer: Answer) -> Reply:
    shape, count = args
    return answer.reply([*answer.until(count), Overhead(_frame(shape, answer)), EOF])


def _frame(shape: str, answer: Answer) -> bytes:
    if shape == "text":
        return event({"error": _ERROR["message"]})
    if shape == "flat":
        return event({"object": "error", **_ERROR, "code": 50001})
    if shape == "choices":
        return answer.printer.chunk(error=_ERROR)
    if shape == "finish":
        error = {"code": 502, "message": "Provider disconnected"}
        entry = answer.printer.entry(0, {"content": ""}, "error")
        return answer.printer.chunk(entry, error=error)
    if shape == "event":
        return event({"error": _ERROR}, name="error")
    if shape == "event-bare":
        return event(_ERROR, name="error")
    if shape == "echo":
        return event({"error": _ERROR | {"message": f"Bad credentials: {answer.credentials}"}})
    return event({"error": _ERROR})


def _drip(gap: float, answer: Answer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.start()[:1] if answer.ttft else ()
        for data in [*answer.opening, *answer.pieces, *answer.end()]:
            if not isinstance(data, bytes):
                continue
            counts = not isinstance(data, Overhead) and data not in answer.opening
            for at in range(len(data)):
                byte = data[at : at + 1]
                yield byte if counts and at == len(data) - 1 else Overhead(byte)
                yield gap

    return answer.reply(steps())


def _endless_line(count: int, answer: Answer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.until(count)
        yield Overhead(b'data: {"choices":[{"index":0,"delta":{"content":"')
        yield from _for_ever(_LINE, 0.0)

    return answer.reply(steps())


def _for_ever(data: bytes, gap: float) -> Iterator[Step]:
    while True:
        yield data
        # Even 0 gives the loop a turn; without it a fast reader would leave none to anyone else.
        yield gap


def _endless_stream(gap: float | None, answer: Answer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.start()
        chunks = answer.pieces or [_said(answer, " again")]
        waits = answer.waits if gap is None else [gap]
        for data, wait in zip(cycle(chunks), cycle(waits or [0.0]), strict=False):
            yield wait
            yield data

    return answer.reply(steps())


def _comments(count: int, answer: Answer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.start()
        for data, wait in zip(answer.pieces, answer.waits, strict=True):
            for _ in range(count):
                yield _COMMENT
                yield wait / max(count, 1)
            yield data
        yield from answer.end()

    return answer.reply(steps())


def _comments_before(gap: float, answer: Answer) -> Reply:
    return answer.reply(_for_ever(_COMMENT, gap))


def _comments_after(gap: float, answer: Answer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.until(len(answer.pieces))
        yield from map(Overhead, answer.finishes)
        yield from _for_ever(_COMMENT, gap)

    return answer.reply(steps())


def _duplicate(_: None, answer: Answer) -> Reply:
    printer = answer.printer
    chunks = []
    for index, delta in printer.deltas(answer.script):
        halves = [delta]
        content = delta.get("content")
        if content is not None:
            middle = len(content) // 2
            halves = [{"content": content[:middle]}, {"content": content[middle:]}]
        chunks.append(printer.chunk(*(printer.entry(index, half) for half in halves)))
    return attrs.evolve(answer, pieces=chunks, finishes=answer.finishes * 2).reply()


def _unordered(_: None, answer: Answer) -> Reply:
    printer = answer.printer
    rows: list[list[tuple[int, dict[str, Any]]]] = []
    for index, delta in printer.deltas(answer.script):
        if not rows or rows[-1][-1][0] >= index:
            rows.append([])
        rows[-1].append((index, delta))
    chunks = [printer.chunk(*(printer.entry(i, delta) for i, delta in row[::-1])) for row in rows]
    return attrs.evolve(
        answer,
        opening=answer.opening[::-1],
        pieces=chunks,
        waits=list(_row_waits(answer))[: len(chunks)],
        finishes=answer.finishes[::-1],
    ).reply()


def _row_waits(answer: Answer) -> Iterable[float]:
    indexes = [index for index, _ in answer.printer.deltas(answer.script)]
    before = len(answer.script.choices)
    for index, wait in zip(indexes, answer.waits, strict=True):
        if index <= before:
            yield wait
        before = index


def _surrogates(answer: Answer) -> list[bytes]:
    return [_said(answer, "\ud83d"), _said(answer, "\ude42")]


def _lone(answer: Answer) -> list[bytes]:
    return [_said(answer, "\ud83d")]


def _gzip_cut(_: None, answer: Answer) -> Reply:
    whole = b"".join([*answer.opening, *answer.pieces, *filter(None, _closing(answer))])
    packed = gzip.compress(whole, mtime=0)
    half = packed[: len(packed) // 2]
    steps: list[Step] = [answer.ttft] if answer.ttft else []
    steps += [Overhead(half[at : at + 256]) for at in range(0, len(half), 256)]
    headers = answer.headers | {"Content-Encoding": "gzip"}
    return answer.reply([*steps, EOF], headers=headers)


def _closing(answer: Answer) -> list[bytes | None]:
    return [*answer.finishes, answer.usage, answer.done]


def _bad_chunk_size(count: int, answer: Answer) -> Reply:
    broken = Verbatim(b"zz\r\ndata: {}\n\n\r\n")
    # Apart from the pieces, or a client that reads both at once may drop them with the rest.
    return answer.reply([*answer.until(count), 0.005, broken, HANG])


def _json_answer(_: None, answer: Answer) -> Reply:
    reply = json_reply(answer.whole, headers=answer.headers)
    steps: list[Step] = [answer.ttft] if answer.ttft else []
    return attrs.evolve(reply, steps=[*steps, *reply.steps])


KINDS: dict[str, FaultKind] = {
    "json-answer": FaultKind(parse=nothing, late=_json_answer, streamed_only=True),
    "hang-before-first-token": FaultKind(parse=nothing, late=_hang_first),
    "stall": _cut(HANG),
    "reset": _cut(RESET),
    "drop": _cut(ABORT),
    "half-close": _cut(HALF_CLOSE),
    "eof": _cut(EOF),
    "truncated-utf8": FaultKind(parse=pieces(3), late=_truncated),
    "bad-utf8": _inserted(_bad_utf8),
    "malformed-json": _inserted(_malformed),
    "error-frame": FaultKind(parse=_parse_frame, late=_error_frame, streamed_only=True),
    "drip": FaultKind(parse=seconds(0.0), late=_drip),
    "endless-line": FaultKind(parse=pieces(3), late=_endless_line),
    "endless-stream": FaultKind(parse=seconds(None), late=_endless_stream, streamed_only=True),
    "comments": FaultKind(parse=pieces(1), late=_comments, streamed_only=True),
    "comments-before": FaultKind(parse=seconds(0.01), late=_comments_before, streamed_only=True),
    "comments-after": FaultKind(parse=seconds(0.01), late=_comments_after, streamed_only=True),
    "duplicate-choices": FaultKind(parse=nothing, late=_duplicate, streamed_only=True),
    "unordered-choices": FaultKind(parse=nothing, late=_unordered, streamed_only=True),
    "surrogates": _inserted(_surrogates),
    "lone-surrogate": _inserted(_lone),
    "gzip-cut": FaultKind(parse=nothing, late=_gzip_cut),
    "bad-chunk-size": FaultKind(parse=pieces(3), late=_bad_chunk_size),
    "no-done": _without(done=None),
    "no-finish": _without(finishes=[]),
    "no-usage": _without(usage=None),
    "hang-after-finish": _ending(HANG),
    "reset-after-finish": _ending(RESET),
}
