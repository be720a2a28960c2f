"""``Recorder``: a file of recordings, and who writes one stream's lines into it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Awaitable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lm_deluge.appending import Appender
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.logs.record import Line, encode, read_start_line
from lm_deluge.logs.stream_lines import (
    complete_line_of,
    error_line_of,
    retry_line_of,
    start_line_of,
)
from lm_deluge.observers.retry import Retry
from lm_deluge.recording.format import (
    VERSION,
    CloseLine,
    HeadLine,
    How,
    RequestLine,
    is_harmless,
    read_line,
    request_hash,
)
from lm_deluge.recording.read_redactor import ReadRedactor
from lm_deluge.values.checks import checked_flag, checked_path
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.http.request import Request
    from lm_deluge.observers.stream import Stream

__all__ = ["Recorder", "StreamRecorder"]

#: Seconds that the end of the program waits for a disk that hangs, at most.
_EXIT: Final = 10.0


class Arrived(NamedTuple):
    """A network read: seconds from t0, and the bytes."""

    t: float
    data: bytes


class Begun(NamedTuple):
    """A stream's first line as JSON, and the stream, whose prompt's hash is to be added."""

    line: bytes
    stream: Stream


Item = tuple[
    "RecordedAttempt | None",
    "bytes | Line | HeadLine | CloseLine | tuple[RequestLine, Request, bool] | Arrived | Begun",
]
"""A line; a request, and whether to keep its body; a read of an attempt; or a stream's beginning."""


class Recorder:
    """Appends the raw bytes of streams to a file: ``LLMClient(record=Recorder("run.rec"))``.

    A thread writes: the event loop never waits for the disk. Several clients, and several processes,
    may record into one file. A killed process loses at most the last half second. When the file cannot
    be written the streams go on and list the failure in ``handler_failures``.

    Keys are replaced by ``[redacted]`` wherever they are, also where the server echoes them, in whatever
    encoding, and network reads or the pieces of the answer cut them. Of the response's headers a list of
    harmless ones is kept, of the request's none. The answers themselves are in the file, and with
    ``body=True`` so are the prompts: it is created readable by its owner only.

    ``path``: the file; its directory must exist; a relative one is fixed here. ``body``: whether to
    keep the request's body, besides its hash, and how the prompt begins and its hash.

    Raises ``FileNotFoundError`` if the directory does not exist, ``IsADirectoryError`` for a directory.
    """

    def __init__(self, path: str | os.PathLike[str], *, body: bool = True) -> None:
        given = Path(checked_path("path", path))
        self.path = given.absolute()
        if given.is_dir():
            message = f"a recording must be a file; {str(given)!r} is a directory"
            raise IsADirectoryError(message)
        if not given.parent.is_dir():
            message = f"there is no directory {str(given.parent)!r} for the recording"
            raise FileNotFoundError(message)
        self._body = checked_flag("body", body)
        self._appender: Appender[Item] = Appender(
            self.path, _encoded, name=f"Recorder {self.path.name}", mode=0o600
        )
        # At the end of the program, too: nothing that was recorded is lost.
        weakref.finalize(self, self._appender.close, _EXIT)

    def for_stream(self) -> StreamRecorder:
        """Return what records one stream."""
        return StreamRecorder(self._appender, body=self._body)

    def flush(self) -> None:
        """Write what waits, now; blocks until it is written, and raises what kept it from that."""
        self._appender.flush().result()

    def close(self) -> None:
        """Write what waits and stop the thread. The recorder can be used again."""
        self._appender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class RecordedAttempt:
    """One request and its answer; ``moments`` of its reads, in the thread that writes."""

    def __init__(self, stream: str, number: int, redactor: Redactor, choices: int) -> None:
        self.stream = stream
        self.number = number
        self.veil = ReadRedactor(redactor, choices)
        self.moments: list[float] = []


