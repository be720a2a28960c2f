"""The promises of a stream (CONTRACT.md, section 2), checked on what was heard of it and on what it left.

``Ear`` hears one stream. ``check`` asserts promises 1 to 4 and 7 of one consumed stream, ``Aftermath``
promise 6 of everything that ran between its entry and its ``settled``. Streams that must not mix
(promise 5) are given texts of their own by the test; ``check`` compares them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import attrs
from blinker.base import ANY_ID

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token
from lm_deluge.errors import APITimeoutError, HandlerError, StreamCancelled, StreamError
from lm_deluge.handlers import ROUTER_IDS
from lm_deluge.response import Partial
from lm_deluge.signals import SIGNALS
from lm_deluge.transport import Transport

#: What no text that the library makes may hold.
KEY = "sk-secret-of-the-fault-tests-0123456789"

#: Seconds within which the server has to see a connection go (CONTRACT.md, section 2, promise 6).
PATIENCE = 1.0

_PHASES = ("connect", "first_token", "between_tokens", "tail", "total")
_ENDINGS = ("complete", "error")


class Ear(StreamHandler):
    """Hears one stream and keeps everything but the stream. ``shown``: what a printer has to print."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.shown = ""
        self.tokens: list[Token] = []
        self.deltas: list[Delta] = []
        self.retries: list[Retry] = []
        self.endings: list[APIResponse | StreamError] = []
        self.stream: weakref.ref[Stream] | None = None
        self.stream_id: str | None = None
        self.partial: Partial | None = None

    def _note(self, stream: Stream, what: str) -> None:
        assert self.stream_id in (None, stream.id), "hears another stream, too"
        self.stream_id = stream.id
        self.stream = weakref.ref(stream)
        self.calls.append(what)

    def on_start(self, stream: Stream) -> None:
        self._note(stream, "start")
        assert stream.started_at is not None

    def on_token(self, stream: Stream, token: Token) -> None:
        self._note(stream, "token")
        self.tokens.append(token)
        if token.choice == 0:
            self.shown += token.text

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        self._note(stream, "delta")
        self.deltas.append(delta)
        if delta.kind == "refusal" and delta.choice == 0:
            self.shown += delta.text

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        self._note(stream, "retry")
        self.retries.append(retry)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self._note(stream, "complete")
        self.endings.append(response)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self._note(stream, "error")
        self.endings.append(error)

    def text(self, choice: int = 0) -> str:
        """What ``on_token`` delivered of one choice."""
        return "".join(token.text for token in self.tokens if token.choice == choice)

    def delta_text(self, kind: str, choice: int = 0) -> str:
        """What ``on_delta`` delivered of one kind."""
        return "".join(d.text for d in self.deltas if d.kind == kind and d.choice == choice)


class RawEar(Ear):
    """The same by bare signals: plain functions connected to one stream."""

    def connect(self, stream: Stream) -> None:
        """Connect a plain function to each of the six signals; blinker holds them weakly, we hold them."""
        self._receivers = []
        for signal in SIGNALS:
            method = getattr(self, signal.name)

            def receiver(sender: Stream, _method: Any = method, **payload: Any) -> None:
                _method(sender, *payload.values())

            signal.connect(receiver, stream)
            self._receivers.append(receiver)

    def drop(self) -> None:
        """Let go of the functions; blinker holds them weakly."""
        self._receivers.clear()


@attrs.define(eq=False, kw_only=True)
class Consumed:
    """One stream, as its consumer saw it.

    ``ears``: those attached to it. ``yielded``: the text that the consumer was given piece by piece,
    ``None`` for one that is given none. ``printed``: what a printer wrote. ``response`` or ``error``:
    what it got in the end.
    """

    name: str
    ears: Sequence[Ear]
    yielded: str | None = None
    printed: str | None = None
    response: APIResponse | None = None
    error: BaseException | None = None


def consumed_check(seen: Consumed) -> None:
    """Assert what holds for every stream that was begun, however it ended."""
    heard = seen.ears[0]
    for ear in seen.ears:
        check_one_ending(ear)
        check_tokens(ear.tokens)
    for ear in seen.ears[1:]:
        # No handler hurts another: all hear the same, in the same order.
        assert ear.calls == heard.calls, f"{ear.calls} != {heard.calls}"
        assert ear.tokens == heard.tokens
        assert ear.deltas == heard.deltas
        assert all(mine is theirs for mine, theirs in zip(ear.endings, heard.endings, strict=True))
    ending = heard.endings[0]
    late = isinstance(seen.error, HandlerError) and seen.error is not ending
    if isinstance(ending, APIResponse):
        assert seen.response is ending or late, f"got {seen.error!r} after on_complete"
        check_response(ending, heard)
    else:
        check_error(ending, heard)
        if isinstance(seen.error, StreamError):
            assert seen.error is ending
    if late:
        check_error(seen.error, heard)
    if seen.response is not None:
        assert seen.response is ending
    if seen.yielded is not None and (
        seen.response is not None or isinstance(seen.error, StreamError)
    ):
        assert seen.yielded == heard.text()
    if seen.printed is not None:
        assert seen.printed == heard.shown


