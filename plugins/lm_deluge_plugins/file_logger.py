"""``FileLogger``: the timeline log of METRICS, one JSON object a line."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token, Usage
from lm_deluge.errors import StreamError
from lm_deluge.timeline.record import (
    Line,
    complete_line,
    encode_lines,
    error_line,
    piece_line,
    retry_line,
    start_line,
    token_line,
    tool_call_line,
)

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FileLogger"]

#: Seconds that lines wait for others, at most. What a killed process loses.
_INTERVAL: Final = 0.25

#: Lines after which the writer does not wait for the interval.
_BATCH: Final = 20_000


class FileLogger(StreamHandler):
    """Appends the timeline of every stream it hears to a file.

    The lines are written by a thread: the event loop never waits for the disk. Several processes may
    append to one file. A killed process loses at most the last half second. A file that was moved
    away (logrotate) is noticed and opened anew. When the disk is full or the directory gone, the
    streams go on and list the failure in ``handler_failures``.

    ``path``: the log; its directory must exist. ``text``: ``False`` writes lengths in the place of all
    content: no piece of prompt or answer gets into the file. ``tags``: added to those of each stream.

    Raises ``FileNotFoundError`` if the directory does not exist, ``IsADirectoryError`` for a directory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        text: bool = True,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            message = f"the timeline log must be a file; {str(self.path)!r} is a directory"
            raise IsADirectoryError(message)
        if not self.path.parent.is_dir():
            message = f"there is no directory {str(self.path.parent)!r} for the timeline log"
            raise FileNotFoundError(message)
        self._text = text
        self._tags = dict(tags or {})
        self._writer = _Writer(self.path)
        self._add = self._writer.add
        self._reads: dict[str, int] = {}
        self._pieces: dict[str, int] = {}
        # At the end of the program, too: nothing that was logged is lost.
        self._close = weakref.finalize(self, self._writer.close)

    def on_start(self, stream: Stream) -> None:
        """Log where and when the stream begins."""
        at = stream.started_at
        self._add(
            start_line(
                stream.id,
                model=stream.model,
                at=at.isoformat(timespec="milliseconds") if at is not None else "",
                base_url=stream.base_url,
                queued=stream.queued,
                tags={**stream.tags, **self._tags},
                prompt_chars=stream.prompt_chars,
            )
        )

    def on_token(self, stream: Stream, token: Token) -> None:
        """Log one piece of visible text."""
        text = token.text
        id_ = stream.id
        read = token.read
        busy = None
        if self._reads.get(id_) != read:
            self._reads[id_] = read
            busy = stream.busy
        self._add(
            token_line(
                id_,
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
        self._pieces[id_] = self._pieces.get(id_, 0) + 1

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Log one piece of anything else."""
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
        busy = None
        if self._reads.get(stream.id) != delta.read:
            self._reads[stream.id] = delta.read
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
        self._pieces[stream.id] = self._pieces.get(stream.id, 0) + 1

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """Log an attempt that failed."""
        self._add(
            retry_line(
                stream.id,
                stream.elapsed,
                error=type(retry.error).__name__,
                attempt=retry.attempt,
                delay=retry.delay,
            )
        )

    def on_complete(self, stream: Stream, response: APIResponse) -> Awaitable[None]:
        """Log a whole answer. The ending waits until the line is written."""
        self._add(
            complete_line(
                stream.id,
                response.elapsed,
                model=response.model_used,
                finish_reason=response.finish_reason,
                usage=_counts(response.usage),
                cost=response.cost,
                response_id=response.response_id,
                attempts=response.attempts,
            )
        )
        return self._ended(stream)

    def on_error(self, stream: Stream, error: StreamError) -> Awaitable[None]:
        """Log any other ending. The ending waits until the line is written."""
        self._add(
            error_line(
                stream.id,
                error.elapsed if error.elapsed is not None else stream.elapsed,
                error=type(error).__name__,
                phase=error.phase,
                tokens=self._pieces.get(stream.id, 0),
                attempts=error.attempts,
                message=str(error) if self._text else None,
            )
        )
        return self._ended(stream)

    def flush(self) -> None:
        """Write what waits, now; blocks until it is written. Raises ``OSError`` if it cannot be."""
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

    def _ended(self, stream: Stream) -> Awaitable[None]:
        self._reads.pop(stream.id, None)
        self._pieces.pop(stream.id, None)
        return _wait_for(self._writer.flush())


async def _wait_for(written: Future[None]) -> None:
    await asyncio.wrap_future(written)


def _counts(usage: Usage | None) -> dict[str, int | None] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


class _Writer:
    """The thread that appends lines to one file, a batch at a time.

    A batch is one ``write`` to a file opened for appending, so batches of several processes do not
    mix, and begins with a newline, so a half line of a killed process harms none after it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: deque[Line] = deque()
        self._waiting: deque[Future[None]] = deque()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._pid = os.getpid()
        self._descriptor: int | None = None

    def add(self, line: Line) -> None:
        """Queue one line; never blocks."""
        self._lines.append(line)
        if self._thread is None or len(self._lines) >= _BATCH:
            self._start()

    def flush(self) -> Future[None]:
        """Return a future that is done, or fails with ``OSError``, once all before it is written."""
        written: Future[None] = Future()
        self._waiting.append(written)
        self._start()
        self._wake.set()
        return written

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._lock:
            thread = self._thread
            self._closing = True
        self._wake.set()
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join()
        with self._lock:
            self._thread = None
            self._closing = False
        self._write_batch()
        self._release()

    def _start(self) -> None:
        if len(self._lines) >= _BATCH:
            self._wake.set()
        if self._thread is not None and self._thread.is_alive() and self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():  # a forked child: the parent writes its own lines
                self._pid = os.getpid()
                self._lines.clear()
                self._thread = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._work, name=f"FileLogger {self._path.name}", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            self._write_batch()

    def _write_batch(self) -> None:
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        failure: OSError | ValueError | TypeError | None = None
        try:
            if lines:
                self._append(b"\n" + encode_lines(lines))
        except (OSError, ValueError, TypeError) as error:
            self._release()
            failure = error
        for written in waiting:
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)

    def _append(self, data: bytes) -> None:
        descriptor = self._open()
        while data:
            count = os.write(descriptor, data)
            data = data[count:]

    def _open(self) -> int:
        """Return the descriptor of the file that has the path now."""
        if self._descriptor is not None:
            try:
                if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                    return self._descriptor
            except FileNotFoundError:
                pass
            self._release()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self._descriptor

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
