"""The body of one response, told read by read: what it is, and what follows. No I/O, no clock.

What it is say its status, its content type and its first bytes: ``events``, ``json`` (a whole answer of a
server that did not stream), a ``refusal``, or a ``page`` (something else where an answer is expected).
Whoever reads it, the engine or a proxy that passes it on, takes its word for how an answer ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from lm_deluge.config import Limits
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.cut import cut_error
from lm_deluge.engine.reading import Happening, Then, after
from lm_deluge.errors import LimitExceededError, ProtocolError, ProviderError, StreamError
from lm_deluge.http.redacted_errors import redact_error
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.wire.beginning import is_object, kind_of
from lm_deluge.wire.headers import request_id

if TYPE_CHECKING:
    from lm_deluge.engine.plan import ModelRequest

__all__ = ["FAILURES", "Body", "NetworkRead", "Next", "What"]

What: TypeAlias = Literal["bytes", "end", "lost", "limit", "total", "left"]
"""What a wait came to: bytes, the end of the body, a lost connection, a limit that passed (one on this
wait, or the one over all attempts), or that nobody is there any more to read on."""

Next: TypeAlias = Then | Literal["rest"]
"""What follows; ``rest``: of a body that is no answer's, whose end is waited for no longer than need be."""


class NetworkRead(msgspec.Struct, frozen=True, gc=False):
    """What one wait came to. ``data``: empty for all but bytes. ``arrived``: when the last thing came in,
    seconds from t0; for a limit that is before it passed.

    A msgspec struct and not an attrs class: there is one per token of a live stream.
    """

    data: bytes
    arrived: float
    what: What = "bytes"


#: The answer will not become whole.
FAILURES: Final[frozenset[Next]] = frozenset({"fault", "cut", "lost", "timeout", "left"})

_EVENTS: Final = "text/event-stream"
_JSON_TYPES: Final = frozenset({"application/json", "text/json", "application/problem+json"})

#: What is a page for people, whatever it holds.
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})

#: A limit passed.
_LIMITS: Final[frozenset[What]] = frozenset({"limit", "total"})

#: Nobody waits for the other half of a character.
_UNAWAITED: Final[frozenset[What]] = frozenset({"limit", "total", "left"})

#: Bytes of a page that are shown.
_SHOWN: Final = 200

#: Bytes of white space after which nobody waits for a body to say what it is.
_BLANK: Final = 65_536

_NOTHING: Final[Sequence[Any]] = ()


