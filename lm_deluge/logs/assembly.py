"""From log lines to one stream's timeline."""

from __future__ import annotations

from array import array
from typing import Annotated, Any

import msgspec
from attrs import define, field

from lm_deluge.logs.record import SCHEMA_VERSION
from lm_deluge.values.lateness import Lateness
from lm_deluge.values.timeline import Ending, Timeline
from lm_deluge.values.usage import COUNTS, Usage

__all__ = [
    "ASIDE",
    "BACKWARDS",
    "ENDINGS",
    "FOREIGN",
    "NEWER",
    "OTHERS",
    "OUTPUTS",
    "OUTPUT_KINDS",
    "RAW",
    "SEEN",
    "TWICE",
    "UNREADABLE",
    "LoggedFacts",
    "LoggedPiece",
    "OpenStream",
    "RestOfLine",
    "decode_piece",
    "decode_rest",
    "why_unreadable",
]

HALF = "half or damaged line"
FOREIGN = "not a line of a timeline log"
NEWER = f"written by a newer version (schema above {SCHEMA_VERSION})"
TWICE = "event seen before"
BACKWARDS = "time runs backwards within its stream"

ENDINGS = frozenset({"complete", "error"})
SEEN = "seen"
"""The event of what a browser told, which can come long after the ending of its stream."""

ASIDE = frozenset({"request", "note", SEEN})
"""Events of a log that are no part of a stream's timeline."""

RAW = frozenset({"request", "head", "read", "close"})
"""Lines of a recording, which holds the bytes of an answer in the place of its tokens."""

OUTPUTS = frozenset({"reasoning", "refusal", "tool_call", "delta"})
"""Lines of pieces that are no visible tokens."""

OTHERS = frozenset({"start", "retry"}) | OUTPUTS | ENDINGS
"""Lines of a stream's timeline that are no visible tokens."""

_STARTS = (
    "model",
    "queued",
    "at",
    "prompt_chars",
    "prompt",
    "prompt_hash",
    "fault",
    "app_retry",
)

OUTPUT_KINDS = frozenset({"server_tool"})
"""Kinds of ``delta`` that are output; the others come beside it."""

_JOIN_AT = 512
_NAN = float("nan")

_Count = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]  # more is no time, and its square no float
_MOST_COUNT = 2**53  # up to which every integer is a float
_MOST_COST = 1e12


class LoggedPiece(msgspec.Struct, gc=False):
    """The fields of the lines that matter for speed; of any line, what is needed to place it."""

    v: int
    e: str
    s: str
    t: _Seconds
    i: _Count | None = None
    text: str | None = None
    len: _Count = 0
    read: _Count | None = None
    d: _Seconds | None = None
    busy: _Seconds | None = None
    choice: _Count = 0


class RestOfLine(msgspec.Struct):
    """The further fields of the other lines."""

    model: str | None = None
    queued: float = 0.0
    at: str | None = None
    tags: dict[str, Any] | None = None
    prompt_chars: int | None = None
    prompt: str | None = None
    prompt_hash: str | None = None
    fault: str | None = None
    app_retry: int | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    cost: float | None = None
    attempts: int | None = None
    error: str | None = None
    phase: str | None = None
    busy: _Seconds | None = None
    kind: str | None = None
    delay: _Seconds | None = None


class _Version(msgspec.Struct):
    v: int
    e: Any = None


