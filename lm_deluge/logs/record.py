"""The log record: one JSON object a line, schema version 1, written here and nowhere else.

A line is built as a small struct (cheap: it may happen on the event loop) and encoded later, one by
one with ``encode`` or, at a third of the price, many at a time with ``encode_lines``::

    lines.append(token_line(stream.id, token.arrived, token.index, token.text, read=token.read))
    ...
    file.write(b"\\n" + encode_lines(lines))     # a batch begins with a newline: docs/design/metrics.md

Everywhere ``s`` is the stream's id and ``t`` are seconds from t0 (just before the first attempt's
request is written; monotonic clock) to the arrival of the bytes or fault that the line tells of.
Seconds are rounded to a microsecond. Content (``text``, ``message``) is given or ``None``; for a
content-free log give ``None``, and the length in characters in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from lm_deluge.values.addresses import redact_url
from lm_deluge.values.plain import plain_number, plain_text

__all__ = [
    "SCHEMA_VERSION",
    "CompleteLine",
    "DeltaLine",
    "ErrorLine",
    "Line",
    "PieceEvent",
    "PieceLine",
    "RetryLine",
    "StartLine",
    "ToolCallLine",
    "complete_line",
    "delta_line",
    "encode",
    "encode_lines",
    "error_line",
    "piece_line",
    "read_start_line",
    "retry_line",
    "start_line",
    "token_line",
    "tool_call_line",
    "without_credentials",
]

SCHEMA_VERSION = 1
"""The ``v`` of every line that this module writes."""

#: Seconds; handlers that took less for the last read delayed nothing that anybody would look for.
_LEAST_BUSY = 0.001

PieceEvent = Literal["token", "reasoning", "refusal"]


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """What every line has: ``v`` schema version, ``e`` event, ``s`` stream id, ``t`` seconds."""

    v: int
    e: str
    s: str
    t: float


# gc=True: tags are the user's own object and may hold anything.
class StartLine(Line, omit_defaults=True, gc=True):
    """The first attempt is about to be sent: see ``start_line``."""

    model: str
    queued: float
    base_url: str
    at: str
    tags: dict[str, Any] | None = None
    prompt_chars: int | None = None
    prompt_hash: str | None = None
    prompt: str | None = None
    fault: str | None = None
    app_retry: int | None = None


class PieceLine(Line, omit_defaults=True, gc=False):
    """A piece of answer, reasoning or refusal arrived: see ``piece_line``.

    ``len`` beside ``text``: the length of the piece as it came, where a secret in it was replaced.
    """

    i: int
    text: str | None = None
    len: int | None = None
    read: int | None = None
    d: float | None = None
    busy: float | None = None
    choice: int = 0


class ToolCallLine(Line, omit_defaults=True, gc=False):
    """A fragment of a tool call arrived: see ``tool_call_line``."""

    index: int
    name: str | None = None
    len: int = -1  # a length is never -1, so it is always written


class DeltaLine(Line, omit_defaults=True, gc=False):
    """A piece of another kind arrived: see ``delta_line``."""

    kind: str
    len: int = -1  # a length is never -1, so it is always written


class RetryLine(Line, omit_defaults=True, gc=False):
    """An attempt failed, and another follows: see ``retry_line``."""

    error: str
    attempt: int
    delay: float
    resumed: bool = False


class CompleteLine(Line, omit_defaults=True, gc=True):
    """The answer is whole: see ``complete_line``."""

    model: str | None
    finish_reason: str | None
    usage: dict[str, Any] | None
    cost: float | None
    response_id: str | None
    attempts: int
    busy: float | None = None
    missing: list[str] | None = None
    finish_reason_raw: str | None = None
    stop_details: dict[str, Any] | None = None
    connected: float | None = None


class ErrorLine(Line, omit_defaults=True, gc=False):
    """The stream ended any other way: see ``error_line``."""

    error: str
    phase: str | None
    tokens: int
    attempts: int
    message: str | None = None
    busy: float | None = None
    connected: float | None = None


def start_line(
    stream: str,
    *,
    model: str,
    at: str,
    base_url: str,
    queued: float = 0.0,
    tags: Mapping[str, Any] | None = None,
    prompt_chars: int | None = None,
    prompt_hash: str | None = None,
    prompt: str | None = None,
    fault: str | None = None,
    app_retry: int | None = None,
) -> StartLine:
    """Return the line that opens a stream; its ``t`` is 0.

    ``at``: wall clock, ISO 8601 with offset, UTC. ``base_url``: credentials, query and fragment are
    taken out here. ``queued``: seconds waited for a free slot, before t0. ``tags``: the user's own
    object; values that JSON cannot hold are written as their ``str``. ``prompt_hash``: the same for the same
    conversation. ``prompt``: how its last user message begins. Both ``None`` in a content-free log: a hash
    of few words can be guessed. ``fault``: what a proxy did to it on purpose. ``app_retry``: which one of the
    app's own retries it is, 1-based, as a proxy heard of it; ``None`` for a first request.
    """
    return StartLine(
        SCHEMA_VERSION,
        "start",
        stream,
        0.0,
        model,
        _microseconds(queued),
        redact_url(base_url),
        at,
        {str(key): value for key, value in tags.items()} if tags else None,
        prompt_chars,
        prompt_hash,
        prompt,
        fault,
        app_retry,
    )


def read_start_line(data: bytes) -> StartLine:
    """Read what ``encode`` made of a ``start_line``: its tags are plain JSON data then."""
    return _read_start_line(data)


def token_line(
    stream: str,
    t: float,
    i: int,
    text: str | None,
    read: int,
    d: float | None = None,
    busy: float | None = None,
    choice: int = 0,
    length: int | None = None,
) -> PieceLine:
    """Return the line of a piece of visible answer text: ``piece_line`` without its first argument.

    On the hot path, hence plain positional arguments and the rounding written out.
    """
    return PieceLine(
        1,
        "token",
        stream,
        (t * 1e6 + 0.5) // 1 / 1e6,
        i,
        text,
        length if text is None else None,
        read,
        None if d is None else (d * 1e6 + 0.5) // 1 / 1e6,
        None if busy is None else (busy * 1e6 + 0.5) // 1 / 1e6,
        choice,
    )


def piece_line(
    event: PieceEvent,
    stream: str,
    t: float,
    i: int,
    text: str | None,
    read: int,
    d: float | None = None,
    busy: float | None = None,
    choice: int = 0,
    length: int | None = None,
) -> PieceLine:
    """Return the line of a piece of visible answer, reasoning or refusal.

    ``i``: 0-based index among the stream's pieces of this event. ``text``: the piece, or ``None``
    in a content-free log, which gives ``length`` (characters) in its place. ``read``: ordinal of
    the network read that held it. ``d``: seconds from its arrival until the inline handlers had it.
    ``busy``: seconds they held the event loop since the previous read; give it once per read, with
    its first piece. ``choice``: written when not 0.
    """
    line = token_line(stream, t, i, text, read, d, busy, choice, length)
    line.e = event
    return line


def tool_call_line(
    stream: str, t: float, *, index: int, name: str | None, length: int
) -> ToolCallLine:
    """Return the line of a fragment of a tool call.

    ``index``: its position in the answer's list of tool calls. ``name``: as far as known.
    ``length``: characters of the arguments in this fragment.
    """
    return ToolCallLine(SCHEMA_VERSION, "tool_call", stream, _microseconds(t), index, name, length)


def delta_line(stream: str, t: float, *, kind: str, length: int) -> DeltaLine:
    """Return the line of a piece that has no line of its own kind: of a server's tool, of a citation.

    ``kind``: that of the delta. ``length``: characters of its text.
    """
    return DeltaLine(SCHEMA_VERSION, "delta", stream, _microseconds(t), kind, length)


def retry_line(
    stream: str, t: float, *, error: str, attempt: int, delay: float, resumed: bool = False
) -> RetryLine:
    """Return the line of an attempt that failed and is followed by another, ``delay`` seconds later.

    ``error``: class name. ``attempt``: 1-based. ``resumed``: the next one goes on with the answer.
    """
    moment, wait = _microseconds(t), _microseconds(delay)
    return RetryLine(SCHEMA_VERSION, "retry", stream, moment, error, attempt, wait, resumed)


def complete_line(
    stream: str,
    t: float,
    *,
    model: str | None,
    finish_reason: str | None,
    usage: Mapping[str, Any] | None,
    cost: float | None,
    response_id: str | None,
    attempts: int,
    busy: float | None = None,
    missing: Sequence[str] = (),
    finish_reason_raw: str | None = None,
    stop_details: Mapping[str, Any] | None = None,
    connected: float | None = None,
) -> CompleteLine:
    """Return the line that ends a whole answer.

    ``model``: the one that answered. ``usage``: counts by the names of ``lm_deluge.Usage``
    (``output_tokens``, ``reasoning_tokens``, …), ``None`` when the server sent none. ``cost``: US
    dollars, ``None`` when unknown. ``attempts``: requests sent. ``busy``: seconds the inline handlers
    held the event loop for the last read; written from a millisecond on. ``missing``: what was asked
    for and did not come, in sentences; written if there is any. ``finish_reason_raw``: the provider's own
    word for the end; written where it is another. ``stop_details``: what it says beside it; ``None`` in a
    content-free log. ``connected``: seconds until there was a connection, 0 for one that was open; ``None``
    where that is not known.
    """
    return CompleteLine(
        SCHEMA_VERSION,
        "complete",
        stream,
        _microseconds(t),
        model,
        finish_reason,
        dict(usage) if usage is not None else None,
        cost,
        response_id,
        attempts,
        _worth_telling(busy),
        list(missing) or None,
        finish_reason_raw if finish_reason_raw != finish_reason else None,
        dict(stop_details) if stop_details else None,
        None if connected is None else _microseconds(connected),
    )


def error_line(
    stream: str,
    t: float,
    *,
    error: str,
    phase: str | None,
    tokens: int,
    attempts: int,
    message: str | None = None,
    busy: float | None = None,
    connected: float | None = None,
) -> ErrorLine:
    """Return the line that ends a stream any other way.

    ``error``: class name. ``phase``: what the stream waited for. ``tokens``: pieces received.
    ``message``: ``None`` in a content-free log (a provider may quote the prompt in it). ``busy`` and
    ``connected``: as in ``complete_line``.
    """
    return ErrorLine(
        SCHEMA_VERSION,
        "error",
        stream,
        _microseconds(t),
        error,
        phase,
        tokens,
        attempts,
        message,
        _worth_telling(busy),
        None if connected is None else _microseconds(connected),
    )


def _written(value: Any) -> Any:
    """Return what stands for an object of the user's own in the log: a number is one, whoever made it."""
    if isinstance(value, Mapping):
        return dict(value)
    plain = plain_text(value) if isinstance(value, str) else plain_number(value)
    return str(value) if plain is value else plain


