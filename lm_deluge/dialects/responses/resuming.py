"""An answer that several connections bring, one after the other, and what asks for the next. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from lm_deluge.dialects.dialect import Written
from lm_deluge.dialects.responses.answer import PhasedAnswer
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.wire.json import decode_any
from lm_deluge.wire.sse import EventDecoder

__all__ = ["ResumableAnswer", "cancelling", "going_on"]

#: What a server may begin a later stream with, to say how the response is by then.
_SNAPSHOTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


def going_on(response_id: str, after: int) -> Written:
    """Return the request (a ``GET``) for the events that follow the one with a number."""
    query = {
        "stream": "true",
        "starting_after": str(after),
        # A later stream shows it only where it is asked for again.
        "include[]": "reasoning.encrypted_content",
    }
    return Written(path=_path(response_id), body={}, query=query)


def cancelling(response_id: str) -> Written:
    """Return the request (a ``POST``) that ends a response."""
    return Written(path=f"{_path(response_id)}/cancel", body={})


def _path(response_id: str) -> str:
    return f"/responses/{quote(response_id, safe='')}"


class ResumableAnswer(PhasedAnswer):
    """An answer whose events are numbered: each is taken once, whichever connection brings it.

    What a broken connection left of an event is dropped, as it comes again; half a character is held
    until the next connection or ``let_go``. ``known_at``: when the response had a name, seconds from t0.
    """

    __slots__ = ("_began", "_is_resumed", "known_at", "sequence")

    def __init__(self, **options: Any) -> None:
        """``options``: as in ``Answer``."""
        super().__init__(**options)
        self.known_at: float | None = None
        self.sequence: int | None = None
        self._is_resumed = False
        # Whether the connection at hand brought an event with a number.
        self._began = False

    @property
    def place(self) -> tuple[str, int] | None:
        """From where it can go on: the response's id, and the number of the last event.

        ``None`` while that is not known, and when it is over.
        """
        name = self.facts.response_id
        if self.done or self.error is not None or name is None or self.sequence is None:
            return None
        return name, self.sequence

    @property
    def is_open(self) -> bool:
        """Whether the response has a name, and its server may still be making it."""
        return not self.done and self.facts.response_id is not None

    def resume(self) -> None:
        """Be ready for the next connection."""
        self._events = EventDecoder(self.limits.max_event_bytes, takes_bare=True)
        self._is_resumed = True
        self._began = False

    def let_go(self) -> list[Token | Delta]:
        """Return what was held back: no connection follows."""
        return super().give_up()

    def give_up(self) -> list[Token | Delta]:
        """As ``let_go``, where no connection can follow."""
        return super().give_up() if self.place is None else []

    def close(self, arrived: float) -> list[Token | Delta]:
        """Take the end of the bytes; what it left of an event comes again if the answer can go on."""
        if self.place is None or self._accept_eof:
            return super().close(arrived)
        return []

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take a whole answer, but not in place of the rest of one."""
        if not self._is_resumed:
            return super().feed_json(data, arrived)
        self.error = self.protocol_error("the rest of a stream was asked for, and JSON came", data)
        return []

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return nothing: the number of each event is looked at."""
        return ()

    def _take_alive(self, data: bytes) -> None:
        """Count it: what only keeps the connection alive has a number, too."""
        try:
            told = decode_any(data)
        except ValueError:
            return
        number = told.get("sequence_number") if isinstance(told, dict) else None
        if type(number) is int and self.sequence is not None and number == self.sequence + 1:
            self.sequence = number

    def _take_told(self, kind: str, told: dict[str, Any], data: bytes) -> None:
        number = told.get("sequence_number")
        if type(number) is int and self._is_new(number, kind, data):
            self.sequence = number
        elif type(number) is int and (self.error is not None or kind not in _SNAPSHOTS):
            return
        super()._take_told(kind, told, data)
        if self.known_at is None and self.facts.response_id is not None:
            self.known_at = self._arrived

    def _is_new(self, number: int, kind: str, data: bytes) -> bool:
        """Whether an event is the next one; sets ``error`` where one before it is missing."""
        last = self.sequence
        if not self._is_resumed or last is None:
            return True
        if number <= last:
            return False
        if not self._began and number > last + 1:
            if kind not in _SNAPSHOTS:
                found = f"the stream went on with event {number} where {last + 1} was due"
                self.error = self.protocol_error(found, data)
            return False
        self._began = True
        return True