def check_one_ending(ear: Ear) -> None:
    """Promise 1, and the order of the signals."""
    calls = ear.calls
    assert calls, "nothing was heard"
    assert calls[0] == "start", calls
    assert calls.count("start") == 1, calls
    assert sum(calls.count(name) for name in _ENDINGS) == 1, f"endings: {calls}"
    assert calls[-1] in _ENDINGS, f"after the ending: {calls}"
    assert len(ear.endings) == 1
    if "retry" in calls:
        # Never a retry after output.
        output = [at for at, name in enumerate(calls) if name in ("token", "delta")]
        last = max(at for at, name in enumerate(calls) if name == "retry")
        assert not output or last < output[0], calls


def check_tokens(tokens: Sequence[Token]) -> None:
    """Promise 2 for the pieces themselves: numbered, never empty, one arrival time a read."""
    assert [token.index for token in tokens] == list(range(len(tokens)))
    by_read: dict[int, float] = {}
    before = -1
    last = 0.0
    for token in tokens:
        assert token.text, "an empty token"
        assert not any("\ud800" <= char <= "\udfff" for char in token.text), "a lone surrogate"
        assert token.read >= before
        assert token.arrived >= last
        assert by_read.setdefault(token.read, token.arrived) == token.arrived, "two times in a read"
        before, last = token.read, token.arrived


def check_response(response: APIResponse, heard: Ear) -> None:
    """Promise 2: what was heard is what the response holds, for every choice and kind."""
    check_received(response, heard, more=False)
    assert response.attempts == 1 + len(response.failed_attempts) == 1 + len(heard.retries)
    assert response.elapsed >= 0
    if heard.tokens:
        assert response.ttft is not None
        assert response.elapsed >= heard.tokens[-1].arrived


def check_error(error: BaseException | None, heard: Ear) -> None:
    """Promise 4, and the shape of every error."""
    assert isinstance(error, StreamError), f"{type(error).__name__} leaks: {error}"
    assert not isinstance(error, ValueError)
    assert "internal error" not in str(error), str(error)
    assert "\n" not in str(error), "the message has several lines"
    assert str(error), "no message"
    assert error.stream_id == heard.stream_id
    assert error.partial is not None
    assert error.phase in _PHASES
    assert error.elapsed is not None
    assert error.elapsed >= 0
    # Only a stream that was stopped before its first request has sent none.
    assert error.attempts >= (0 if isinstance(error, (StreamCancelled, HandlerError)) else 1)
    if isinstance(error, APITimeoutError):
        assert f"Timeouts.{error.phase}" in str(error)
    stopped = isinstance(error, (StreamCancelled, HandlerError))
    check_received(error.partial, heard, more=stopped)
    if heard.tokens:
        assert error.elapsed >= heard.tokens[-1].arrived


def check_received(received: APIResponse | Partial, heard: Ear, *, more: bool) -> None:
    """What was received is what was heard; for a stopped stream it may be more, never less.

    ``None`` is not 0 (promise 7): no number that the server did not send.
    """

    def same(kept: str | None, told: str, what: str) -> None:
        kept = kept or ""
        whole = kept.startswith(told) if more else kept == told
        assert whole, f"{what}: received {kept!r}, heard {told!r}"

    by_choice = {choice.index: choice for choice in received.choices}
    assert {token.choice for token in heard.tokens} <= set(by_choice)
    for index, choice in by_choice.items():
        same(choice.completion, heard.text(index), "text")
        same(choice.reasoning, heard.delta_text("reasoning", index), "reasoning")
        same(choice.refusal, heard.delta_text("refusal", index), "refusal")
        calls = "".join(call.arguments for call in choice.tool_calls)
        if len(choice.tool_calls) < 2:
            same(calls, heard.delta_text("tool_call", index), "arguments")
    usage = received.usage
    if usage is not None:
        counts = (usage.input_tokens, usage.output_tokens, usage.total_tokens)
        for name, count in zip(("prompt", "completion", "total"), counts, strict=True):
            assert count == usage.raw.get(f"{name}_tokens"), "usage that the server did not send"
    timeline = received.timeline
    assert timeline is not None