decode_piece = msgspec.json.Decoder(LoggedPiece).decode
decode_rest = msgspec.json.Decoder(RestOfLine).decode
_decode_version = msgspec.json.Decoder(_Version).decode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no line of ours can raise."""


def why_unreadable(line: bytes, error: Exception) -> str | None:
    """Return the reason to skip a line that ``decode_piece`` refused; ``None`` for a line aside."""
    if not isinstance(error, msgspec.ValidationError):
        return HALF
    try:
        found = _decode_version(line)
    except UNREADABLE:
        return FOREIGN
    if found.v > SCHEMA_VERSION:
        return NEWER
    return None if isinstance(found.e, str) and found.e in ASIDE else FOREIGN


@define(eq=False)
class LoggedFacts:
    """What single lines tell of a stream: how it began, was retried and ended.

    ``ending`` is set once the last line was among them, ``busy`` is what that one told (seconds).
    ``keep_prompt``: whether the text of the prompt is of interest.
    ``values``: fields of ``Timeline``.
    """

    keep_prompt: bool = False
    ending: Ending | None = None
    busy: float | None = None
    values: dict[str, Any] = field(factory=dict)
    _started: bool = False

    def add(self, line: LoggedPiece, rest: RestOfLine) -> str | None:
        """Take in a ``start``, ``retry``, ``complete`` or ``error`` line; return why not, if so."""
        event = line.e
        values = self.values
        if event == "start":
            if self._started:
                return TWICE
            self._started = True
            for name in _STARTS:
                values[name] = getattr(rest, name)
            if not self.keep_prompt:
                values["prompt"] = None
            values["tags"] = rest.tags or {}
        elif event == "retry":
            values["retries"] = (*values.get("retries", ()), rest.error or "unknown")
            values["retry_moments"] = (*values.get("retry_moments", ()), (line.t, rest.delay))
        elif event == "complete":
            values["model_used"] = rest.model
            for name in ("finish_reason", "cost", "attempts"):
                values[name] = getattr(rest, name)
            if rest.cost is not None and abs(rest.cost) > _MOST_COST:
                values["cost"] = None
            values["usage"] = _usage(rest.usage)
            self.ending, self.busy = Ending("complete", line.t), rest.busy
        else:
            values["attempts"] = rest.attempts
            self.ending = Ending("error", line.t, rest.error or "unknown", rest.phase)
            self.busy = rest.busy
        return None


@define(eq=False)
class OpenStream:
    """What is known of a stream until its ending has been read.

    ``add`` takes the stream's lines; ``ending`` is set once the last one has been among them.
    """

    id: str
    keep_text: bool
    _lengths: array[int] = field(factory=lambda: array("I"))
    _slots: array[int] = field(factory=lambda: array("I"))
    _choices: array[int] = field(factory=lambda: array("I"))
    _lags: array[float] = field(factory=lambda: array("d"))
    _times: array[float] = field(factory=lambda: array("d"))
    _reads: array[int] = field(factory=lambda: array("I"))
    _busy: array[float] = field(factory=lambda: array("d"))
    _lateness: Lateness = field(factory=Lateness)
    _pieces: dict[int, list[str]] = field(factory=dict)
    _has_reads: bool = True
    _has_lags: bool = False
    _has_busy: bool = False
    _time: float = -1.0
    _read: int | None = None
    _slot: int = -1
    _next: int = 0
    _lost: int = 0
    _facts: LoggedFacts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._facts = LoggedFacts(self.keep_text)

    def add(self, line: LoggedPiece, raw: bytes) -> str | None:
        """Take in a line; return why not, if so."""
        if line.v != SCHEMA_VERSION:
            return NEWER if line.v > SCHEMA_VERSION else FOREIGN
        if line.e == "token":
            return self._add_token(line)
        return self._add_event(line, raw) if line.e in OTHERS else FOREIGN

    def _add_token(self, line: LoggedPiece) -> str | None:
        t = line.t
        if t < self._time:
            return BACKWARDS
        index = line.i
        if index is not None and index != self._next:
            if index < self._next:
                return TWICE
            self._lost += index - self._next
            self._next = index
        self._next += 1
        if t > self._time or line.read != self._read:
            self._open_slot(t, line.read)
        self._slots.append(self._slot)
        if line.busy is not None:
            self._has_busy = True
            self._busy[self._slot] = line.busy
        lag = line.d
        if lag is None:
            self._lags.append(_NAN)
        else:
            self._lags.append(lag)
            self._has_lags = True
        self._lateness.add(t if line.read is None else line.read, lag, line.busy)
        self._add_text(line.text, line.len, line.choice)
        if line.choice or self._choices:
            self._choices.extend([0] * (len(self._slots) - 1 - len(self._choices)))
            self._choices.append(line.choice)
        return None

    def _open_slot(self, t: float, read: int | None) -> None:
        self._time = t
        self._read = read
        self._slot += 1
        self._times.append(t)
        self._busy.append(_NAN)
        if read is None:
            self._has_reads = False
        else:
            self._reads.append(read)

    def _add_text(self, text: str | None, length: int, choice: int) -> None:
        if text is None:
            self._lengths.append(length)
            self.keep_text = False
            return
        self._lengths.append(length or len(text))  # beside a text: what it was before redaction
        if not self.keep_text:
            return
        pieces = self._pieces.get(choice)
        if pieces is None:
            self._pieces[choice] = [text]
            return
        pieces.append(text)
        if len(pieces) >= _JOIN_AT:  # a str of one token costs 50 bytes before its first character
            pieces[:] = ["".join(pieces)]

    def _add_event(self, line: LoggedPiece, raw: bytes) -> str | None:
        try:
            rest = decode_rest(raw)
        except UNREADABLE:
            return FOREIGN
        if line.e in OUTPUTS:
            self._add_output(line, rest.kind)
            return None
        problem = self._facts.add(line, rest)
        if self.ending is not None:
            self._lateness.ended(self._facts.busy)
        return problem

    def _add_output(self, line: LoggedPiece, kind: str | None) -> None:
        event = line.e
        if event in ("tool_call", "delta"):
            self._lateness.add_other()
        else:
            self._lateness.add(line.t if line.read is None else line.read, line.d, line.busy)
        if event == "delta" and kind not in OUTPUT_KINDS:
            return
        values = self._facts.values
        values["reasoning"] = values.get("reasoning", False) or event == "reasoning"
        values.setdefault("first_output", line.t)
        values["last_output"] = line.t

    @property
    def ending(self) -> Ending | None:
        """How the stream ended, once that line was taken in."""
        return self._facts.ending

    def timeline(self) -> Timeline:
        """Return what is known; the arrays are handed over."""
        values = self._facts.values
        if self.ending is None:
            self._lateness.ended(None)
        if self._times:
            first, last = self._times[0], self._times[-1]
            values["first_output"] = min(first, values.get("first_output", first))
            values["last_output"] = max(last, values.get("last_output", last))
        texts = {choice: "".join(pieces) for choice, pieces in self._pieces.items()}
        return Timeline(
            stream=self.id,
            lengths=self._lengths,
            slots=self._slots,
            choices=self._choices,
            lags=self._lags if self._has_lags else array("d"),
            times=self._times,
            reads=self._reads if self._has_reads else array("I"),
            busy=self._busy if self._has_busy else array("d"),
            lateness=self._lateness,
            texts=texts if self.keep_text else None,
            ending=self.ending,
            lost=self._lost,
            **values,
        )


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    if usage is None:
        return None
    counts = {name: usage.get(name) for name in COUNTS}
    known: dict[str, Any] = {
        name: count
        for name, count in counts.items()
        if type(count) is int and 0 <= count <= _MOST_COUNT
    }
    return Usage(**known)
