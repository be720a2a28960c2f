"""What the events of Responses say of an answer. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from lm_deluge.dialects.responses.choice import ResponsesChoice
from lm_deluge.dialects.responses.facts import ResponsesFacts
from lm_deluge.dialects.responses.plain import Place, place_of, texts_in
from lm_deluge.values.phased_token import phased
from lm_deluge.values.pieces import Token
from lm_deluge.wire.choice import Piece
from lm_deluge.wire.error_words import reported_error
from lm_deluge.wire.keeping import text_or_none
from lm_deluge.wire.sse import Event
from lm_deluge.wire.typed_events import TypedEvents

__all__ = ["ALIVE", "PhasedAnswer", "ResponsesAnswer"]

#: The texts that come in deltas and once more whole: the content part's type, its index, the whole text.
_TEXTS: Final = {
    "response.output_text": ("output_text", "content_index", "text"),
    "response.refusal": ("refusal", "content_index", "refusal"),
    "response.reasoning_summary_text": ("summary_text", "summary_index", "text"),
    "response.reasoning_text": ("reasoning_text", "content_index", "text"),
}

_ARGUMENTS: Final = "response.function_call_arguments"

_TEXT_DELTA: Final = "response.output_text.delta"

#: The words for a response that is no answer: it is being made, or nobody makes it any more.
_NOT_OVER: Final = ("queued", "in_progress", "cancelled")

#: What says that the server lives, and nothing of the answer.
ALIVE: Final = frozenset({"keepalive", "ping"})

#: What frames an error event, beside the error where that is not nested.
_FRAME: Final = frozenset({"type", "sequence_number"})


class ResponsesAnswer(TypedEvents[ResponsesChoice]):
    """An answer in items, ended by an event that has all of it again."""

    __slots__ = ("_phase", "_place")

    facts: ResponsesFacts

    # Of the last delta of visible text; there while ``fast`` is asked.
    _place: Place
    # Of its message, where messages have one.
    _phase: str | None

    end_word = "response.completed"

    def new_facts(self) -> ResponsesFacts:
        """Return facts of which nothing has come."""
        return ResponsesFacts()

    def new_choice(self) -> ResponsesChoice:
        """Return a choice of which nothing has come."""
        return ResponsesChoice(self.limits.max_tool_calls)

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return the texts of deltas of text that go on where the last one stood."""
        return texts_in(blocks, start, stop, self._place)

    def take_event(self, event: Event, what: str) -> None:
        """Read one event."""
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return
        if event.event in ALIVE:
            self._take_alive(data)
            return
        told = self.object_in(event, data, what)
        if told is None:
            return
        kind = told.get("type")
        if not isinstance(kind, str):
            kind = "object" if told.get("object") == "response" else event.event
        if kind in ALIVE:
            self._take_alive(data)
        else:
            self._take_told(kind, told, data)

    def _take_alive(self, data: bytes) -> None:
        """Nothing: it says nothing of the answer."""

    def _take_told(self, kind: str, told: dict[str, Any], data: bytes) -> None:
        take = self.takers.get(kind)
        if kind == "error" or (take is None and told.get("error")):
            flat = {key: value for key, value in told.items() if key not in _FRAME}
            self.error = reported_error(told.get("error") or flat or told, beside=flat)
        elif take is not None:
            self.chunks += 1
            known = len(self._pieces)
            take(self, told | {"type": kind})
            self.is_fast = False
            if kind == _TEXT_DELTA and len(self._pieces) > known and (place := place_of(told)):
                self._place = place
                self._note_place(told)
                self.note_text_alone()
            parts = self._choices.get(0)
            if parts is not None and parts.unmeasured:
                size, parts.unmeasured = parts.unmeasured, 0
                self.count_beside(size)
        elif kind.startswith("response."):
            self.chunks += 1
        else:
            self.note_unread(data)

    def _note_place(self, told: dict[str, Any]) -> None:
        """Nothing: no message has a phase."""

    def _note_phase(self, item: Mapping[str, Any]) -> None:
        """Tell phases from the first message on that has one: most servers know none."""
        # An answer of another class would not be what it is any more.
        if type(self) is ResponsesAnswer and isinstance(item.get("phase"), str):
            self.__class__ = PhasedAnswer

    def _say(self, parts: ResponsesChoice, said: Iterator[Piece]) -> None:
        self.hear(0, parts, said)

    def _take_created(self, told: dict[str, Any]) -> None:
        """Read the first event: a second one of the same answer tells nothing new."""
        response = told.get("response")
        known = self.facts.response_id
        if known is None or not isinstance(response, dict) or response.get("id") != known:
            self.begin(told)
        if self.error is None:
            self._take_response(told)

    def _take_response(self, told: dict[str, Any]) -> None:
        """Read what a beginning says of the answer."""
        response = told.get("response")
        if isinstance(response, dict):
            facts = self.facts
            before = facts.size
            facts.take(response)
            self.count_beside(facts.size - before)

    def _take_item(self, told: dict[str, Any]) -> None:
        item, parts = told.get("item"), self.choice(0)
        if isinstance(item, dict):
            self._note_phase(item)
            self._say(parts, parts.begin(parts.place_of(told), item))

    def _take_whole_item(self, told: dict[str, Any]) -> None:
        item, parts = told.get("item"), self.choice(0)
        if isinstance(item, dict):
            self._note_phase(item)
            self._say(parts, parts.end_item(parts.place_of(told), item))

    def _take_part(self, told: dict[str, Any]) -> None:
        part, parts = told.get("part"), self.choice(0)
        if isinstance(part, dict):
            at = told.get("content_index", told.get("summary_index"))
            self._say(parts, parts.take_part(parts.place_of(told), at, part))

    def _take_delta(self, told: dict[str, Any]) -> None:
        part, at, _ = _TEXTS[told["type"].removesuffix(".delta")]
        parts = self.choice(0)
        self._say(parts, parts.go_on(parts.place_of(told), part, told.get(at), told.get("delta")))

    def _take_text(self, told: dict[str, Any]) -> None:
        part, at, name = _TEXTS[told["type"].removesuffix(".done")]
        parts = self.choice(0)
        self._say(parts, parts.whole(parts.place_of(told), part, told.get(at), told.get(name)))

    def _take_arguments_delta(self, told: dict[str, Any]) -> None:
        parts = self.choice(0)
        self._say(parts, parts.argue(parts.place_of(told), told.get("delta")))

    def _take_arguments(self, told: dict[str, Any]) -> None:
        parts = self.choice(0)
        self._say(parts, parts.argue_whole(parts.place_of(told), told.get("arguments")))

    def _take_annotation(self, told: dict[str, Any]) -> None:
        parts = self.choice(0)
        self._say(parts, parts.cite(told.get("annotation")))

    def _take_terminal(self, told: dict[str, Any]) -> None:
        """Read the last event: its items too, where none came before (its ``output`` may be empty)."""
        response = told.get("response")
        self._take_end(response if isinstance(response, dict) else {}, told["type"])

    def _take_object(self, response: dict[str, Any]) -> None:
        """Read the response of a server that did not stream."""
        self._take_end(response, f"response.{response.get('status')}")

    def _take_end(self, response: dict[str, Any], kind: str) -> None:
        self._take_response({"response": response})
        parts = self.choice(0)
        output = response.get("output")
        if isinstance(output, list) and not parts.has_output and not parts.has_items:
            for index, item in enumerate(output):
                if isinstance(item, dict):
                    self._note_phase(item)
                    self._say(parts, parts.end_item(index, item))
        parts.settle()
        if kind == "response.completed" and response.get("status") == "incomplete":
            # Some servers send this event also where the answer is cut short.
            kind = "response.incomplete"
        beside = parts.beside
        details = response.get("incomplete_details")
        parts.keep({"status": kind.removeprefix("response."), "incomplete_details": details})
        self.count_beside(parts.beside - beside)
        parts.finish_reason_raw = _raw_of(kind, details)
        parts.note_details("incomplete_details")
        if kind == "response.failed":
            self.error = reported_error(response.get("error") or "the response failed")
        elif kind in ("response.completed", "response.incomplete"):
            parts.finish(_finish_of(kind, details, waits=parts.waits))
            self.note_finish()
            self.end()
        elif (status := response.get("status")) in _NOT_OVER:
            self.error = reported_error(f"the response is {status!r}")

    takers: ClassVar[dict[str, Callable[[ResponsesAnswer, dict[str, Any]], None]]] = {
        "object": _take_object,
        "response.created": _take_created,
        "response.queued": _take_response,
        "response.in_progress": _take_response,
        "response.output_item.added": _take_item,
        "response.output_item.done": _take_whole_item,
        "response.content_part.done": _take_part,
        "response.reasoning_summary_part.done": _take_part,
        "response.output_text.annotation.added": _take_annotation,
        **dict.fromkeys([f"{name}.delta" for name in _TEXTS], _take_delta),
        **dict.fromkeys([f"{name}.done" for name in _TEXTS], _take_text),
        f"{_ARGUMENTS}.delta": _take_arguments_delta,
        f"{_ARGUMENTS}.done": _take_arguments,
        "response.completed": _take_terminal,
        "response.incomplete": _take_terminal,
        "response.failed": _take_terminal,
    }