def texts_of(seen: Consumed) -> list[str]:
    """Every text that the library made about a stream: none of them may hold a key."""
    texts = [seen.printed or "", seen.yielded or ""]
    ending = seen.ears[0].endings[0] if seen.ears and seen.ears[0].endings else None
    for thing in (seen.response, ending, seen.error):
        if isinstance(thing, BaseException):
            texts += traceback.format_exception(thing)
            texts.append(repr(vars(thing)))
            partial = getattr(thing, "partial", None)
            if partial is not None:
                texts += [repr(partial), repr(partial.to_dict())]
        elif thing is not None:
            texts += [repr(thing), repr(thing.to_dict())]
    return texts


def check_no_key(seen: Consumed) -> None:
    """No key in any text that the library makes, even if the server echoes it."""
    for text in texts_of(seen):
        check_hidden(text, KEY)


def check_hidden(text: str, secret: str, *, run: int = 11) -> None:
    """No beginning of a secret and no long run of it is in a text, in whatever case of letters."""
    text = text.lower()
    parts = {secret[:8], *(secret[at : at + run] for at in range(len(secret) - run + 1))}
    for part in parts:
        at = text.find(part.lower())
        assert at < 0, f"{part!r} of the key shows in {text[max(at - 60, 0) : at + 90]!r}"


class Aftermath:
    """Promise 6: what is left when all streams have ended. ``async with Aftermath() as after: …``.

    Inside it, ``watch`` tells which streams must be dead; leaving it collects garbage and asserts
    that no task, receiver, stream or file descriptor is left and that nothing was logged by asyncio.
    The servers must be stopped and the clients closed by then.
    """

    def __init__(self) -> None:
        self.streams: list[weakref.ref[Stream] | None] = []
        self.complaints: list[str] = []

    async def __aenter__(self) -> Aftermath:
        # Whatever tests before this one left to the collector is none of ours.
        gc.collect()
        self._tasks = asyncio.all_tasks()
        self._files = open_files()
        self._logged = _Logged()
        logging.getLogger("asyncio").addHandler(self._logged)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(repr(context)))
        return self

    def watch(self, *seen: Consumed) -> None:
        """The streams behind these must be dead at the end."""
        self.streams += [ear.stream for one in seen for ear in one.ears]

    async def __aexit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            if error is not None:
                return
            await within(PATIENCE, lambda: asyncio.all_tasks() <= self._tasks)
            left = asyncio.all_tasks() - self._tasks
            assert not left, f"tasks left: {left}"
            gc.collect()
            check_no_receivers()
            alive = [ref() for ref in self.streams if ref is not None and ref() is not None]
            assert not alive, f"streams alive: {[gc.get_referrers(stream) for stream in alive[:1]]}"
            await within(PATIENCE, lambda: open_files() <= self._files)
            assert open_files() <= self._files, f"{open_files()} files open, {self._files} before"
            # A task that was destroyed or an exception nobody retrieved shows at its collection.
            await asyncio.sleep(0)
            assert not self.complaints, self.complaints
            assert not self._logged.lines, self._logged.lines
        finally:
            logging.getLogger("asyncio").removeHandler(self._logged)
            loop.set_exception_handler(None)


def check_no_receivers() -> None:
    """No receiver is left in any of the signals."""
    for signal in SIGNALS:
        # blinker never lets go of a receiver that was connected to one sender: the library has one
        # per signal for all streams, and no more.
        left = [receiver for key, receiver in signal.receivers.items() if key not in ROUTER_IDS]
        assert not left, f"{signal.name}: {left}"
        assert not signal._weak_senders, f"{signal.name}: {signal._weak_senders}"
        assert not set(signal._by_sender) - {ANY_ID}, f"{signal.name}: {signal._by_sender}"


def open_files() -> int:
    """How many file descriptors this process has."""
    files = Path("/proc/self/fd")
    return len(list(files.iterdir())) if files.is_dir() else 0


def pooled(transport: Transport) -> int:
    """How many idle connections a transport keeps for its next request, in the running loop."""
    entry = transport._sessions.entries.get(asyncio.get_running_loop())
    if entry is None or entry.session.connector is None:
        return 0
    return sum(len(idle) for idle in entry.session.connector._conns.values())


async def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds, at most so long; return whether it does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.002)
    return True


async def all_of(jobs: Sequence[Coroutine[Any, Any, Consumed]]) -> list[Consumed]:
    """Run jobs side by side, each of which returns what it saw."""
    return list(await asyncio.gather(*jobs))


@contextlib.asynccontextmanager
async def no_longer_than(seconds: float, what: str) -> AsyncIterator[None]:
    """Fail, with a name, instead of hanging."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {seconds} s") from None


class _Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Debug mode reports slow callbacks; they are no fault.
        if "took" not in record.getMessage():
            self.lines.append(record.getMessage())


def rss() -> int:
    """Resident memory of this process in bytes, 0 where it cannot be told."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return 0
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
