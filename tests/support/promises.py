"""The promises of a stream (docs/design/contract.md), checked on what was heard of it.

``Ear`` hears one stream. ``consumed_check`` asserts promises 1 to 4 and 7 of one consumed stream; promise 6
is in ``support.aftermath``. Streams that must not mix (promise 5) are given texts of their own by the test;
``consumed_check`` compares them.
"""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Sequence
from typing import Any

import attrs

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token
from lm_deluge.errors import APITimeoutError, HandlerError, StreamCancelled, StreamError
from lm_deluge.signals import SIGNALS
from lm_deluge.values.response import Partial

#: What no text that the library makes may hold.
KEY = "sk-secret-of-the-fault-tests-0123456789"

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
    if usage is not None and "prompt_tokens" in usage.raw:
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
