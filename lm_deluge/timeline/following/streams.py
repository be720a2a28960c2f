"""The streams of logs that grow: those that run now, and those that ended in the last minutes.

Bounded, over days: of streams that ended at most ``MOST_ENDED``, the newest, and none that ended
before the window; of running ones at most ``MOST_RUNNING``, and none that was silent for long.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from attrs import define, field

from lm_deluge.logs.assembly import (
    ASIDE,
    ENDINGS,
    SEEN,
    UNREADABLE,
    LoggedPiece,
    OpenStream,
    decode_piece,
    why_unreadable,
)
from lm_deluge.logs.seen_lines import take_seen
from lm_deluge.recording.format import RAW_EVENTS
from lm_deluge.recording.pieces import RecordedStream
from lm_deluge.timeline.following.files import GrowingFiles
from lm_deluge.values.sightings import LoggedSightings
from lm_deluge.values.timeline import Timeline

__all__ = ["MOST_ENDED", "FollowedLog", "RunningStream", "wall_clock"]

MOST_ENDED: Final = 2_000
MOST_RUNNING: Final = 10_000
#: Seconds after which a stream of which nothing more came is given up, if the window is not longer.
_SILENT: Final = 600.0
_MOST_IDS: Final = 20_000

_OUTPUT: Final = frozenset({"token", "reasoning", "refusal", "tool_call", "delta"})


class _Start(msgspec.Struct):
    """What a start line says of whose stream it is, and when."""

    model: str | None = None
    tags: dict[str, Any] | None = None
    at: str | None = None


_decode_start = msgspec.json.Decoder(_Start).decode


@define
class RunningStream:
    """A stream that has not ended.

    ``about``: its model and tags, as a timeline without pieces. ``began``: of t0, wall clock in seconds;
    ``None`` where the log does not tell. ``last``: of the last line. ``output``: of the last output,
    ``None`` before any. ``retries``: attempts that failed so far.
    """

    open: OpenStream
    about: Timeline
    began: float | None
    last: float
    output: float | None = None
    retries: int = 0
    recorded: RecordedStream | None = field(default=None, repr=False)

    def waited(self, now: float) -> float:
        """Seconds since its request was sent, as far as known."""
        return max(0.0, now - (self.began if self.began is not None else self.last))


class FollowedLog:
    """Follow logs given by path or pattern.

    ``window``: seconds; how long a stream that ended counts. ``clock``: wall clock in seconds.
    ``running`` and ``ended`` are of the last ``poll``; ``ended`` has the oldest first. ``newest``: when
    the newest line was written, wall clock; ``None`` before any. ``skipped``: lines not understood.
    """

    def __init__(
        self,
        sources: Sequence[str],
        *,
        window: float,
        clock: Callable[[], float] = time.time,
        files: GrowingFiles | None = None,
    ) -> None:
        self.running: OrderedDict[str, RunningStream] = OrderedDict()
        self.newest: float | None = None
        self.skipped = 0
        self.lines = 0
        self._window = window
        self._clock = clock
        self._files = files if files is not None else GrowingFiles(sources)
        self._ended: deque[tuple[float, Timeline]] = deque(maxlen=MOST_ENDED)
        self._past: OrderedDict[str, None] = OrderedDict()
        self._sightings = LoggedSightings()
        self._crowded_until = 0.0

    @property
    def ended(self) -> list[Timeline]:
        """The streams that ended in the window, without their texts."""
        return [timeline for _, timeline in self._ended]

    @property
    def is_crowded(self) -> bool:
        """Whether more ended in the window than are kept."""
        return self._crowded_until > self._clock()

    @property
    def files(self) -> int:
        """How many files are read now."""
        return self._files.found

    def poll(self) -> bool:
        """Read what is new; return whether anything was. Raises ``OSError`` as ``GrowingFiles.poll``."""
        now = self._clock()
        lines = self._files.poll(now)
        for line in lines:
            if line and not line.isspace():
                self._take(line, now)
        self._forget(now)
        return bool(lines)

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _take(self, line: bytes, now: float) -> None:
        self.lines += 1
        try:
            piece = decode_piece(line)
        except UNREADABLE as error:
            self._take_unreadable(line, error)
            return
        running = self.running.get(piece.s)
        if piece.e == SEEN:
            self.skipped += 1  # a good one is no such piece: it has two numbers for its ``i``
            return
        if piece.e in ASIDE and (piece.e not in RAW_EVENTS or running is None):
            return
        if running is None:
            if piece.e != "start" or piece.s in self._past:
                return  # its beginning was not read, so that its waits are not known
            about = Timeline(stream=piece.s)
            running = self.running[piece.s] = RunningStream(
                OpenStream(piece.s, keep_text=False), about, None, now
            )
            if len(self.running) > MOST_RUNNING:
                self.running.popitem(last=False)
        if piece.e == "start":
            _begin(running, line)
        problem = _add(running, piece, line)
        if problem is not None:
            self.skipped += 1
            return
        moment = now if running.began is None else min(now, running.began + piece.t)
        running.last = max(running.last if running.began is None else 0.0, moment)
        self.newest = moment if self.newest is None else max(self.newest, moment)
        if piece.e in _OUTPUT or piece.e in RAW_EVENTS:
            running.output = moment
        running.retries += piece.e == "retry"
        self.running.move_to_end(piece.s)
        if piece.e in ENDINGS:
            self._end(piece.s, moment)

    def _take_unreadable(self, line: bytes, error: Exception) -> None:
        is_seen, problem = take_seen(line, self.lines, self._sightings)
        if is_seen:
            self.skipped += problem is not None
        else:
            self.skipped += why_unreadable(line, error) is not None

    def _end(self, stream: str, moment: float) -> None:
        timeline = self.running.pop(stream).open.timeline()
        timeline.sightings = self._sightings
        if len(self._ended) == MOST_ENDED:
            self._crowded_until = self._ended[0][0] + self._window
        self._ended.append((moment, timeline))
        self._past[stream] = None
        if len(self._past) > _MOST_IDS:
            self._past.popitem(last=False)

    def _forget(self, now: float) -> None:
        since = now - self._window
        if any(moment < since for moment, _ in self._ended):  # not in order: logs of many processes
            kept = [entry for entry in self._ended if entry[0] >= since]
            self._ended = deque(kept, maxlen=MOST_ENDED)
        silent = now - max(self._window, _SILENT)
        for stream in [s for s, running in self.running.items() if running.last < silent]:
            del self.running[stream]
        if self._sightings.streams:
            self._sightings.keep({*self.running, *(timeline.stream for _, timeline in self._ended)})


def _begin(running: RunningStream, line: bytes) -> None:
    try:
        start = _decode_start(line)
    except UNREADABLE:
        return
    running.about = Timeline(
        stream=running.about.stream, model=start.model, tags=start.tags or {}, at=start.at
    )
    running.began = wall_clock(start.at)


def _add(running: RunningStream, piece: LoggedPiece, line: bytes) -> str | None:
    if piece.e not in RAW_EVENTS:
        return running.open.add(piece, line)
    if running.recorded is None:
        running.recorded = RecordedStream()
    try:
        for each in running.recorded.pieces(line, piece.e):
            running.open.add(each, line)
    except (*UNREADABLE, ValueError) as error:
        return why_unreadable(line, error)
    return None


def wall_clock(at: str | None) -> float | None:
    """Return ISO 8601 as seconds of the wall clock; UTC without an offset; ``None`` if it is neither."""
    try:
        moment = datetime.fromisoformat(at) if at is not None else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
