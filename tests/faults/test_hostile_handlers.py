"""Nothing that a handler is, does, raises, returns or logs changes a stream or stops the process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import pickle
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from lm_deluge import APIResponse, HandlerFailure, LLMClient, RetryPolicy, attach
from lm_deluge.errors import ConnectionLostError, HandlerError
from support.aftermath import Aftermath
from support.bare_server import BareServer
from support.consumers import CONSUMERS
from support.hostile_methods import ASYNC_DEEDS, DEEDS, METHODS, doing
from support.hostile_objects import BEINGS
from support.promises import KEY, Consumed, Ear, check_no_key, consumed_check
from support.scripted import END, HEADERS, RESET, delta, ending, http, reply, sse

SCOPES = ("process", "client", "stream")
KINDS = ("plain", "async")

#: Read by read; the first request is refused, so that a retry is told, too.
PIECES = (delta(reasoning="hm"), delta("Once"), delta(" upon"), delta(" a time"))
REFUSED = reply("503 Busy", '{"error": {"message": "busy"}}', headers="Retry-After: 0\r\n")
WHOLE = [HEADERS, *(http(sse(piece)) for piece in PIECES), http(ending()) + END]
BROKEN = [HEADERS, *(http(sse(piece)) for piece in PIECES), RESET]
HEARD = ["start", "retry", "delta", "token", "token", "token"]

#: Seconds that a hostile handler may cost: far below the wait for one that hangs.
PROMPT = 2.0


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging says on stderr what a handler's bad log call did: of no interest here."""
    caplog.set_level(logging.CRITICAL + 1, "lm_deluge")
    monkeypatch.setattr(logging, "raiseExceptions", False)


async def live_through(
    make: Callable[[], object], *, how: str, scope: str, script: list[Any]
) -> list[HandlerFailure]:
    """Consume a stream beside a handler and check that it is as it would be without.

    Return the failures that were told of it.
    """
    handler = make()
    async with Aftermath() as after:
        async with BareServer(REFUSED, script) as server:
            client = LLMClient(
                "gpt-4o",
                base_url=server.base_url,
                api_key=KEY,
                handlers=[handler] if scope == "client" else [],
                retries=RetryPolicy(max_attempts=2),
            )
            before, behind = Ear(), Ear()
            seen = Consumed(name=how, ears=[before, behind])
            given = [before, *([handler] if scope == "stream" else []), behind]
            begun = time.perf_counter()
            observing = attach(handler) if scope == "process" else None
            try:
                async with asyncio.timeout(10):
                    await CONSUMERS[how](client, "hi", given, seen)
            finally:
                if observing is not None:
                    observing.detach()
            took = time.perf_counter() - begun
            await client.close()
            await server.all_gone()
            assert server.requests == 2
        # A mock keeps what it was called with, and the consumer's frame keeps the mock.
        del handler, given, client, observing
        if seen.error is not None:
            traceback.clear_frames(seen.error.__traceback__)
        after.watch(seen)
    consumed_check(seen)
    check_no_key(seen)
    assert before.calls == [*HEARD, "complete" if script is WHOLE else "error"]
    assert before.text() == "Once upon a time"
    assert before.delta_text("reasoning") == "hm"
    if script is WHOLE:
        assert isinstance(seen.response, APIResponse)
    else:
        assert isinstance(seen.error, ConnectionLostError)
    assert took < PROMPT, f"{took:.1f} s"
    return before.endings[0].handler_failures


def cases() -> Iterator[tuple[str, str, str, str, str]]:
    """Deed, kind, method, scope, consumer: all there are."""
    yield from itertools.product(DEEDS, KINDS, METHODS, SCOPES, CONSUMERS)
    yield from itertools.product(ASYNC_DEEDS, ["async"], METHODS, SCOPES, CONSUMERS)


def sample() -> list[tuple[str, str, str, str, str]]:
    """Every deed, plain and async, with methods, scopes and consumers in turn."""
    deeds = [*itertools.product(DEEDS, KINDS), *itertools.product(ASYNC_DEEDS, ["async"])]
    consumers = list(CONSUMERS)
    return [
        (deed, kind, METHODS[at % 6], SCOPES[at // 2 % 3], consumers[at // 3 % len(consumers)])
        for at, (deed, kind) in enumerate(deeds)
    ]


async def do(deed: str, kind: str, method: str, scope: str, how: str) -> None:
    script = BROKEN if method == "on_error" else WHOLE
    make = partial(doing, {**DEEDS, **ASYNC_DEEDS}[deed], kind, method)
    failures = await live_through(make, how=how, scope=scope, script=script)
    if deed.startswith("raises"):
        # Of several reads the one method was called once or more, and nothing else failed.
        (failure,) = failures
        assert (failure.handler, failure.method) == ("Hostile", method)
    else:
        assert not [failure for failure in failures if failure.type == "HandlerLagging"]


@pytest.mark.parametrize(("deed", "kind", "method", "scope", "how"), sample())
async def test_what_a_handler_does_changes_nothing(
    deed: str, kind: str, method: str, scope: str, how: str
) -> None:
    await do(deed, kind, method, scope, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("method", METHODS)
async def test_what_a_handler_does_changes_nothing_in_any_combination(
    method: str, how: str
) -> None:
    for case in cases():
        if (case[2], case[4]) == (method, how):
            try:
                await do(*case)
            except BaseException as error:
                error.add_note(f"in the case {case}")
                raise


@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("being", BEINGS)
async def test_what_a_handler_is_changes_nothing(being: str, how: str) -> None:
    for scope, script in itertools.product(SCOPES, (WHOLE, BROKEN)):
        await live_through(BEINGS[being], how=how, scope=scope, script=script)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deed", [deed for deed in DEEDS if deed.startswith("raises")])
async def test_a_strict_client_tells_of_any_failure_in_one_line(deed: str, kind: str) -> None:
    async with BareServer(WHOLE) as server:
        client = LLMClient("gpt-4o", base_url=server.base_url, api_key=KEY, strict=True)
        handlers = [doing(DEEDS[deed], kind, "on_token")]
        with pytest.raises(HandlerError) as caught:
            await client.stream("hi", printer=None, handlers=handlers)
        await client.close()
    assert str(caught.value).startswith("handler Hostile failed in on_token: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2_200
    str(caught.value).encode()
    assert pickle.loads(pickle.dumps(caught.value)).failure == caught.value.failure
