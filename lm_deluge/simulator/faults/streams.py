"""Faults within an answer: cut, stalled, garbled, endless or oddly arranged."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import attrs

from lm_deluge.simulator.checks.refusals import json_reply
from lm_deluge.simulator.faults.arguments import (
    FaultKind,
    a_duration,
    nothing,
    pieces,
    seconds,
)
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.printer import EventPrinter
from lm_deluge.simulator.saying.script import Script
from lm_deluge.simulator.saying.steps import (
    ABORT,
    EOF,
    HALF_CLOSE,
    HANG,
    RESET,
    Act,
    Overhead,
    Paced,
    Reply,
    Step,
    Verbatim,
)
from lm_deluge.simulator.wires.chat_chunks import ChunkPrinter

_LINE = Overhead(b"a" * 16_384)
_SHAPES = ("object", "text", "flat", "choices", "finish", "event", "event-bare", "failed", "echo")
#: Seconds, where none are given: a stall that anybody notices.
_PAUSE = 1.0

_ERROR = "The server had an error processing your request. Sorry about that!"


def _cut(act: Act) -> FaultKind:
    def build(count: int, answer: SimulatedAnswer) -> Reply:
        return answer.reply([*answer.until(count), act])

    return FaultKind(parse=pieces(3), late=build)


def _ending(act: Act) -> FaultKind:
    def build(_: None, answer: SimulatedAnswer) -> Reply:
        finishes = [Overhead(data) for data in answer.finishes]
        return answer.reply([*answer.until(len(answer.pieces)), *finishes, act])

    return FaultKind(parse=nothing, late=build, streamed_only=True)


def _without(**changes: Any) -> FaultKind:
    def build(_: None, answer: SimulatedAnswer) -> Reply:
        return attrs.evolve(answer, **changes).reply()

    return FaultKind(parse=nothing, late=build, streamed_only=True)


def _no_usage(_: None, answer: SimulatedAnswer) -> Reply:
    parts = answer.printer.without_usage().parts(answer.script)
    return attrs.evolve(
        answer,
        opening=parts.opening,
        pieces=parts.pieces,
        finishes=parts.finishes,
        usage=parts.usage,
        done=parts.done,
    ).reply()


def _inserted(make: Callable[[SimulatedAnswer, int], list[bytes]]) -> FaultKind:
    def build(count: int, answer: SimulatedAnswer) -> Reply:
        return answer.reply([*answer.until(count), *make(answer, count), *answer.after(count)])

    return FaultKind(parse=pieces(3), late=build, streamed_only=True)


def _hang_first(_: None, answer: SimulatedAnswer) -> Reply:
    return answer.reply([HANG])


def _truncated(count: int, answer: SimulatedAnswer) -> Reply:
    if not answer.streamed:
        return answer.reply([*answer.until(count), EOF])
    data = answer.said("🙂", count)
    cut = data.index("🙂".encode()) + 2
    return answer.reply([*answer.until(count), Overhead(data[:cut]), EOF])


def _bad_utf8(answer: SimulatedAnswer, count: int) -> list[bytes]:
    return [answer.said("MARK", count).replace(b"MARK", b"\xff\xfe\xc3\x28")]


def _malformed(answer: SimulatedAnswer, count: int) -> list[bytes]:
    return [answer.printer.malformed]


def _parse_frame(args: Sequence[str]) -> tuple[str, int]:
    shape, *rest = args or ["object"]
    if shape not in _SHAPES:
        raise ValueError(f"not a shape of an error frame: {shape!r} ({', '.join(_SHAPES)})")
    return shape, pieces(3)(rest)


def _error_frame(args: tuple[str, int], answer: SimulatedAnswer) -> Reply:
    shape, count = args
    data = error_in(answer.printer, answer.script, shape, answer.credentials, count)
    return answer.reply([*answer.until(count), Overhead(data), EOF])


def error_in(
    printer: EventPrinter, script: Script, shape: str, credentials: str, count: int
) -> bytes:
    """The event that tells of an error after so many pieces."""
    message = f"Bad credentials: {credentials}" if shape == "echo" else _ERROR
    return printer.error(script, shape, message, count)


def _drip(gap: float, answer: SimulatedAnswer) -> Reply:
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


def _endless_line(count: int, answer: SimulatedAnswer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.until(count)
        yield Overhead(answer.printer.unended)
        yield from _for_ever(_LINE, 0.0)

    return answer.reply(steps())


def _for_ever(data: bytes, gap: float) -> Iterator[Step]:
    while True:
        yield data
        # Even 0 gives the loop a turn; without it a fast reader would leave none to anyone else.
        yield gap


def _endless_stream(gap: float | None, answer: SimulatedAnswer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.start()
        chunks = answer.pieces
        if not chunks or not isinstance(answer.printer, ChunkPrinter):
            # Where pieces belong to blocks, each of them can be said once.
            yield Paced(chunks, answer.waits)
            chunks = [answer.said(" again", len(answer.pieces))]
        waits = answer.waits if gap is None else [gap]
        for data, wait in zip(cycle(chunks), cycle(waits or [0.0]), strict=False):
            yield wait
            yield data

    return answer.reply(steps())


def _parse_pause(args: Sequence[str]) -> tuple[float, int]:
    return a_duration(args[0]) if args else _PAUSE, pieces(3)(args[1:])


def _pause(args: tuple[float, int], answer: SimulatedAnswer) -> Reply:
    wait, count = args
    return answer.reply([*answer.until(count), wait, *answer.after(count)])


def _buffer(wait: float, answer: SimulatedAnswer) -> Reply:
    def steps() -> Iterator[Step]:
        # What a proxy does that hands on what it gathered, every so many seconds.
        held, due = b"".join(answer.opening), wait
        now = answer.ttft
        pieces_and_end = [*zip(answer.pieces, answer.waits, strict=True), (_rest(answer), 0.0)]
        for data, gap in pieces_and_end:
            now += gap
            while now >= due and held:
                yield wait
                yield held
                held, due = b"", due + wait
            held += data
        yield wait
        if held:
            yield held

    return answer.reply(steps())


def _rest(answer: SimulatedAnswer) -> bytes:
    return b"".join(step for step in answer.end() if isinstance(step, bytes))


def _comments(count: int, answer: SimulatedAnswer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.start()
        for data, wait in zip(answer.pieces, answer.waits, strict=True):
            for _ in range(count):
                yield Overhead(answer.printer.alive)
                yield wait / max(count, 1)
            yield data
        yield from answer.end()

    return answer.reply(steps())


def _comments_before(gap: float, answer: SimulatedAnswer) -> Reply:
    return answer.reply(_for_ever(Overhead(answer.printer.alive), gap))


def _comments_after(gap: float, answer: SimulatedAnswer) -> Reply:
    def steps() -> Iterator[Step]:
        yield from answer.until(len(answer.pieces))
        yield from map(Overhead, answer.finishes)
        yield from _for_ever(Overhead(answer.printer.alive), gap)

    return answer.reply(steps())


def _surrogates(answer: SimulatedAnswer, count: int) -> list[bytes]:
    return [answer.said("\ud83d", count), answer.said("\ude42", count)]


def _lone(answer: SimulatedAnswer, count: int) -> list[bytes]:
    return [answer.said("\ud83d", count)]


def _gzip_cut(_: None, answer: SimulatedAnswer) -> Reply:
    whole = b"".join([*answer.opening, *answer.pieces, *filter(None, _closing(answer))])
    packed = gzip.compress(whole, mtime=0)
    half = packed[: len(packed) // 2]
    steps: list[Step] = [answer.ttft] if answer.ttft else []
    steps += [Overhead(half[at : at + 256]) for at in range(0, len(half), 256)]
    headers = answer.headers | {"Content-Encoding": "gzip"}
    return answer.reply([*steps, EOF], headers=headers)


def _closing(answer: SimulatedAnswer) -> list[bytes | None]:
    return [*answer.finishes, answer.usage, answer.done]


def _bad_chunk_size(count: int, answer: SimulatedAnswer) -> Reply:
    broken = Verbatim(b"zz\r\ndata: {}\n\n\r\n")
    # Apart from the pieces, or a client that reads both at once may drop them with the rest.
    return answer.reply([*answer.until(count), 0.005, broken, HANG])


def _json_answer(_: None, answer: SimulatedAnswer) -> Reply:
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
    "pause": FaultKind(parse=_parse_pause, late=_pause, streamed_only=True),
    "buffer": FaultKind(parse=seconds(_PAUSE), late=_buffer, streamed_only=True),
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
    "surrogates": _inserted(_surrogates),
    "lone-surrogate": _inserted(_lone),
    "gzip-cut": FaultKind(parse=nothing, late=_gzip_cut),
    "bad-chunk-size": FaultKind(parse=pieces(3), late=_bad_chunk_size),
    "no-done": _without(done=None),
    "no-finish": _without(finishes=[]),
    "no-usage": FaultKind(parse=nothing, late=_no_usage, streamed_only=True),
    "hang-after-finish": _ending(HANG),
    "reset-after-finish": _ending(RESET),
}