class PhasedAnswer(ResponsesAnswer):
    """An answer with messages that may say what they are for."""

    __slots__ = ()

    def _note_place(self, told: dict[str, Any]) -> None:
        parts = self.choice(0)
        self._phase = parts.phase_at(parts.place_of(told))

    def _note_phase(self, item: Mapping[str, Any]) -> None:
        """Nothing: that they have phases is known."""

    def _lone_token(self, text: str, arrived: float, read: int) -> Token:
        token = super()._lone_token(text, arrived, read)
        return token if self._phase is None else phased(token, self._phase)

    def _tell(self, texts: Sequence[str]) -> Sequence[str]:
        known = len(self._pieces)
        said = super()._tell(texts)
        if (phase := self._phase) is not None:
            self._pieces[known:] = [
                phased(piece, phase) for piece in self._pieces[known:] if isinstance(piece, Token)
            ]
        return said

    def _append(self, piece: Piece, choice: int) -> None:
        super()._append(piece, choice)
        token = self._pieces[-1]
        if piece.kind == "text" and piece.name and isinstance(token, Token):
            self._pieces[-1] = phased(token, piece.name)


def _raw_of(kind: str, details: object) -> str:
    """Return the provider's word for an end: the status, and behind a colon the reason for it."""
    status = kind.removeprefix("response.")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return f"{status}:{text}" if (text := text_or_none(reason)) else status


def _finish_of(kind: str, details: object, *, waits: bool) -> str:
    """Return the word of chat completions for an end; a cut of a kind to come is one of length."""
    if kind == "response.completed":
        return "tool_calls" if waits else "stop"
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return "content_filter" if reason == "content_filter" else "length"
