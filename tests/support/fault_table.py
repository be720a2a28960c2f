"""What every fault of the simulator has to lead to, and which cells of the matrix are tried by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from lm_deluge import Limits, Timeouts
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionLostError,
    InternalServerError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    StreamError,
    UnprocessableEntityError,
)
from support.consumers import CONSUMERS, HANDLERS

PATIENT = Timeouts(connect=5, first_token=10, between_tokens=10, total=20, tail=5)

Pieces = Sequence[str]


def said(prompt: str) -> list[str]:
    """The pieces of the answer to a prompt: no two prompts have a text in common."""
    return [f"[{prompt}] ", "Häuser", " und ", "🙂🙃", "数え", " fünf", "."]


def first(count: int) -> Callable[[Pieces], str]:
    return lambda pieces: "".join(pieces[:count])


def with_third(text: str) -> Callable[[Pieces], str]:
    """The whole answer with ``text`` after its third piece."""
    return lambda pieces: "".join([*pieces[:3], text, *pieces[3:]])


def whole(pieces: Pieces) -> str:
    return "".join(pieces)


@attrs.frozen
class Row:
    """What a fault has to lead to.

    ``text``: the visible text, ``None`` where it has no fixed length. ``error``: the exact class, or
    ``None`` for a whole answer. ``reads``: words of the message. ``usage``: whether the answer has
    one, ``None`` where it does not matter.
    """

    spec: str
    error: type[StreamError] | None = None
    phase: str | None = None
    text: Callable[[Pieces], str] | None = first(0)
    timeouts: Timeouts = PATIENT
    limits: Limits = Limits()
    reads: str = ""
    usage: bool | None = True
    n: int = 1
    status: int | None = None
    retry_after: float | None = None


def status(spec: str, error: type[StreamError], **more: Any) -> Row:
    return Row(f"status:{spec}", error, "first_token", status=int(spec.split(":")[0]), **more)


def healthy(spec: str, text: Callable[[Pieces], str] = whole, **more: Any) -> Row:
    return Row(spec, text=text, **more)


def cut(name: str, error: type[StreamError], **more: Any) -> list[Row]:
    """A fault after 3 pieces, after none and after all of them."""
    return [
        Row(f"{name}:0", error, "first_token", first(0), **more),
        Row(f"{name}:1", error, "between_tokens", first(1), **more),
        Row(name, error, "between_tokens", first(3), **more),
        Row(f"{name}:7", error, "between_tokens", first(7), **more),
    ]


SHORT = Timeouts(first_token=0.25, between_tokens=0.25, total=20, tail=0.1)
SOON = Timeouts(first_token=10, between_tokens=10, total=0.25)
#: What an error inside a 200 is: a text alone says nothing of its class.
FRAMES: dict[str, type[StreamError]] = {"text": ProviderError}
SHAPES = ("object", "text", "flat", "choices", "finish", "event", "event-bare", "failed", "echo")

OTHERS = ("responses", "messages", "gemini")

TABLE: list[Row] = [
    # Before an answer.
    Row("refuse", APIConnectionError, "connect", reads="no connection to"),
    Row("reset-before-headers", APIConnectionError, "connect"),
    Row("close-before-headers", APIConnectionError, "connect", reads="without an answer"),
    Row("hang-before-headers", APITimeoutError, "first_token", timeouts=SHORT),
    status("400", BadRequestError),
    status("400:text", BadRequestError),
    status("401", AuthenticationError),
    status("401:echo", AuthenticationError),
    status("403", PermissionDeniedError),
    status("404", NotFoundError),
    status("404:html", NotFoundError),
    status("408:empty", APIStatusError),
    status("409", ConflictError),
    status("418:empty", APIStatusError),
    status("422", UnprocessableEntityError),
    status("429", RateLimitError),
    status("429:retry-after=7", RateLimitError, retry_after=7.0),
    status("429:retry-after-ms=1500", RateLimitError, retry_after=1.5),
    status("429:retry-after-date=30", RateLimitError),
    status("429:should-retry=false", RateLimitError),
    status("500", InternalServerError),
    status("500:html", InternalServerError),
    status("502:text", InternalServerError),
    status("503:empty", InternalServerError),
    status("503:should-retry=true", InternalServerError),
    status("599:echo", InternalServerError),
    status("201:empty", APIStatusError),
    Row("redirect", APIStatusError, "first_token", status=307),
    Row("redirect:http://127.0.0.1:1/x", APIStatusError, "first_token", status=307),
    Row("wrong-content-type", ProtocolError, "first_token", reads="base_url"),
    Row("wrong-content-type:text/plain", ProtocolError, "first_token", reads="base_url"),
    Row("wrong-content-type:application/json", ProtocolError, "first_token", reads="JSON"),
    Row("json-error", InternalServerError, "first_token", reads="overloaded"),
    # In an answer.
    healthy("json-answer"),
    Row("hang-before-first-token", APITimeoutError, "first_token", timeouts=SHORT),
    *cut("stall", APITimeoutError, timeouts=SHORT, reads="within 0.25 s"),
    *cut("reset", ConnectionLostError),
    *cut("drop", ConnectionLostError),
    *cut("half-close", ConnectionLostError),
    *cut("eof", AnswerCutError, reads="[DONE]"),
    *cut("truncated-utf8", AnswerCutError),
    healthy("pause:0.05"),
    healthy("buffer:0.05"),
    healthy("bad-utf8", with_third("\ufffd\ufffd\ufffd(")),
    *cut("malformed-json", ProtocolError, reads="oops"),
    *(
        Row(
            f"error-frame:{shape}",
            FRAMES.get(shape, InternalServerError),
            "between_tokens",
            first(3),
        )
        for shape in SHAPES
        if shape != "finish"
    ),
    *(
        Row(
            f"error-frame:{shape}:0",
            FRAMES.get(shape, InternalServerError),
            "first_token",
            first(0),
        )
        for shape in SHAPES
        if shape != "finish"
    ),
    # Every choice has a finish reason by then.
    Row("error-frame:finish", InternalServerError, "tail", first(3), reads="disconnected"),
    # Without output there is nothing that could have ended.
    Row("error-frame:finish:0", InternalServerError, "first_token", first(0), reads="disconnected"),
    healthy("drip"),
    *cut(
        "endless-line",
        LimitExceededError,
        limits=Limits(max_event_bytes=100_000),
        reads="Limits.max_event_bytes",
    ),
    Row("endless-stream:0.005", APITimeoutError, "total", None, timeouts=SOON),
    Row(
        "endless-stream:0",
        LimitExceededError,
        "between_tokens",
        None,
        limits=Limits(max_answer_chars=1_000),
        reads="Limits.max_answer_chars",
    ),
    healthy("comments"),
    healthy("comments:5"),
    Row("comments-before", APITimeoutError, "first_token", timeouts=SHORT),
    healthy("comments-after", timeouts=SHORT, usage=False),
    healthy("duplicate-choices"),
    healthy("unordered-choices", n=3),
    healthy("surrogates", with_third("🙂")),
    healthy("lone-surrogate", with_third("\ufffd")),
    # Half of the compressed bytes, then a clean end: not a whole event of so short an answer.
    Row("gzip-cut", AnswerCutError, "first_token", reads="no event at all"),
    *cut("bad-chunk-size", ConnectionLostError),
    healthy("no-done"),
    healthy("no-finish"),
    healthy("no-usage", usage=False),
    healthy("hang-after-finish", timeouts=SHORT, usage=False),
    healthy("reset-after-finish", usage=False),
]

ROWS = {row.spec: row for row in TABLE}

#: Consumer and kind of handler: every row of the table is tried by all of these in the slow run.
CELLS = [(how, kind) for how in CONSUMERS for kind in HANDLERS]


def half_of(row: Row) -> list[tuple[str, str]]:
    """Every second cell, like the fields of one colour; the next row has those of the other."""
    odd = TABLE.index(row) % 2
    width = len(HANDLERS)
    return [cell for at, cell in enumerate(CELLS) if (at // width + at + odd) % 2]


def is_sampled(row: Row) -> bool:
    """Whether a row is tried as a later attempt by default: each waits in vain before its turn."""
    return TABLE.index(row) % 3 == 0


#: What a fault comes to elsewhere than in chat, by the fault: in which wires, and what differs. An end is a
#: positive fact, and which event is one differs.
TYPED: dict[str, Any] = {"error": InternalServerError}
OPEN: dict[str, Any] = {"phase": "between_tokens"}
ELSEWHERE: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    # There is one shape of an error, with a type and words of its own.
    **{f"error-frame:{shape}{at}": (OTHERS, TYPED) for shape in SHAPES for at in ("", ":0")},
    "error-frame:finish": (OTHERS, TYPED | OPEN),
    # A reason for the end is not the end: that is ``message_stop``, and the event with all of the answer.
    "comments-after": (("messages", "responses"), OPEN | {"error": APITimeoutError}),
    "hang-after-finish": (("messages", "responses"), OPEN | {"error": APITimeoutError}),
    "no-done": (("messages", "responses"), OPEN | {"error": AnswerCutError}),
    "reset-after-finish": (OTHERS, OPEN | {"error": ConnectionLostError}),
    # Here it is the end, and all that there is of one.
    "no-finish": (("gemini",), OPEN | {"error": AnswerCutError}),
}


def on_wire(row: Row, wire: str) -> Row | None:
    """Return a row as it is in another wire than chat; ``None`` where it asks for several answers."""
    if row.n > 1:
        return None
    wires, told = ELSEWHERE.get(row.spec, ((), {}))
    told = told if wire in wires else {}
    reads = "" if row.reads == "[DONE]" or told else row.reads
    # Counts stand in the first events, or in all of them.
    usage = None if wire != "responses" and row.spec != "no-usage" else row.usage
    return attrs.evolve(row, reads=reads, usage=usage, **told)