class Body:
    """``take`` a read; ``then`` says what follows, ``error`` what the bytes of a failure say.

    ``answer``: what was received. ``request_id``: the server's. ``then``: as in the table of ``reading``, or
    ``"rest"``. ``error``: why the answer cannot become whole; ``None`` where ``then`` is ``"lost"``,
    ``"timeout"`` or ``"left"``, of which whoever reads knows more. ``headers``: looked up in any case of
    letters. ``content_type``: lower case, without parameters; ``""`` where there is none.
    """

    __slots__ = (
        "_begun",
        "_content_type",
        "_headers",
        "_held",
        "_kind",
        "_limit",
        "_limits",
        "_status",
        "_target",
        "answer",
        "error",
        "request_id",
        "then",
    )

    def __init__(
        self,
        target: ModelRequest,
        answer: AnswerReader,
        limits: Limits,
        *,
        status: int,
        headers: Mapping[str, str],
        content_type: str,
    ) -> None:
        self.answer: Final = answer
        self.then: Next = "as before"
        self.error: StreamError | None = None
        shown = request_id(headers)
        self.request_id: Final = None if shown is None else target.request.redact(shown)
        self._target = target
        self._limits = limits
        self._status = status
        self._headers = headers
        self._content_type = content_type
        self._kind: Literal["events", "json", "refusal", "page"] | None = None
        self._begun: list[NetworkRead] = []
        self._held = bytearray()
        self._limit = 0
        if not 200 <= status < 300:
            self._be("refusal")
        elif content_type == _EVENTS:
            self._kind = "events"

    def take(self, read: NetworkRead) -> Sequence[Token | Delta]:
        """Return the pieces that became whole with a read, in order."""
        if self._kind != "events":
            return self._begin(read) if self._kind is None else self._hold(read)
        answer = self.answer
        happening: Happening
        pieces: Sequence[Token | Delta]
        what = read.what
        if what == "bytes":
            pieces = answer.feed(read.data, read.arrived)
            happening = "pieces" if pieces else "nothing"
        else:
            happening = what
            pieces = answer.give_up() if what in _UNAWAITED else answer.close(read.arrived)
        then = self.then = after(happening, answer)
        if then == "fault":
            self.error = self._reported()
        elif then == "cut":
            self.error = cut_error(answer, self._target.choices)
        return pieces

    def salvage(self, data: bytes, arrived: float) -> None:
        """Take what had arrived when the reading was broken off: it was received."""
        if self._kind == "events":
            self.answer.feed(data, arrived)

    def _begin(self, read: NetworkRead) -> Sequence[Token | Delta]:
        """Find out what the body is: as many reads as it takes to tell."""
        begun = self._begun
        if read.what == "bytes":
            begun.append(read)
        data = b"".join([one.data for one in begun])
        kind = kind_of(data)
        if read.what == "bytes" and kind is None and len(data) < _BLANK:
            return _NOTHING
        is_page = self._content_type in _PAGES
        if read.what == "lost":
            self.then = "lost"
            return _NOTHING
        if not begun and read.what in _UNAWAITED and not is_page:
            self.then = "left" if read.what == "left" else "timeout"
            return _NOTHING
        if kind == "events":
            self._kind = "events"
        elif self._content_type in _JSON_TYPES or (kind == "json" and not is_page):
            self._be("json")
        elif self._content_type:
            self._be("page")
        elif self._status == 200 and kind is None:  # neither the head nor the body says anything
            self._kind = "events"
        else:
            self._be("refusal")
        self._begun = []
        if read.what != "bytes":
            begun.append(read)
        pieces: list[Token | Delta] = []
        for one in begun:
            pieces += self.take(one)
            if self.then == "whole" or self.then in FAILURES:
                break
        return pieces

    def _be(self, kind: Literal["json", "refusal", "page"]) -> None:
        self._kind = kind
        if kind == "json":
            # JSON may spell a character in twelve bytes; the answer itself counts its characters.
            self._limit = 12 * self._limits.max_answer_chars + self._limits.max_event_bytes
        else:
            self._limit = _SHOWN if kind == "page" else self._limits.max_error_body_bytes
            self.then = "rest"

    def _hold(self, read: NetworkRead) -> Sequence[Token | Delta]:
        """Keep the body until it is over: what it says is said by all of it."""
        held = self._held
        held += read.data
        if read.what == "bytes" and len(held) < self._limit:
            return _NOTHING
        if self._kind == "json":
            return self._take_json(read)
        # What the head said stands, whatever ends the body.
        shown = self._target.request.redactor.beginning(bytes(held), self._limit)
        self.error = self._refusal(shown) if self._kind == "refusal" else self._no_answer(shown)
        self.then = "fault"
        return _NOTHING

    def _take_json(self, read: NetworkRead) -> Sequence[Token | Delta]:
        """Take a whole answer from a server that did not stream."""
        held = self._held
        if len(held) >= self._limit:
            self.error = LimitExceededError(
                "max_answer_chars", limit=self._limits.max_answer_chars, value=len(held)
            )
            self.then = "fault"
            return _NOTHING
        # All of it may be there though its end is not.
        if read.what != "end" and not is_object(held):
            what = read.what
            self.then = "lost" if what == "lost" else "left" if what == "left" else "timeout"
            return _NOTHING
        pieces = self.answer.feed_json(bytes(held), read.arrived)
        self._held = bytearray()
        self.then = "whole"
        if self.answer.error is not None:
            self.then, self.error = "fault", self._reported()
        return pieces

    def _reported(self) -> StreamError:
        """Return what the answer failed with, and under which id the server logged it."""
        error = self.answer.error
        assert error is not None
        if isinstance(error, ProviderError) and error.request_id is None:
            error.request_id = self.request_id
        return redact_error(error, self._target.request.redactor)

    def _refusal(self, body: bytes) -> StreamError:
        """Return the exception for a status that is no answer's, with the body as far as it came."""
        target = self._target
        refusal = target.dialect.refusal(
            self._status, self._headers, body, shown_url=target.request.shown_url
        )
        from lm_deluge.models.retiring import explain_retirement

        explain_retirement(refusal, target.info)
        return redact_error(refusal, target.request.redactor)

    def _no_answer(self, evidence: bytes) -> StreamError:
        request = self._target.request
        error = ProtocolError(
            f"{request.shown_url} answered with {self._content_type!r} where "
            f"'text/event-stream' is expected: is the base_url right? It begins {evidence!r}",
            offset=0,
            evidence=evidence,
            content_type=self._content_type,
        )
        return redact_error(error, request.redactor)
