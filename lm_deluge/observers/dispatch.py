"""From a stream's pieces to its receivers: in order, isolated, timed.

Plain methods are called at once. ``async`` methods get a queue of their own (``queues.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from inspect import iscoroutine
from time import perf_counter
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any
from weakref import ref

from attrs import evolve

from lm_deluge.errors import HandlerError, StreamCancelled, StreamError
from lm_deluge.observers.attach import ROUTER_IDS, Attachment, Sender, process_roster
from lm_deluge.observers.queues import HandlerQueue, Settling
from lm_deluge.observers.receivers import by_keyword, label_of, let_go
from lm_deluge.signals import StreamSignal, on_complete, on_delta, on_token
from lm_deluge.values.failures import HandlerFailure
from lm_deluge.values.foreign import (
    is_awaitable,
    is_exit,
    log,
    message_of,
    traceback_of,
    type_name,
)
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.observers.object_watch import ObjectWatch

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
    ``SystemExit`` out of a receiver. ``interrupt`` is called for both, with the error
    that the stream is to end with.
    """

    __slots__ = (
        "_closed",
        "_counted",
        "_for_pieces",
        "_for_pieces_at",
        "_hurried",
        "_interrupt",
        "_place",
        "_queues",
        "_redactor",
        "_sender",
        "_settling",
        "_strict",
        "_watch",
        "busy",
        "failures",
        "fatal",
        "has_failed",
        "passing",
        "stopped",
    )

    def __init__(
        self,
        *,
        strict: bool,
        interrupt: Callable[[StreamError], None],
        redactor: Redactor,
    ) -> None:
        self.failures: list[HandlerFailure] = []
        self.busy = 0.0
        self.fatal: HandlerFailure | None = None
        self.has_failed = False
        self.passing: BaseException | None = None
        self.stopped = False
        self._closed = False
        self._strict = strict
        self._interrupt = interrupt
        self._redactor = redactor
        self._queues: dict[Attachment, HandlerQueue] = {}
        self._counted: dict[tuple[str, str, str], HandlerFailure] = {}
        self._hurried = False
        self._place = Place()
        self._settling: Settling | None = None
        self._watch: ObjectWatch | None = None
        self._for_pieces: tuple[Sequence[Call], Sequence[Call]] = ((), ())
        self._for_pieces_at = -1

    def serve(self, stream: Sender) -> None:
        """Let it be the sender of what is emitted; once, before anything else.

        It is not kept alive from here: while it runs, the engine's task does that.
        """
        self._sender: Callable[[], Any] = ref(stream)

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
        stream = self._sender()
        call: Any
        owner: Any
        if signal is on_complete and (process_roster.tells_objects or stream.roster.tells_objects):
            self._object_watch(stream).finish(*payload)
        for call, owner in self._calls(signal, stream):
            try:
                result = call(stream, *payload)
            except BaseException as error:  # noqa: BLE001 - a handler may raise anything
                self._failed(owner, signal.name, error)
            else:
                if result is not None:
                    self._returned(owner, signal.name, result)
        # An error of the stream that a handler raises again keeps this frame behind its handler's.
        call = owner = stream = None

    def emit_pieces(self, pieces: Sequence[Token | Delta]) -> None:
        """Send the pieces of one network read, in order."""
        stream = self._sender()
        changes = StreamSignal.changes
        token_calls, delta_calls = (
            self._for_pieces if self._for_pieces_at == changes else self._resolve(stream)
        )
        if not token_calls and not delta_calls:
            self.busy = 0.0
            return
        begun = perf_counter()
        for piece in pieces:
            for call, owner in token_calls if type(piece) is not Delta else delta_calls:
                try:
                    result = call(stream, piece)
                except BaseException as error:  # noqa: BLE001 - a handler may raise anything
                    name = "on_token" if type(piece) is not Delta else "on_delta"
                    self._failed(owner, name, error)
                else:
                    if result is not None:
                        name = "on_token" if type(piece) is not Delta else "on_delta"
                        self._returned(owner, name, result)
            if StreamSignal.changes != changes:
                if self.stopped:
                    break
                changes = StreamSignal.changes
                token_calls, delta_calls = self._resolve(stream)
        self.busy = perf_counter() - begun

    def stop(self) -> None:
        """Send no further pieces, not even those of the read at hand."""
        self.stopped = True
        StreamSignal.note_change()

    async def settle(self, limit: float) -> None:
        """Wait until the async handlers have heard everything, at most ``limit`` seconds; at most 1 s
        more for those that must be cancelled. ``hurry`` shortens both to 1 s together."""
        if not self._queues:
            return
        working = {
            task: (attachment, queue)
            for attachment, queue in self._queues.items()
            if (task := queue.finish()) is not None
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
        stream = self._sender()
        if stream is not None:
            for attachment in stream.roster.attachments:
                attachment.detach()
        if self._watch is not None:
            self._watch.close()
        for queue in self._queues.values():
            queue.abandon()
        self._queues.clear()
        self._for_pieces, self._for_pieces_at = ((), ()), -1
        self._closed = True
        self._place.left = True

    def complete_failures(self) -> list[HandlerFailure]:
        """Bring ``failures`` up to date, whatever a handler did to the list; return it."""
        self.failures[:] = self._counted.values()
        return self.failures

    def deliver(self, signal: StreamSignal, *payload: Any) -> None:
        """Send a signal by hand: as ``emit``, but nothing once the stream is over."""
        if not self._closed:
            self.emit(signal, *payload)

    def _resolve(self, stream: Sender) -> tuple[Sequence[Call], Sequence[Call]]:
        """Return who hears tokens and who hears deltas; kept until somebody comes or goes."""
        changes = StreamSignal.changes
        token_calls, delta_calls = self._calls(on_token, stream), self._calls(on_delta, stream)
        if (process_roster.tells_objects or stream.roster.tells_objects) and not on_token.is_muted:
            watch = self._object_watch(stream)
            heard: list[Call] = [(watch.hear, "on_object")]
            token_calls, delta_calls = [*token_calls, *heard], [*delta_calls, *heard]
        # Raw receivers may be held weakly by blinker: keeping them would keep them alive.
        for _, owner in (*token_calls, *delta_calls):
            if not isinstance(owner, Attachment) and owner != "on_object":
                break
        else:
            self._for_pieces, self._for_pieces_at = (token_calls, delta_calls), changes
        return token_calls, delta_calls

    def _object_watch(self, stream: Any) -> ObjectWatch:
        """Return what hears the pieces for those who have ``on_object``."""
        if self._watch is None:
            # Most handlers have none.
            from lm_deluge.observers.object_watch import ObjectWatch

            self._watch = ObjectWatch(stream, self.send_to)
        return self._watch

    def send_to(self, attachment: Attachment, name: str, *payload: Any) -> None:
        """Call one method of one handler; its failure is noted."""
        stream = self._sender()
        if self.stopped or stream is None:
            return
        try:
            result = self._call(attachment, name)[0](stream, *payload)
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything
            self._failed(attachment, name, error)
        else:
            if result is not None:
                self._returned(attachment, name, result)

    def _calls(self, signal: StreamSignal, stream: Sender) -> Sequence[Call]:
        """Return who is to be called now, in order."""
        if not signal.receivers or signal.is_muted:
            return ()
        name = signal.name
        calls: list[Call] = []
        for attachment in (*process_roster.attachments, *stream.roster.attachments):
            if name not in attachment.methods:
                continue
            calls.append(self._call(attachment, name))
        if signal.receivers.keys() <= ROUTER_IDS:
            return calls
        for receiver in signal.receivers_for(stream):
            if id(receiver) in ROUTER_IDS:
                continue
            calls.append((by_keyword(receiver, signal.payload), label_of(receiver)))
        return calls

    def _call(self, attachment: Attachment, name: str) -> Call:
        method = attachment.methods[name]
        if name in attachment.queued:
            return partial(self._queue_of(attachment).push, name, method), attachment
        return method, attachment

    def _queue_of(self, attachment: Attachment) -> HandlerQueue:
        queue = self._queues.get(attachment)
        if queue is None:
            queue = self._queues[attachment] = HandlerQueue(
                partial(self._failed, attachment),
                name=f"lm_deluge {attachment.label} of stream {self._sender().id}",
            )
        return queue

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
        if result is self._sender():
            return ""
        if not is_awaitable(result):
            if type(result) in (GeneratorType, AsyncGeneratorType):
                return "it returned a generator, of which nothing was run: write it without yield"
            return ""
        if isinstance(owner, Attachment):
            self._queue_of(owner).push_awaitable(name, result)
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
                    self._sender().id, traceback_of(error, redact))  # fmt: skip
            let_go(error, self._sender().id)
        except BaseException as exit_:  # noqa: BLE001 - only an interrupt of the program comes here
            self._go_on(exit_)

    def _go_on(self, error: BaseException) -> None:
        """End the stream; what ends the program is raised to whoever waits for it, after the ending."""
        if self.passing is None:
            self.passing = error
        self._end_with(StreamCancelled(f"{type_name(error)} was raised"))

    def _end_with(self, error: StreamError) -> None:
        self.stop()
        self._interrupt(error)

    def _lagging(self, late: tuple[Attachment, HandlerQueue], waited: float) -> None:
        attachment, queue = late
        text = f"still {queue.behind} calls behind {waited:.2g} s after the stream ended"
        if self._note(attachment.label, queue.method, "HandlerLagging", lambda: text):
            log(logging.ERROR, "handler %s is lagging in %s of stream %s: %s", attachment.label,
                queue.method, self._sender().id, text)  # fmt: skip
        queue.give_up()

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
            self._end_with(HandlerError(failure))
        return True
