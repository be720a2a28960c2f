"""From the raw reads of a recording to the pieces of a timeline log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from lm_deluge.config import Limits
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.logs.assembly import LoggedPiece
from lm_deluge.recording.format import HeadLine, ReadLine, RequestLine
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor

__all__ = ["RecordedStream"]

_request = msgspec.json.Decoder(RequestLine).decode
_head = msgspec.json.Decoder(HeadLine).decode
_read = msgspec.json.Decoder(ReadLine).decode

_JSON = ("application/json", "text/json", "application/problem+json")


class RecordedStream:
    """One stream's raw lines in, the lines of its pieces out: the decoder of the engine reads them."""

    def __init__(self) -> None:
        self._answer = _answer_of("chat", 1)
        self._status = 200
        self._json: list[bytes] | None = None
        self._t = 0.0

    def pieces(self, line: bytes, event: str) -> Iterator[LoggedPiece]:
        """Yield the pieces that became whole with a line.

        Raises ``msgspec.DecodeError`` or ``ValueError`` for a line that makes no sense.
        """
        if event == "request":
            request = _request(line)
            self._answer = _answer_of(request.dialect, request.n)
            self._status, self._json = 200, None
        elif event == "head":
            head = _head(line)
            self._status = head.status
            self._json = [] if _is_json(head.headers) else None
        elif event == "read":
            read = _read(line)
            self._t = read.t
            if self._json is not None:
                self._json.append(read.data)
            elif self._status == 200:
                yield from _as_lines(self._answer.feed(read.data, read.t), read.s)
        elif self._json and self._status == 200:
            yield from _as_lines(
                self._answer.feed_json(b"".join(self._json), self._t), _head_of(line)
            )
        elif self._json is None and self._status == 200:
            yield from _as_lines(self._answer.close(self._t), _head_of(line))


def _answer_of(dialect: str, choices: int) -> AnswerReader:
    return dialect_named(dialect).answer(
        choices=choices, limits=Limits(), accept_eof=False, redactor=Redactor()
    )


class _StreamOfLine(msgspec.Struct):
    s: str


def _head_of(line: bytes) -> str:
    return msgspec.json.decode(line, type=_StreamOfLine).s


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() in _JSON


def _as_lines(pieces: list[Token | Delta], stream: str) -> Iterator[LoggedPiece]:
    for piece in pieces:
        kind = "token" if isinstance(piece, Token) else piece.kind
        if kind == "citation":
            # No output, and all that a line of it says is that it came.
            continue
        if kind == "server_tool":
            kind = "tool_call"
        yield LoggedPiece(
            1,
            kind,
            stream,
            piece.arrived,
            piece.index,
            piece.text,
            0,
            piece.read,
            choice=piece.choice,
        )
