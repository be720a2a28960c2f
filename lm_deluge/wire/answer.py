"""One answer put together from the bytes of one response body: what all dialects share. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

from lm_deluge.config import Limits
from lm_deluge.errors import LimitExceededError, ProtocolError
from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import Choice
from lm_deluge.wire.collected import C, Collected
from lm_deluge.wire.sse import Event, EventDecoder

__all__ = ["EVIDENCE", "Answer"]

#: Bytes of what was received that an error shows.
EVIDENCE: Final = 200

_LIMITS: Final = Limits()
_NO_SECRETS: Final = Redactor()


class Answer(Collected[C]):
    """An ``AnswerReader``: bytes in, pieces out, and the whole answer at the end.

    A dialect's own answer says what its events mean:

    - ``take_event`` reads one: it gives the pieces of a choice to ``hear``, what the server says beside
      it to ``facts`` and ``count_beside``, and calls ``end`` at the event that ends the answer.
    - ``new_facts`` and ``new_choice`` make empty ones; ``is_whole`` knows an event that lacks only its
      blank line.
    - ``fast``, which is optional, reads the blocks of a read that hold a token each and say nothing else.

    Here pieces are numbered, kept and counted, for ``Limits``; the ends of choices make the end of the
    answer. After each ``feed``, ``feed_json`` or ``close``:

    ``done``: the server said that it is over; what follows is ignored. ``finished``: every choice has a
    finish reason that can be trusted; usage or a further tool call may still follow. ``may_be_over``:
    every choice has one, but not all can be trusted: then the server's word, the end of the bytes or a
    long silence decides. ``error``: the answer cannot become whole; the pieces before it were returned.
    ``facts``: what the server said beside the choices.

    ``chunks``: how many events of an answer came. ``is_fast``: whether ``fast`` is asked; a dialect sets
    it where a token needs no more than its text: choice 0 has begun and not ended, and no half of a
    character is held back.
    """

    __slots__ = (
        "_accept_eof",
        "_closed",
        "_events",
        "_position",
        "_reads",
        "_redactor",
        "_unread",
        "chunks",
        "is_fast",
    )

    def __init__(
        self,
        *,
        choices: int = 1,
        limits: Limits | None = None,
        accept_eof: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        """``choices``, ``limits``, ``accept_eof``, ``redactor``: as in ``Dialect.answer``."""
        super().__init__(choices=choices, limits=_LIMITS if limits is None else limits)
        self.chunks = 0
        self.is_fast = False
        self._accept_eof = accept_eof
        self._redactor = _NO_SECRETS if redactor is None else redactor
        self._events = EventDecoder(self.limits.max_event_bytes, takes_bare=True)
        self._reads = 0
        # How many events of the read that is being taken were taken.
        self._position = 0
        self._closed = False
        # The beginning of the first event that said nothing anybody understands.
        self._unread = b""

    # What a dialect's own answer says.

    @property
    @abstractmethod
    def end_word(self) -> str:
        """How the server says that the answer is over, for the error of an answer that was cut."""

    @abstractmethod
    def take_event(self, event: Event, what: str) -> None:
        """Read one event; ``what`` names it in an error. ``LimitExceededError`` may be raised."""

    @abstractmethod
    def is_whole(self, event: Event) -> bool:
        """Whether an event that the end of the bytes left without its blank line is all there."""

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return the texts of blocks from ``start`` on, before ``stop`` and the first that says more.

        Each is a piece of choice 0's visible text, perhaps empty, and its block says nothing else.
        """
        return ()

    # What it calls.

    def note_unread(self, data: bytes) -> None:
        """Keep the first event that nobody understands, in case that no answer comes."""
        if not self.chunks and not self._unread:
            self._unread = self._redactor.beginning(data, EVIDENCE)

    def protocol_error(self, found: str, data: bytes) -> ProtocolError:
        """Return the error for what is no event of an answer."""
        evidence = self._redactor.beginning(data, EVIDENCE)
        return ProtocolError(f"{found}: {evidence!r}", evidence=evidence)

    def empty_reply(self, data: bytes) -> ProtocolError:
        """Return the error for an end before any answer."""
        evidence = self.evidence or self._redactor.beginning(data, EVIDENCE)
        return ProtocolError(
            f"the server said {self.end_word} without an answer: no text, reasoning, refusal, tool call or "
            f"finish reason came before it; the body began {evidence!r}",
            evidence=evidence,
        )

    # What the engine asks: ``AnswerReader`` tells it.

    @property
    def arrivals(self) -> Arrivals:
        """When its pieces arrived."""
        if self._lone:
            self._count_in()
        return self._arrivals

    @property
    def has_output(self) -> bool:
        """Whether a piece of any kind arrived."""
        return self.arrivals.first_output is not None

    @property
    def has_chunks(self) -> bool:
        """Whether an event of an answer arrived."""
        return self.chunks > 0

    @property
    def whole(self) -> bool:
        """Whether the answer may end here without anything missing."""
        if self.error is not None:
            return False
        if self.done or self.finished:
            return True
        return self._closed and (self.may_be_over or (self._accept_eof and self.says_something))

    @property
    def evidence(self) -> bytes:
        """The first bytes that were no part of any answer: of an event, or of lines that are none."""
        return self._unread or self._redactor.beginning(self._events.stray, EVIDENCE)

    def choices(self) -> list[Choice]:
        """Return what was received of every choice, ordered by index."""
        if self._lone:
            self._count_in()
        return [self._choices[index].build(index) for index in sorted(self._choices)]

    def feed(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take one network read; ``arrived`` in seconds from t0."""
        read = self._reads
        self._reads = read + 1
        self._arrived = arrived
        if self.done or self.error is not None:
            return []
        blocks = self._events.blocks(data)
        texts = self.fast(blocks, 0, len(blocks)) if self.is_fast and blocks else ()
        if len(texts) == len(blocks) == 1 and (text := texts[0]):
            return [self._lone_token(text, arrived, read)]
        if self._lone:
            self._count_in()
        self._read = read
        self._position = 0
        pieces = self._take_blocks(blocks, texts)
        if self._events.error is not None and not self._is_over():
            self.error = self._events.error
            pieces += self._last_pieces()
        return pieces

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take the JSON body of a server that did not stream: a whole answer, or an error object."""
        self._begin_last(arrived, 0)
        self._reads += 1
        self._position = 0
        self._take(Event(data), "the body")
        if self.error is None and not self.says_something:
            self.error = ProtocolError(
                "the server answered with JSON that is neither an answer nor an error",
                evidence=self._redactor.beginning(data, EVIDENCE),
            )
            self._locate()
        self.done = self.error is None
        self._closed = True
        return self._last_pieces(begun=True)

    def close(self, arrived: float) -> list[Token | Delta]:
        """Take the end of the bytes: the last event may lack its blank line.

        What becomes a piece only now arrived with the last read; ``arrived`` counts if there was none.
        """
        self._count_in()
        if self._closed:
            return []
        self._begin_last(self._arrived if self._reads else arrived, max(self._reads - 1, 0))
        if not self._is_over():
            self._position = 0
            for event in self._events.close():
                # Anything else was cut in the middle: the answer is incomplete, not malformed.
                if self.is_whole(event):
                    self._take(event, "an event")
                if self._is_over():
                    break
                self._position += 1
            if not self.done:
                self.error = self.error or self._events.error
        self._closed = True
        return self._last_pieces(begun=True)

    def give_up(self) -> list[Token | Delta]:
        """Nobody waits for the end of the bytes: return the half characters that were held back.

        An event that is not whole is none.
        """
        self._count_in()
        if self._closed:
            return []
        self._closed = True
        self._read = max(self._reads - 1, 0)
        return self._last_pieces()

    # How a read is taken.

    def _take_blocks(self, blocks: Sequence[bytes], texts: Sequence[str]) -> list[Token | Delta]:
        """Take the blocks of a read of any shape; the first of them are ``texts``."""
        stop = len(blocks)
        if self._characters + self._events.size <= self.limits.max_answer_chars:
            return self._take_run(blocks, 0, stop, texts)
        # What is kept up to a limit must not depend on how many events a read holds.
        pieces: list[Token | Delta] = []
        for at in range(stop):
            pieces += self._take_run(blocks, at, at + 1, self._texts(blocks, at, at + 1))
            if self._is_over():
                break
        return pieces

    def _texts(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        return self.fast(blocks, start, stop) if self.is_fast else ()

    def _take_run(
        self, blocks: Sequence[bytes], start: int, stop: int, texts: Sequence[str]
    ) -> list[Token | Delta]:
        """Take some of the blocks of a read, and count them in; the first of them are ``texts``."""
        pieces: list[Token | Delta] = []
        self._pieces = pieces
        at = start + len(texts)
        self._position += len(texts)
        said = self._tell(texts) if texts else texts
        if at == stop and self.error is None:
            if said:
                self._count(self._arrivals.add_visible(said, self._arrived, self._read))
            return pieces
        while at < stop and not self.done and self.error is None:
            self._take_block(blocks[at])
            at += 1
            if self.is_fast and at < stop and not self.done and self.error is None:
                texts = self.fast(blocks, at, stop)
                if texts:
                    self._tell(texts)
                    self._position += len(texts)
                    at += len(texts)
        if self.error is not None:
            self._flush_held()
        self._account(pieces)
        return pieces

    def _take_block(self, block: bytes) -> None:
        """Take a block the general way."""
        for event in self._events.events_in(block):
            self._take(event, "an event")
            if self.done or self.error is not None:
                break
            self._position += 1

    def _take(self, event: Event, what: str) -> None:
        """Take one event, and say where in the body a fault is that was found in it."""
        try:
            self.take_event(event, what)
        except LimitExceededError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - nothing that a server sends is raised
            found = f"{what} has a form that nobody knows ({type(error).__name__}: {error})"
            self.error = self.protocol_error(found, event.data)
            self.error.__cause__ = error
        if self.error is not None:
            self._locate()

    def _locate(self) -> None:
        if isinstance(self.error, ProtocolError):
            self.error.offset = self._events.offset_of(self._position)

    def _is_over(self) -> bool:
        return self.done or self.error is not None

    def _begin_last(self, arrived: float, read: int) -> None:
        self._pieces = []
        self._arrived, self._read = arrived, read

    def _last_pieces(self, *, begun: bool = False) -> list[Token | Delta]:
        """Return what was held back, after the pieces of the last event if there was one."""
        if not begun:
            self._pieces = []
        self._flush_held()
        self._account(self._pieces)
        return self._pieces
