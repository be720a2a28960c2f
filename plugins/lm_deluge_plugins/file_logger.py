"""``FileLogger``: the timeline log of docs/design/metrics.md, one JSON object a line."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token
from lm_deluge.appending import Appender, appendable
from lm_deluge.config import checked_flag, checked_tags
from lm_deluge.errors import StreamError
from lm_deluge.timeline.record import (
    Line,
    PieceLine,
    StartLine,
    complete_line_of,
    delta_line,
    encode,
    encode_lines,
    error_line_of,
    note_line_of,
    piece_line,
    read_start_line,
    request_line_of,
    retry_line_of,
    seen_line_of,
    start_line_of,
    token_line,
    tool_call_line,
)

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge import Redactor
    from lm_deluge.proxy import Note, PassedRequest
    from lm_deluge_plugins.relay import Sight

__all__ = ["FileLogger"]

logger = logging.getLogger("lm_deluge")

#: The fields that every line has: nothing in them is anybody's text.
_COMMON: Final = len(Line.__struct_fields__)

#: Lines after which the writer does not wait for the interval.
_BATCH: Final = 20_000


class FileLogger(StreamHandler):
    """Appends the timeline of every stream it hears to a file.

    The lines are written by a thread: the event loop never waits for the disk. Several processes may
    append to one file. A killed process loses at most the last half second. A file that was moved
    away (logrotate) is noticed and opened anew. When the disk is full or the directory gone, the
    streams go on and list the failure in ``handler_failures``. A stream's keys are replaced by
    ``[redacted]`` wherever the server or the model said them, also piece by piece.

    ``path``: the log; its directory must exist; a relative one is fixed here. ``text``: ``False`` writes
    lengths in the place of all content: no piece of prompt or answer gets into the file. ``prompt``:
    whether the file tells how each prompt begins (up to 200 characters of the last user message) and its
    hash, by which a report finds the streams that answered the same one; ``"hash"``: the hash alone;
    ``None``: as ``text``. Who knows what may have been asked can tell from a hash which of it was.
    ``tags``: added to those of each stream. A file that is made is readable by its owner alone.

    Raises ``FileNotFoundError`` if the directory does not exist, ``IsADirectoryError`` for a directory,
    ``TypeError`` or ``ValueError`` naming an argument that makes no sense.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        text: bool = True,
        prompt: bool | Literal["hash"] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = appendable(path, "the timeline log")
        self._text = checked_flag("text", text)
        self._prompt = _checked_prompt(prompt, text=self._text)
        self._tags = checked_tags("tags", tags)
        self._hashed: dict[str, Stream] = {}
        self._redactors: dict[str, _LineRedactor] = {}
        self._writer: Appender[Line] = Appender(
            self.path,
            partial(_encoded, self._redactors, self._hashed),
            name=f"FileLogger {self.path.name}",
            batch=_BATCH,
            follow=True,
            mode=0o600,
        )
        self._add = self._writer.add
        self._logs: dict[str, _Log] = {}
        self._writer.close_with(self)

    def on_start(self, stream: Stream) -> None:
        """Log where and when the stream begins. Tags that JSON cannot hold are this one's failure."""
        line = start_line_of(stream, self._tags, prompt=self._prompt is True)
        self._log(stream)
        data = encode(line)
        redactor = _redactor_of(stream)
        clean = data if redactor is None else redactor.json(data)
        if self._prompt:
            self._hashed[stream.id] = stream
        # A tag may be any object: what it writes of itself is known only once it is written.
        self._add(line if clean is data else read_start_line(clean))

    def on_token(self, stream: Stream, token: Token) -> None:
        """Log one piece of visible text."""
        text = token.text
        read = token.read
        name = stream.id
        log = self._logs.get(name) or self._log(stream)
        log.pieces += 1
        busy = None
        if log.read != read:
            log.read = read
            busy = stream.busy
        self._add(
            token_line(
                name,
                token.arrived,
                token.index,
                text if self._text else None,
                read,
                stream.elapsed - token.arrived,
                busy,
                token.choice,
                len(text),
            )
        )

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Log one piece of anything else."""
        log = self._log(stream)
        if delta.kind == "tool_call":
            self._add(
                tool_call_line(
                    stream.id,
                    delta.arrived,
                    index=delta.index,
                    name=delta.name if self._text else None,
                    length=len(delta.text),
                )
            )
            return
        if delta.kind != "reasoning" and delta.kind != "refusal":
            length = len(delta.text)
            self._add(delta_line(stream.id, delta.arrived, kind=delta.kind, length=length))
            return
        log.pieces += 1
        busy = None
        if log.read != delta.read:
            log.read = delta.read
            busy = stream.busy
        self._add(
            piece_line(
                delta.kind,
                stream.id,
                delta.arrived,
                delta.index,
                delta.text if self._text else None,
                delta.read,
                stream.elapsed - delta.arrived,
                busy,
                delta.choice,
                len(delta.text),
            )
        )

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """Log an attempt that failed."""
        self._add(retry_line_of(stream, retry))

    def on_complete(self, stream: Stream, response: APIResponse) -> Awaitable[None]:
        """Log a whole answer. The ending waits until the line is written."""
        self._log(stream)
        self._add(complete_line_of(stream, response, text=self._text))
        return self._ended(stream)

    def on_error(self, stream: Stream, error: StreamError) -> Awaitable[None]:
        """Log any other ending. The ending waits until the line is written."""
        pieces = self._log(stream).pieces
        self._add(error_line_of(stream, error, pieces=pieces, text=self._text))
        return self._ended(stream)

    def on_request(self, request: PassedRequest) -> None:
        """Log a request that a proxy passed on and that did not stream: model, status, wait and size."""
        self._add(request_line_of(request))

    def on_note(self, note: Note) -> None:
        """Log what a proxy did not understand, and where."""
        self._add(note_line_of(note))

    def on_seen(self, sight: Sight) -> None:
        """Log what a reader's browser saw, where a relay is told so: ``Relay(seen=FileLogger(...))``."""
        self._add(seen_line_of(sight))

    def flush(self) -> None:
        """Write what waits, now; blocks until it is written, and raises what kept it from that."""
        self._writer.flush().result()

    def close(self) -> None:
        """Write what waits and stop the thread. The logger can be used again."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _log(self, stream: Stream) -> _Log:
        log = self._logs.get(stream.id)
        if log is None:
            log = self._logs[stream.id] = _Log(self._writer.failures)
            if redactor := _redactor_of(stream):
                self._redactors[stream.id] = _LineRedactor(redactor)
        return log

    def _ended(self, stream: Stream) -> Awaitable[None]:
        log = self._logs.pop(stream.id, None)
        failures = log.failures if log is not None else self._writer.failures
        return self._writer.kept(failures)


@define
class _Log:
    """One stream that is being logged.

    ``failures``: of the writer, at the stream's first line. ``read``: the last network read that a
    line was about. ``pieces``: received so far, tool calls not counted.
    """

    failures: int
    read: int = -1
    pieces: int = 0


def _checked_prompt(prompt: Any, *, text: bool) -> bool | Literal["hash"]:
    if isinstance(prompt, str) and prompt == "hash":
        return "hash"
    given = checked_flag("prompt", prompt, optional="as text; 'hash' for the hash alone")
    return text if given is None else bool(given)


def _redactor_of(stream: Stream) -> Redactor | None:
    """Return the stream's, if it has secrets; a stand-in for a stream need not have one."""
    return getattr(stream, "redactor", None) or None


