"""Lines beside a stream's timeline: what passed a proxy and did not stream, and what browsers saw.

What they ask of a ``PassedRequest``, a ``Note`` and a relay's ``Sight`` is named here, because all of them
live in a later room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lm_deluge.logs.record import SCHEMA_VERSION, Line

__all__ = [
    "NoteLine",
    "PassedLine",
    "SeenLine",
    "note_line_of",
    "request_line_of",
    "seen_line_of",
]


class PassedLine(Line, gc=False):
    """A request that did not stream went through."""

    model: str | None
    status: int | None
    wait: float | None
    bytes: int


class NoteLine(Line, gc=False):
    """Something was not understood, and passed on."""

    offset: int
    what: str


class SeenLine(Line, omit_defaults=True, gc=True):
    """A browser told what it saw: see ``seen_line_of``."""

    i: tuple[int, int]
    arrived: Sequence[float]
    painted: Sequence[float | None]
    hidden: bool
    bound: float
    r: int
    asked: float | None = None


class LoggedRequest(Protocol):
    """What a line needs to know of a request that did not stream; see ``lm_deluge.proxy.PassedRequest``."""

    @property
    def id(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def wait(self) -> float | None: ...
    @property
    def elapsed(self) -> float: ...
    @property
    def bytes(self) -> int: ...


class LoggedNote(Protocol):
    """What a line needs to know of a note; see ``lm_deluge.proxy.Note``."""

    @property
    def id(self) -> str: ...
    @property
    def elapsed(self) -> float: ...
    @property
    def offset(self) -> int: ...
    @property
    def what(self) -> str: ...


class LoggedSight(Protocol):
    """What a line needs to know of what a browser saw; see ``lm_deluge_plugins.relay.Sight``."""

    @property
    def stream(self) -> str: ...
    @property
    def reader(self) -> int: ...
    @property
    def t(self) -> float: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def arrived(self) -> Sequence[float]: ...
    @property
    def painted(self) -> Sequence[float | None]: ...
    @property
    def hidden(self) -> bool: ...
    @property
    def bound(self) -> float: ...
    @property
    def asked(self) -> float | None: ...


def request_line_of(request: LoggedRequest) -> PassedLine:
    """Return the one line of a request that did not stream; its ``t`` is when it was over."""
    wait = None if request.wait is None else round(request.wait, 6)
    return PassedLine(
        SCHEMA_VERSION,
        "request",
        request.id,
        round(request.elapsed, 6),
        request.model,
        request.status,
        wait,
        request.bytes,
    )


def note_line_of(note: LoggedNote) -> NoteLine:
    """Return the line of what was not understood; nothing in it is anybody's text."""
    return NoteLine(SCHEMA_VERSION, "note", note.id, round(note.elapsed, 6), note.offset, note.what)


def seen_line_of(sight: LoggedSight) -> SeenLine:
    """Return the line of what one reader's browser saw of some pieces.

    ``t``: when that was told. ``i``: the first and the last of the pieces, numbered as the stream's token
    lines number them. ``arrived``, ``painted``: a moment for each, seconds in the stream's own clock,
    ``None`` for a piece that was never painted. ``hidden``: whether the tab was hidden at some moment of
    them. ``bound``: seconds by which the moments may be off. ``r``: the reader's number in the stream.
    ``asked``: when the reader asked for the stream.
    """
    return SeenLine(
        SCHEMA_VERSION,
        "seen",
        sight.stream,
        sight.t,
        (sight.first, sight.last),
        sight.arrived,
        sight.painted,
        sight.hidden,
        sight.bound,
        sight.reader,
        sight.asked,
    )
