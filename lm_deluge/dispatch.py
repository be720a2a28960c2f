"""From a stream's pieces to its receivers: in order, isolated, timed.

Plain methods are called at once. ``async`` methods get a cursor of their own (``cursor.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from inspect import iscoroutine
from time import perf_counter
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from attrs import evolve

from lm_deluge.cursor import Cursor, Settling
from lm_deluge.errors import StreamError
from lm_deluge.foreign import is_awaitable, is_exit, log, message_of, traceback_of, type_name
from lm_deluge.handlers import ROUTER_IDS, Attachment, process_roster
from lm_deluge.payloads import Delta, HandlerFailure, Token
from lm_deluge.redaction import Redactor
from lm_deluge.signals import StreamSignal, on_delta, on_token

if TYPE_CHECKING:
    from lm_deluge.stream import Stream

__all__ = ["Dispatcher"]

#: A receiver ready to be called with (stream, payload), and what it is called in a failure.
Call = tuple[Callable[..., Any], "Attachment | str"]

#: The streams inside of whose handlers this code runs, or that have started what runs it.
_inside: ContextVar[tuple[Place, ...]] = ContextVar("lm_deluge_inside", default=())

#: Different failures of one stream that are told apart; those beyond are counted as one.
_KINDS = 100


class Place:
    """One stream in ``_inside``; ``left`` once it has ended."""

    left = False


class Dispatcher:
    """The receivers of one stream. Nothing that one of them does is raised from here.

    ``failures``: what went wrong in handlers so far; ``complete_failures`` brings its counts up to date,
    if something ``has_failed``.
    ``busy``: seconds the inline receivers held the event loop for the last network read. ``fatal``: the
    first failure, if the client is strict. ``passing``: the first ``KeyboardInterrupt`` or
    ``SystemExit`` out of a receiver. ``interrupt`` is called for both.
    """

    __slots__ = (
        "_closed",
        "_counted",
        "_cursors",
        "_for_pieces",
        "_for_pieces_at",
        "_hurried",
        "_interrupt",
        "_place",
        "_redactor",
        "_settling",
        "_stream",
        "_strict",
        "busy",
        "failures",
        "fatal",
        "has_failed",
        "passing",
        "stopped",
    )

    def __init__(
        self,
        stream: Stream,
        *,
        strict: bool,
        interrupt: Callable[[], None],
        redactor: Redactor,
    ) -> None:
        self.failures: list[HandlerFailure] = []
        self.busy = 0.0
        self.fatal: HandlerFailure | None = None
        self.has_failed = False
        self.passing: BaseException | None = None
        self.stopped = False
        self._closed = False
        self._stream = stream
        self._strict = strict
        self._interrupt = interrupt
        self._redactor = redactor
        self._cursors: dict[Attachment, Cursor] = {}
        self._counted: dict[tuple[str, str, str], HandlerFailure] = {}
        self._hurried = False
        self._place = Place()
        self._settling: Settling | None = None
        self._for_pieces: tuple[Sequence[Call], Sequence[Call]] = ((), ())
        self._for_pieces_at = -1

    def enter(self) -> None:
        """Mark the running task, and all that its handlers start, as inside of this stream."""
        around = _inside.get()
        if around:
            around = tuple([place for place in around if not place.left])
        _inside.set((*around, self._place))

    def is_inside(self) -> bool:
        """Whether this code runs inside a handler of the stream, or was started by one."""
        return self._place in _inside.get()

    def emit(self, signal: StreamSignal, *payload: Any) -> None:
        """Send a signal to everyone who listens; nobody's failure stops the others."""
        call: Any
        owner: Any
        for call, owner in self._calls(signal):
            try:
                result = call(self._stream, *payload)
            except BaseException as error:  # noqa: BLE001 - a handler may raise anything
                self._failed(owner, signal.name, error)
            else:
                if result is not None:
                    self._returned(owner, signal.name, result)
        # An error of the stream that a handler raises again keeps this frame behind its handler's.
        call = owner = None

    def emit_pieces(self, pieces: Sequence[Token | Delta]) -> None:
        """Send the pieces of one network read, in order."""
        stream = self._stream
        changes = StreamSignal.changes
        token_calls, delta_calls = (
            self._for_pieces if self._for_pieces_at == changes else self._resolve()
        )
        if not token_calls and not delta_calls:
            self.busy = 0.0
            return
        begun = perf_counter()
        for piece in pieces:
            for call, owner in token_calls if type(piece) is Token else delta_calls:
                try:
                    result = call(stream, piece)
                except BaseException as error:  # noqa: BLE001 - a handler may raise anything
                    name = "on_token" if type(piece) is Token else "on_delta"
                    self._failed(owner, name, error)
                else:
                    if result is not None:
                        name = "on_token" if type(piece) is Token else "on_delta"
                        self._returned(owner, name, result)
            if StreamSignal.changes != changes:
                if self.stopped:
                    break
                changes = StreamSignal.changes
                token_calls, delta_calls = self._resolve()
        self.busy = perf_counter() - begun

    def stop(self) -> None:
        """Send no further pieces, not even those of the read at hand."""
        self.stopped = True
        StreamSignal.note_change()

    async def settle(self, limit: float) -> None:
        """Wait until the async handlers have heard everything, at most ``limit`` seconds; at most 1 s
        more for those that must be cancelled. ``hurry`` shortens both to 1 s together."""
        if not self._cursors:
            return
        working = {
            task: (attachment, cursor)
            for attachment, cursor in self._cursors.items()
            if (task := cursor.finish()) is not None
        }
        if working:
            self._settling = Settling()
            if self._hurried:
                self._settling.hurry()
            await self._settling.wait(working, limit, self._lagging)

    def hurry(self) -> None:
        """Whoever waits for the end was cancelled: async handlers get 1 s from here."""
        self._hurried = True
        if self._settling is not None:
            self._settling.hurry()

    def close(self) -> None:
        """Let go of every handler and of the stream's receivers."""
        self.stopped = True
        if self._closed:
            return
        for attachment in self._stream.roster.attachments:
            attachment.detach()
        for cursor in self._cursors.values():
            cursor.abandon()
        self._cursors.clear()
        self._for_pieces, self._for_pieces_at = ((), ()), -1
        # Nothing is emitted from here on, and the stream and all it holds must go when its user lets
        # go of it, without waiting for the cycle collector.
        self._closed = True
        self._place.left = True
        del self._stream, self._interrupt

    def complete_failures(self) -> list[HandlerFailure]:
        """Bring ``failures`` up to date, whatever a handler did to the list; return it."""
        self.failures[:] = self._counted.values()
        return self.failures

    def deliver(self, attachment: Attachment, name: str, *payload: Any) -> None:
        """Call one method of an attached handler, isolated."""
        if self._closed:
            return
        call, owner = self._call(attachment, name)
        try:
            result = call(self._stream, *payload)
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything
            self._failed(owner, name, error)
        else:
            if result is not None:
                self._returned(owner, name, result)

    def _resolve(self) -> tuple[Sequence[Call], Sequence[Call]]:
        """Return who hears tokens and who hears deltas; kept until somebody comes or goes."""
        changes = StreamSignal.changes
        token_calls, delta_calls = self._calls(on_token), self._calls(on_delta)
        # Raw receivers may be held weakly by blinker: keeping them would keep them alive.
        if all(isinstance(owner, Attachment) for _, owner in (*token_calls, *delta_calls)):
            self._for_pieces, self._for_pieces_at = (token_calls, delta_calls), changes
        return token_calls, delta_calls

    def _calls(self, signal: StreamSignal) -> Sequence[Call]:
        """Return who is to be called now, in order."""
        if not signal.receivers or signal.is_muted:
            return ()
        name = signal.name
        calls: list[Call] = [
            self._call(attachment, name)
            for roster in (process_roster, self._stream.roster)
            for attachment in roster.attachments
            if name in attachment.methods
        ]
        calls += [
            (_by_keyword(receiver, signal.payload), _label(receiver))
            for receiver in signal.receivers_for(self._stream)
            if id(receiver) not in ROUTER_IDS
        ]
        return calls

    def _call(self, attachment: Attachment, name: str) -> Call:
        method = attachment.methods[name]
        if name in attachment.queued:
            return partial(self._cursor(attachment).push, name, method), attachment
        return method, attachment

    def _cursor(self, attachment: Attachment) -> Cursor:
        cursor = self._cursors.get(attachment)
        if cursor is None:
            cursor = self._cursors[attachment] = Cursor(
                partial(self._failed, attachment),
                name=f"lm_deluge {attachment.label} of stream {self._stream.id}",
            )
        return cursor

    def _returned(self, owner: Attachment | str, name: str, result: object) -> None:
        """A plain function returned something."""
        try:
            advice = self._take(owner, name, result)
        except BaseException as error:  # noqa: BLE001 - the result may be anything
            self._failed(owner, name, error)
        else:
            if advice:
                self._failed(owner, name, TypeError(advice))

    def _take(self, owner: Attachment | str, name: str, result: object) -> str:
        """Queue an awaitable: it is an ``async`` method in disguise. Return what is wrong with others."""
        # Nobody who hands the stream on means to wait for its end, which waits for its handlers.
        if result is self._stream:
            return ""
        if not is_awaitable(result):
            if type(result) in (GeneratorType, AsyncGeneratorType):
                return "it returned a generator, of which nothing was run: write it without yield"
            return ""
        if isinstance(owner, Attachment):
            self._cursor(owner).push_awaitable(name, result)
            return ""
        if iscoroutine(result):
            result.close()
        return (
            "a coroutine function cannot be connected to a signal: "
            "attach an object with an async method (lm_deluge.attach)"
        )

    def _failed(self, owner: Attachment | str, name: str, error: BaseException) -> None:
        """Count, log and forget what a receiver raised. Raises nothing."""
        if self._closed:
            return
        try:
            if is_exit(error):
                self._go_on(error)
                return
            label = owner.label if isinstance(owner, Attachment) else owner
            redact = self._redactor.text
            if self._note(label, name, type_name(error), lambda: message_of(error, redact)):
                # As text: a log record that kept the exception would keep the stream.
                log(logging.ERROR, "handler %s failed in %s of stream %s\n%s", label, name,
                    self._stream.id, traceback_of(error, redact))  # fmt: skip
            _let_go(error, self._stream.id)
        except BaseException as exit_:  # noqa: BLE001 - only an interrupt of the program comes here
            self._go_on(exit_)

    def _go_on(self, error: BaseException) -> None:
        """End the stream; what ends the program is raised to whoever waits for it, after the ending."""
        if self.passing is None:
            self.passing = error
        self.stop()
        self._interrupt()

    def _lagging(self, late: tuple[Attachment, Cursor], waited: float) -> None:
        attachment, cursor = late
        text = f"still {cursor.behind} calls behind {waited:.2g} s after the stream ended"
        if self._note(attachment.label, cursor.method, "HandlerLagging", lambda: text):
            log(logging.ERROR, "handler %s is lagging in %s of stream %s: %s", attachment.label,
                cursor.method, self._stream.id, text)  # fmt: skip
        cursor.give_up()

    def _note(self, label: str, method: str, kind: str, message: Callable[[], str]) -> bool:
        """Count a failure in; return whether it is the first of its kind."""
        key = (label, method, kind)
        known = self._counted.get(key)
        if known is None and len(self._counted) >= _KINDS:
            key = ("(others)", "(any)", "(others)")
            known = self._counted.get(key)
            label, method, kind = key
        if known is not None:
            self._counted[key] = evolve(known, count=known.count + 1)
            return False
        self.has_failed = True
        failure = self._counted[key] = HandlerFailure(label, method, kind, message())
        self.failures.append(failure)
        if self._strict and self.fatal is None:
            self.fatal = failure
            self.stop()
            self._interrupt()
        return True


def _by_keyword(receiver: Callable[..., Any], keyword: str | None) -> Callable[..., Any]:
    """Make a raw receiver callable with (stream, payload), as handlers' methods are."""
    if keyword is None:
        return receiver
    return lambda stream, payload: receiver(stream, **{keyword: payload})


def _label(receiver: Callable[..., Any]) -> str:
    try:
        name = receiver.__qualname__
    except Exception:  # noqa: BLE001 - an object may raise anything when it is asked
        name = None
    return name if type(name) is str else type_name(receiver)


def _let_go(error: BaseException, stream_id: str) -> None:
    """Take the traceback off an exception that its handler may keep, and raise again and again.

    It was logged; its frames hold the stream, and it would grow each time. Those of an error of this
    stream are cleared at the end.
    """
    with suppress(Exception):
        trace = error.__traceback__
        ours = issubclass(type(error), StreamError) and error.stream_id == stream_id  # type: ignore[attr-defined]
        error.__traceback__ = trace.tb_next if ours and trace is not None else None