class _LineRedactor:
    """What keeps the secrets of one stream out of its lines; used by the thread that writes."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._texts: dict[tuple[str, int], Any] = {}

    def cover_pieces(self, kind: tuple[str, int], lines: Sequence[PieceLine]) -> None:
        """Take the secrets out of the next pieces of one text."""
        text = self._texts.get(kind)
        if text is None:
            text = self._texts[kind] = self._redactor.pieces()
        given = [line.text or "" for line in lines]
        clean = text.feed(given)
        if clean is not None:
            for line, came, kept in zip(lines, given, clean, strict=True):
                if kept != came:
                    line.text, line.len = kept, len(came)

    def cover(self, line: Line) -> None:
        """Take the secrets out of any other line."""
        for name in line.__struct_fields__[_COMMON:]:
            value = getattr(line, name)
            if isinstance(value, (str, dict)):
                setattr(line, name, self._redactor.data(value))


def _cover(redactors: dict[str, _LineRedactor], lines: list[Line]) -> None:
    texts: dict[tuple[str, str, int], list[PieceLine]] = {}
    ended: list[str] = []
    for line in lines:
        if type(line) is PieceLine:
            if line.text is None:
                continue
            key = (line.s, line.e, line.choice)
            if key in texts:
                texts[key].append(line)
            else:
                texts[key] = [line]
        elif line.s in redactors:
            redactors[line.s].cover(line)
            if line.e in ("complete", "error"):
                ended.append(line.s)
    for (stream, event, choice), pieces in texts.items():
        if stream in redactors:
            redactors[stream].cover_pieces((event, choice), pieces)
    for stream in ended:
        del redactors[stream]


def _add_hashes(hashed: dict[str, Stream], lines: list[Line]) -> None:
    """Add the hashes of prompts: a long one takes milliseconds that no event loop should wait for."""
    for line in lines:
        if type(line) is StartLine:
            stream = hashed.pop(line.s, None)
            if stream is not None:
                line.prompt_hash = stream.prompt_hash or None


def _encoded(
    redactors: dict[str, _LineRedactor], hashed: dict[str, Stream], lines: list[Line]
) -> bytes:
    """Return lines as JSON; leave out what cannot be written, so that it harms no other stream.

    They begin with a newline, so that half a line of a killed process harms none after it.
    """
    if redactors:
        _cover(redactors, lines)
    if hashed:
        _add_hashes(hashed, lines)
    try:
        return b"\n" + encode_lines(lines)
    except Exception:  # noqa: BLE001 - tags that changed after on_start may raise anything
        kept = [b"\n"]
        for line in lines:
            try:
                kept.append(encode(line) + b"\n")
            except Exception as error:  # noqa: BLE001 - likewise
                # Its words are those of somebody's object: they may quote anything.
                kind = type(error).__name__
                logger.error("a line of the timeline log could not be written: %s", kind)  # noqa: TRY400
        return b"".join(kept)