class StreamRecorder:
    """A handler of one stream that also hears of every network read of its attempts."""

    def __init__(self, appender: Appender[Item], *, body: bool) -> None:
        self._appender = appender
        self._add = appender.add
        self._body = body
        self._failures = appender.failures
        self._stream = ""
        self._redactor = Redactor()
        self._attempt: RecordedAttempt | None = None

    def on_start(self, stream: Stream) -> None:
        """The stream begins."""
        self._stream = stream.id
        self._redactor = stream.redactor
        # Encoded here: tags that JSON cannot hold are this stream's failure, not the whole batch's.
        line = self._redactor.json(encode(start_line_of(stream, prompt=self._body)))
        self._add((None, Begun(line, stream) if self._body else line))

    def sent(self, request: Request, t: float, choices: int, dialect: str) -> None:
        """A request is about to be sent, ``t`` seconds after t0; it asks for so many ``choices``."""
        number = self._attempt.number + 1 if self._attempt is not None else 1
        self._attempt = RecordedAttempt(self._stream, number, request.redactor, choices)
        url = f"{request.shown_url}{request.path}"
        line = RequestLine(VERSION, "request", self._stream, round(t, 6), number, url, "", choices)
        line.dialect = dialect
        # The body may be megabytes: the thread takes care of it.
        self._add((None, (line, request, self._body)))

    def answered(
        self, request: Request, status: int, headers: Iterable[tuple[str, str]], t: float
    ) -> None:
        """The head of the response arrived."""
        kept = {
            request.redact(name.lower()): request.redact(value)
            for name, value in headers
            if is_harmless(name.lower())
        }
        self._add(
            (None, HeadLine(VERSION, "head", self._stream, round(t, 6), self._number, status, kept))
        )

    def read(self, data: bytes, t: float) -> None:
        """A network read of the body arrived."""
        if data:
            self._add((self._attempt, Arrived(t, data)))

    def closed(self, error: BaseException | None, t: float) -> None:
        """The attempt is over: with a whole answer, or with ``error``."""
        line = CloseLine(VERSION, "close", self._stream, round(t, 6), self._number, _how(error))
        self._add((self._attempt, line))

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """The attempt failed, and another follows."""
        self._add((None, retry_line_of(stream, retry)))

    def on_complete(self, stream: Stream, response: APIResponse) -> Awaitable[None]:
        """The answer is whole. The ending waits until it is written."""
        return self._ended(complete_line_of(stream, response))

    def on_error(self, stream: Stream, error: StreamError) -> Awaitable[None]:
        """The stream ended any other way. The ending waits until it is written."""
        source = error.partial.source if error.partial is not None else None
        pieces = len(source.arrivals) + source.arrivals.deltas if source is not None else 0
        return self._ended(error_line_of(stream, error, pieces=pieces))

    @property
    def _number(self) -> int:
        assert self._attempt is not None, "sent() comes first"
        return self._attempt.number

    def _ended(self, line: Line) -> Awaitable[None]:
        self._add((None, self._redactor.json(encode(line))))
        return self._appender.kept(self._failures)


def _how(error: BaseException | None) -> How:
    if isinstance(error, APITimeoutError):
        return "silent"
    if isinstance(error, (ConnectionLostError, APIConnectionError)):
        return "lost"
    if isinstance(error, AnswerCutError):
        return "ended"
    if error is None or (isinstance(error, StreamError) and not isinstance(error, StreamCancelled)):
        return "whole"
    return "left"


def _encoded(items: list[Item]) -> bytes:
    """Return a batch; in the thread. Reads lose their secrets here."""
    lines: list[bytes] = []
    waiting: dict[RecordedAttempt, list[tuple[int, bytes]]] = {}
    for attempt, item in items:
        if attempt is not None and isinstance(item, Arrived):
            waiting.setdefault(attempt, []).append((len(attempt.moments), item.data))
            attempt.moments.append(item.t)
            continue
        if attempt is not None:
            lines += _reads(attempt, attempt.veil.feed(*waiting.pop(attempt, ())))
            lines += _reads(attempt, attempt.veil.close())
        if isinstance(item, bytes):
            lines.append(item)
        elif isinstance(item, Line):
            lines.append(encode(item))
        elif isinstance(item, Begun):
            start = read_start_line(item.line)
            start.prompt_hash = item.stream.prompt_hash
            lines.append(encode(start))
        elif isinstance(item, tuple) and not isinstance(item, Arrived):
            lines.append(_request(*item))
        else:
            lines.append(msgspec.json.encode(item))
    for attempt, reads in waiting.items():
        lines += _reads(attempt, attempt.veil.feed(*reads))
    return b"\n" + b"\n".join(lines) + b"\n" if lines else b""


def _request(line: RequestLine, request: Request, keep_body: bool) -> bytes:  # noqa: FBT001
    line.hash = request_hash(request.body)
    if keep_body:
        line.body = request.redact(request.body.decode("utf-8", "replace"))
    return msgspec.json.encode(line)


def _reads(attempt: RecordedAttempt, passed: Iterable[tuple[int, bytes]]) -> list[bytes]:
    return [
        msgspec.json.encode(
            read_line(attempt.stream, attempt.moments[number], attempt.number, number, data)
        )
        for number, data in passed
    ]
