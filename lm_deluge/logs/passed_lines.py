"""The lines that a proxy tells of beside streams: a request that did not stream, and a note.

They are no part of any stream's timeline. What they ask of a ``PassedRequest`` and a ``Note`` is named here,
because both live in a later room.
"""

from __future__ import annotations

from typing import Protocol

from lm_deluge.logs.record import SCHEMA_VERSION, Line

__all__ = ["NoteLine", "PassedLine", "note_line_of", "request_line_of"]


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
