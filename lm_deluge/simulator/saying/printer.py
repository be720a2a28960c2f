"""What a wire makes of a script: the events of a stream, or one JSON object."""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from lm_deluge.simulator.saying.script import Script

__all__ = ["EventPrinter", "Parts"]


@attrs.frozen(kw_only=True)
class Parts:
    """The events of one stream, in the order in which they leave."""

    opening: list[bytes]
    """Before anything is said."""
    pieces: list[bytes]
    """One for each thing said, with the events without which it could not be said."""
    choices: list[int]
    """Whose each piece is, where several answers are written side by side."""
    finishes: list[bytes]
    """Why the answers ended."""
    usage: bytes | None = None
    """An event of its own for usage."""
    done: bytes | None = None
    """That the stream ended."""


class EventPrinter(Protocol):
    """Writes one answer in the words of one dialect."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of its own that the service sends."""
        ...

    @property
    def content_type(self) -> str:
        """Of the stream."""
        ...

    def parts(self, script: Script) -> Parts:
        """Return the stream."""
        ...

    def whole(self, script: Script) -> Any:
        """Return what is sent, as JSON, where no stream was asked for."""
        ...

    def without_usage(self) -> EventPrinter:
        """Return a printer that never tells of usage."""
        ...

    # -- what faults say

    @property
    def alive(self) -> bytes:
        """Return what keeps a connection alive and says nothing."""
        ...

    @property
    def malformed(self) -> bytes:
        """Return an event whose JSON is broken."""
        ...

    @property
    def unended(self) -> bytes:
        """Return the beginning of a line that says a text without end."""
        ...

    def said(self, script: Script, text: str, after: int) -> bytes:
        """Return an event that says one text more after so many pieces."""
        ...

    def error(self, script: Script, shape: str, message: str, after: int) -> bytes:
        """Return an error after so many pieces; ``shape`` is one of the fault ``error-frame``."""
        ...
