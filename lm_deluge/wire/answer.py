"""One answer put together from the bytes of one response body. No I/O."""

from __future__ import annotations

import msgspec

from lm_deluge.arrivals import Arrivals
from lm_deluge.config import Limits
from lm_deluge.errors import ProtocolError
from lm_deluge.payloads import Delta, Token, make_token
from lm_deluge.redaction import Redactor
from lm_deluge.response import Choice
from lm_deluge.wire.chunks import decode_any, decode_plain
from lm_deluge.wire.meaning import EVIDENCE, Meaning, reports
from lm_deluge.wire.provider_errors import is_error_event
from lm_deluge.wire.sse import Event

__all__ = ["Answer"]

_NO_SECRETS = Redactor()

#: Tokens of lone reads that are counted in together: what an open stream holds for the time being.
_BATCH = 16


class Answer(Meaning):
    """Bytes in, pieces out, and the whole answer at the end.

    Feed every network read with ``feed``; it returns the pieces that became whole with it, in order,
    all with the arrival time given. ``close`` takes the end of the bytes. After each of them:

    ``done``: ``[DONE]`` was read; what follows is ignored. ``finished``: every choice has a finish
    reason that can be trusted; usage or a further tool call may still follow. ``may_be_over``: every
    choice has one, but not all can be trusted: then ``[DONE]``, the end of the bytes or a long silence
    decides. ``error``: the answer cannot become whole; the pieces before it were returned. ``whole``:
    nothing is missing. ``facts``: what the server said beside the choices. ``redactor``: what takes
    secrets out of an error's evidence before it is cut.
    """

    __slots__ = (
        "_accept_eof",
        "_closed",
        "_last_arrived",
        "_lone",
        "_lone_read",
        "_lone_times",
    )

    def __init__(
        self,
        *,
        choices: int = 1,
        limits: Limits | None = None,
        accept_eof: bool = False,
        redactor: Redactor = _NO_SECRETS,
    ) -> None:
        super().__init__(
            choices=choices, limits=limits if limits is not None else _LIMITS, redactor=redactor
        )
        self._accept_eof = accept_eof
        self._lone: list[str] = []
        self._lone_times: list[float] = []
        self._lone_read = 0
        self._last_arrived = 0.0
        self._closed = False

    @property
    def arrivals(self) -> Arrivals:
        """When its pieces arrived."""
        self._count_in()
        return self._arrivals

    @property
    def has_output(self) -> bool:
        """Whether a piece of any kind arrived."""
        return self.arrivals.first_output is not None

    @property
    def has_chunks(self) -> bool:
        """Whether a chunk of any kind arrived."""
        return self._chunks > 0

    @property
    def whole(self) -> bool:
        """Whether the answer may end here without anything missing."""
        if self.error is not None:
            return False
        if self.done or self.finished:
            return True
        return self._closed and (self.may_be_over or (self._accept_eof and self.says_something))

    def feed(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take one network read; ``arrived`` in seconds from t0."""
        read = self._reads
        self._reads = read + 1
        self._last_arrived = arrived
        if self.done or self.error is not None:
            return []
        if not self._plain or (payload := self._events.lone(data)) is None:
            return self._feed_events(data, arrived, read)
        try:
            choice = decode_plain(payload).choices[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._feed_events(data, arrived, read)
        if choice.index != 0 and self._expected > 1:
            return self._feed_events(data, arrived, read)
        self._events.skip(data)
        text = choice.delta.content
        if not text:
            self._count_in()
            return []
        index = self._index
        self._index = index + 1
        self._characters += len(text)
        self._lone.append(text)
        self._lone_times.append(arrived)
        self._lone_read = read
        if len(self._lone) == _BATCH:
            self._count_in()
        if self._characters > self.limits.max_answer_chars:
            self._check_size()
        return [make_token(text, index, arrived, read, 0)]

    def _count_in(self) -> None:
        """Count in the tokens of the lone reads, which followed one another: sixteen at once cost a
        quarter of what each by itself does."""
        if texts := self._lone:
            self._choices[0].text.extend(texts)
            self._arrivals.add_lone(texts, self._lone_times, self._lone_read)
            self._lone, self._lone_times = [], []

    def _feed_events(self, data: bytes, arrived: float, read: int) -> list[Token | Delta]:
        """Take a read of any shape."""
        self._count_in()
        events = self._events.feed(data)
        if self._characters + self._events.size <= self.limits.max_answer_chars:
            pieces = self._take_events(events, 0, len(events), arrived, read)
        else:
            # What is kept up to a limit must not depend on how many events a read holds.
            pieces = []
            for at in range(len(events)):
                pieces += self._take_events(events, at, at + 1, arrived, read)
                if self._is_over():
                    break
        if self._events.error is not None and not self._is_over():
            self.error = self._events.error
            held: list[Token | Delta] = []
            self._flush_held(arrived, held)
            self._account(held)
            pieces += held
        return pieces

    def _take_events(
        self, events: list[Event], start: int, stop: int, arrived: float, read: int
    ) -> list[Token | Delta]:
        """Take some of the events of a read, and count them in."""
        pieces: list[Token | Delta] = []
        plain = True
        texts: list[str] = []
        for event in events[start:stop]:
            if self._plain:
                try:
                    chunk = decode_plain(event.data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    pass
                else:
                    choice = chunk.choices[0]
                    if (choice.index == 0 or self._expected == 1) and not event.event:
                        text = choice.delta.content
                        if text:
                            pieces.append(make_token(text, self._index, arrived, read, 0))
                            self._index += 1
                            texts.append(text)
                        continue
            plain = False
            if texts:
                self._choices[0].text.extend(texts)
                texts = []
            self._take(event, arrived, read, pieces)
            if self._is_over():
                self._locate(event, events)
                break
        if texts:
            self._choices[0].text.extend(texts)
        if self.error is not None:
            self._flush_held(arrived, pieces)
        elif plain:
            if texts:
                self._count(self._arrivals.add_visible(texts, arrived, read))
            return pieces
        self._account(pieces)
        return pieces

    def close(self, arrived: float) -> list[Token | Delta]:
        """Take the end of the bytes: the last event may lack its blank line.

        What becomes a piece only now arrived with the last read; ``arrived`` counts if there was none.
        """
        self._count_in()
        pieces: list[Token | Delta] = []
        if self._reads:
            arrived = self._last_arrived
        if not self._closed and not self._is_over():
            events = self._events.close()
            for event in events:
                # Anything else was cut in the middle: the answer is incomplete, not malformed. Of an
                # error the beginning tells enough.
                if is_error_event(event.event) or _is_whole(event.data):
                    self._take(event, arrived, max(self._reads - 1, 0), pieces)
                self._locate(event, events)
                if self._is_over():
                    break
            if not self.done:
                self.error = self.error or self._events.error
        if not self._closed:
            self._closed = True
            self._flush_held(arrived, pieces)
            self._account(pieces)
        return pieces

    def give_up(self) -> list[Token | Delta]:
        """Nobody waits for the end of the bytes: return the half characters that were held back.

        An event that is not whole is none.
        """
        self._count_in()
        pieces: list[Token | Delta] = []
        if not self._closed:
            self._closed = True
            self._flush_held(self._last_arrived, pieces)
            self._account(pieces)
        return pieces

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take the JSON body of a server that did not stream: a whole answer, or an error object."""
        pieces: list[Token | Delta] = []
        self._reads += 1
        event = Event(data)
        self._take(event, arrived, 0, pieces, what="the body")
        if self.error is None and not self.says_something:
            self.error = ProtocolError(
                "the server answered with JSON that is neither an answer nor an error",
                evidence=self._redactor.beginning(data, EVIDENCE),
            )
        self._locate(event, [event])
        self.done = self.error is None
        self._closed = True
        self._flush_held(arrived, pieces)
        self._account(pieces)
        return pieces

    def choices(self) -> list[Choice]:
        """Return what was received of every choice, ordered by index."""
        self._count_in()
        return [self._choices[index].build(index) for index in sorted(self._choices)]

    def _locate(self, event: Event, events: list[Event]) -> None:
        """Say where in the body the fault is, if one was found in ``event``."""
        if isinstance(self.error, ProtocolError):
            position = next(at for at, other in enumerate(events) if other is event)
            self.error.offset = self._events.offset_of(position)


_LIMITS = Limits()


def _is_whole(data: bytes) -> bool:
    """Whether the data of an event without its blank line is all there: ``[DONE]``, an object, or a
    list that reports an error."""
    if data.strip().startswith(b"[DONE]"):
        return True
    try:
        value = decode_any(data)
    except ValueError:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(map(reports, value)))