_ENCODER = msgspec.json.Encoder(enc_hook=_written)
_encode = _ENCODER.encode
_read_start_line = msgspec.json.Decoder(StartLine).decode


def encode(line: Line) -> bytes:
    """Return one line as UTF-8 JSON without a newline.

    Text that UTF-8 cannot hold (a lone surrogate) is written as ``?``. Raises ``TypeError`` or
    ``ValueError`` for tags that no JSON can hold, such as a dict that holds itself.
    """
    try:
        return _encode(line)
    except UnicodeEncodeError:
        return _encode(_encodable(msgspec.to_builtins(line, enc_hook=_written)))
    except RecursionError:
        message = "tags nest too deeply for JSON, or hold themselves"
        raise ValueError(message) from None


def encode_lines(lines: Sequence[Line]) -> bytes:
    """Return many lines as UTF-8 JSON, a newline after each; raises what ``encode`` raises."""
    try:
        return _ENCODER.encode_lines(lines)
    except (UnicodeEncodeError, RecursionError):
        return b"".join(encode(line) + b"\n" for line in lines)


def without_credentials(url: str) -> str:
    """Return ``url`` without user, password, query and fragment, as errors show it; never raises.

    Where a malformed one's parts end is a guess: rather too much of it is hidden than too little.
    """
    return redact_url(url)


def _microseconds(seconds: float) -> float:
    return (seconds * 1e6 + 0.5) // 1 / 1e6


def _worth_telling(busy: float | None) -> float | None:
    return _microseconds(busy) if busy is not None and busy >= _LEAST_BUSY else None


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
