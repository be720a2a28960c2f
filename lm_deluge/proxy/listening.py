"""Who listens to one exchange: what the app asks for, when, and what came of it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Protocol
from uuid import uuid4

from attrs import evolve

from lm_deluge.errors import (
    APIConnectionError,
    ConnectionLostError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.http.translation import BROKE
from lm_deluge.proxy.asked import AppAsks, asks_of, redactor_of_request
from lm_deluge.proxy.decoding import Decoding, decoding_of, encoding_in
from lm_deluge.proxy.exchange import Ending, RequestHead, WatchedExchange
from lm_deluge.proxy.keeping import Keeping, KeptBody
from lm_deluge.proxy.telling import Note, PassedRequest, Telling
from lm_deluge.values.addresses import redact_url
from lm_deluge.values.foreign import log, traceback_of
from lm_deluge.values.prompt_facts import PromptFacts
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.headers import Caseless

if TYPE_CHECKING:
    from lm_deluge.proxy.planned import AppStream
    from lm_deluge.proxy.watched import AppLife

__all__ = ["Listening"]

P = ParamSpec("P")

_EVENTS: Final = "text/event-stream"
_STOPPED: Final = "the proxy was stopped"


class _AllExchanges(Protocol):
    """What an exchange needs of ``proxy.watcher``."""

    @property
    def telling(self) -> Telling: ...

    @property
    def keeping(self) -> Keeping: ...

    def watch(
        self,
        head: RequestHead,
        headers: Mapping[str, str],
        asks: AppAsks,
        *,
        began: float,
        known_as: str,
        redactor: Redactor,
        body: bytes,
        note: Callable[[int, str], object],
    ) -> tuple[AppLife, AppStream]: ...


def _harmless(
    method: Callable[Concatenate[Listening, P], None],
) -> Callable[Concatenate[Listening, P], None]:
    """A mistake of ours ends the watching, and hurts nothing that passes."""

    @functools.wraps(method)
    def guarded(self: Listening, /, *args: P.args, **named: P.kwargs) -> None:
        try:
            method(self, *args, **named)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.broke(error)

    return guarded


class Listening(WatchedExchange):
    """Makes a stream of an exchange that is one, and tells of others."""

    __slots__ = (
        "_asks",
        "_body",
        "_bytes",
        "_connected",
        "_decoding",
        "_expected",
        "_head",
        "_headers",
        "_id",
        "_is_over",
        "_is_stream",
        "_redactor",
        "_size",
        "_status",
        "_t0",
        "_wait",
        "_watched",
        "_watcher",
    )

    def __init__(self, watcher: _AllExchanges, head: RequestHead) -> None:
        self._watcher: _AllExchanges | None = watcher
        self._head = head
        self._headers = Caseless(head.headers)
        self._id = uuid4().hex
        self._redactor: Redactor | None = None
        self._asks: AppAsks | None = None
        self._body: KeptBody | None = None
        self._size = 0
        self._t0: float | None = None
        self._connected: float | None = None
        self._watched: AppLife | None = None
        self._status: int | None = None
        self._wait: float | None = None
        self._bytes = 0
        self._decoding: Decoding | None = None
        self._is_over = False
        self._is_stream = False
        length = self._headers.get("content-length", "")
        self._expected = int(length) if length.isascii() and length.isdigit() else None
        content_type = self._headers.get("content-type", "").lower()
        if head.dialect is not None or "json" in content_type:
            self._body = KeptBody(watcher.keeping)
        if self._expected is None and "transfer-encoding" not in self._headers:
            self._expected = 0

    @_harmless
    def sent(self, data: bytes) -> None:
        if self._asks is not None or self._is_over:
            return
        self._size += len(data)
        if self._body is not None and not self._body.add(data):
            self._body.let_go()
        if not data or (self._expected is not None and self._size >= self._expected):
            self._know()

    @_harmless
    def asked(self, connected: float, at: float | None = None) -> None:
        self._t0 = (perf_counter() if at is None else at) - connected
        self._connected = connected
        if self._asks is not None:
            self._begin(self._asks)
        elif self._expected == 0:
            self._know()

    @_harmless
    def head(
        self, status: int, headers: Sequence[tuple[str, str]], arrived: float | None = None
    ) -> None:
        if self._is_over:
            return
        arrived = perf_counter() if arrived is None else arrived
        if self._t0 is None:
            self._t0 = self._head.received
        self._status, self._wait = status, arrived - self._t0
        asks = self._asks or self._know()
        known = Caseless(headers)
        content_type = known.get("content-type", "").partition(";")[0].strip().lower()
        # Some servers take "true" and 1 for yes, and some stream unasked: what comes is a stream.
        if not asks.streams and self._head.dialect is not None and content_type == _EVENTS:
            self._watch(asks)
        self._asks = evolve(asks, body=None, prompt=PromptFacts())  # they may be long
        self._let_body_go()
        if self._watched is None:
            return
        self._decoding = decoding_of(encoding_in(headers))
        if self._decoding is not None:
            # What is heard, and recorded, is not encoded any more.
            headers = [pair for pair in headers if pair[0].lower() not in _OF_ENCODING]
        self._watched.answered(status, headers, arrived)
        self._look_at_decoding(self._watched, arrived)

    @_harmless
    def read(self, data: bytes, arrived: float) -> None:
        watched, decoding = self._watched, self._decoding
        self._bytes += len(data)
        if watched is None:
            return
        if decoding is not None:
            data = decoding.feed(data)
            self._look_at_decoding(watched, arrived)
        watched.read(data, arrived)

    @_harmless
    def ended(
        self, how: Ending, cause: BaseException | None = None, arrived: float | None = None
    ) -> None:
        if self._is_over:
            return
        self._is_over = True
        arrived = perf_counter() if arrived is None else arrived
        if self._t0 is None:
            self._t0 = self._head.received
        asks = self._asks or self._know()
        self._begin(asks)
        watched = self._watched
        try:
            if watched is not None:
                self._end(watched, how, cause, arrived)
            elif not self._is_stream:
                self._tell_passed(asks, arrived - self._t0)
        finally:
            self._let_go()

    def broke(self, error: Exception) -> None:
        """The watching itself failed: it ends here, and what passes goes on."""
        redact = self._redactor.text if self._redactor is not None else None
        log(40, "watching a request failed\n%s", traceback_of(error, redact))
        watched = self._watched
        self._is_over = True
        self._let_go()
        if watched is not None:
            watched.broke(error.with_traceback(None))

    def _know(self) -> AppAsks:
        """Read what the request asks for; a stream begins with it."""
        head, kept, expected = self._head, self._body, self._expected
        data, problem = b"", None
        if kept is not None:
            data, problem = kept.take(), kept.problem
        if problem is None and expected is not None and self._size < expected:
            problem = "the request's body is not whole"
        if data and (decoding := decoding_of(encoding_in(head.headers))) is not None:
            data = decoding.feed(data)
            if decoding.failed is not None:
                problem = problem or f"the request's body: {decoding.failed}"
        asks = self._asks = asks_of(head.dialect, head.target, data, problem=problem)
        self._redactor = redactor_of_request(head.headers, head.target, asks.body)
        if asks.problem is not None and head.dialect is not None and head.method == "POST":
            self._note(0, asks.problem)
        if self._t0 is not None:
            self._begin(asks, data)
        if asks.streams or head.dialect is None:
            self._let_body_go()
        return asks

    def _begin(self, asks: AppAsks, body: bytes = b"") -> None:
        if asks.streams and not self._is_stream:
            self._watch(asks, body)

    def _watch(self, asks: AppAsks, body: bytes = b"") -> None:
        watcher, redactor = self._watcher, self._redactor
        if watcher is None or redactor is None or self._t0 is None:
            return
        watched, stream = watcher.watch(
            self._head,
            self._headers,
            asks,
            began=self._t0,
            known_as=self._id,
            redactor=redactor,
            body=body,
            note=self._note,
        )
        self._watched, self._is_stream = watched, True
        stream.connected = self._connected
        stream.start()

    def _end(
        self, watched: AppLife, how: Ending, cause: BaseException | None, arrived: float
    ) -> None:
        if how == "whole" and self._status is not None:
            watched.over(arrived)
        elif how == "reader left":
            watched.left(arrived)
        elif how == "cut by us":
            watched.fail(StreamCancelled(_STOPPED), arrived)
        else:
            error = self._lost(how, cause)
            error.__cause__ = _shown(cause, self._redactor)
            watched.lost(error, arrived)

    def _lost(self, how: Ending, cause: BaseException | None) -> StreamError:
        """Return the error for a connection that was lost, or never there, in our client's words."""
        detail = " ".join(str(cause).split()) if cause is not None else ""
        if self._status is not None:
            why = detail or ("it was reset" if how == "reset" else "the body is not whole")
            return ConnectionLostError(f"{BROKE}: {why}")
        where = redact_url(self._head.base_url)
        if isinstance(cause, APIConnectionError):
            text = detail  # whoever dialled said it
        elif how == "unreachable":
            text = f"no connection to {where}: {detail or 'it is not reachable'}"
        elif how == "short":
            text = f"{where} closed the connection without an answer"
        else:
            text = f"the request to {where} failed: {detail or 'the connection was reset'}"
        return APIConnectionError(text, phase="connect")

    def _tell_passed(self, asks: AppAsks, elapsed: float) -> None:
        watcher = self._watcher
        if watcher is not None:
            redact = (self._redactor or Redactor()).text
            watcher.telling.request(
                PassedRequest(
                    id=self._id,
                    model=None if asks.model is None else redact(asks.model),
                    status=self._status,
                    wait=self._wait,
                    elapsed=elapsed,
                    bytes=self._bytes,
                )
            )

    def _look_at_decoding(self, watched: AppLife, arrived: float) -> None:
        """End the watching of what cannot be read: the app may well read it."""
        decoding = self._decoding
        if decoding is not None and decoding.failed is not None:
            self._note(self._bytes, decoding.failed)
            watched.fail(StreamCancelled(f"it is watched no longer: {decoding.failed}"), arrived)
            self._watched = self._decoding = None

    def _note(self, offset: int, what: str) -> None:
        watcher = self._watcher
        if watcher is not None:
            since = self._t0 if self._t0 is not None else self._head.received
            elapsed = max(0.0, perf_counter() - since)
            watcher.telling.note(Note(id=self._id, elapsed=elapsed, offset=offset, what=what))

    def _let_body_go(self) -> None:
        """Give back the room of the request's body, unless a stream holds it, which tells what was asked."""
        if self._body is not None and not self._is_stream:
            self._body.let_go()
            self._body = None

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.let_go()
        self._watched = self._watcher = self._body = self._asks = None


#: Headers of a response that speak of its bytes as they came.
_OF_ENCODING: Final = frozenset({"content-encoding", "content-length"})


def _shown(cause: BaseException | None, redactor: Redactor | None) -> BaseException | None:
    """Return what may be chained to our error: a copy, which holds no frames and shows no secret."""
    if cause is None or redactor is None or redactor.find(f"{cause!r} {cause}"):
        return None
    try:
        return copy.copy(cause).with_traceback(None)
    except Exception:  # noqa: BLE001 - its class may want other arguments than it keeps
        return None
