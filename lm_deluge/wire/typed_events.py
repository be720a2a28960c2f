"""An answer whose events say what they are: in a line of their own, and in their object. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lm_deluge.wire.answer import Answer
from lm_deluge.wire.collected import C
from lm_deluge.wire.error_words import reported_error
from lm_deluge.wire.json import decode_any
from lm_deluge.wire.sse import Event

__all__ = ["TypedEvents"]


class TypedEvents(Answer[C]):
    """The half of such an answer that knows no type but ``error``. ``takers``: what reads an event, by its
    type.
    """

    __slots__ = ()

    takers: ClassVar[Mapping[str, Callable[[Any, dict[str, Any]], None]]]

    def is_whole(self, event: Event) -> bool:
        """Whether it is an object, or an error: of that the beginning tells enough."""
        if event.event == "error":
            return True
        try:
            return isinstance(decode_any(event.data), dict)
        except ValueError:
            return False

    def object_in(self, event: Event, data: bytes, what: str) -> dict[str, Any] | None:
        """Return the object of an event with these data; ``None`` where it is none, which may be a fault."""
        try:
            told = decode_any(data)
        except ValueError as error:
            if event.event == "error":
                self.error = reported_error(data.decode("utf-8", "replace"))
            elif event.event in ("", "message") or event.event in self.takers:
                self.error = self.protocol_error(f"{what} holds no JSON ({error})", data)
            return None
        if isinstance(told, dict):
            return told
        found = f"{what} holds {type(told).__name__} where an event object is expected"
        self.error = self.protocol_error(found, data)
        return None

    def begin(self, data: object) -> None:
        """Take the event that begins an answer: where something came before it, that was another answer's.

        What has no output yet is forgotten. Behind output it is a fault: two answers would be told as one.
        """
        if self.chunks <= 1 or not self._choices:
            return
        if self.has_output or self._pieces:
            found = "the answer began again after some of it had come"
            self.error = self.protocol_error(found, json.dumps(data).encode())
            return
        self._choices.clear()
        self.facts = self.new_facts()
        self.is_fast = False

    def note_text_alone(self) -> None:
        """After an event: say whether those that follow may be text alone."""
        parts = self._choices.get(0)
        self.is_fast = parts is not None and parts.finish_reason is None and not parts.held
