"""What the tests of every dialect do alike: recordings, any cut, a client, and its streams' promises."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Delta, LLMClient, RetryPolicy, Token
from lm_deluge.config import Timeouts
from lm_deluge.errors import AnswerCutError, ProviderError, StreamError
from lm_deluge.models.registry import register_model
from support.aftermath import Aftermath
from support.consumers import consume
from support.promises import KEY, check_no_key, consumed_check
from support.scripted import END, HEADERS, ScriptedServer, http

OWN = Path(__file__).parents[1] / "dialects" / "recordings"
CAPTURES = os.environ.get("LM_DELUGE_CAPTURES")
FOLDERS = [OWN, Path(CAPTURES)] if CAPTURES else [OWN]

AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0.0, max_delay=0.0)

#: What a server does, the class of the error that it ends in, and the text that came before.
Fault = tuple[Any, type[StreamError] | None, str]


def recorded(folder: str) -> dict[Path, Any]:
    """Return the recordings of a dialect, our own and those elsewhere, with what is expected of each."""
    return {
        root / folder / f"{name}.sse": expected
        for root in FOLDERS
        for name, expected in json.loads((root / f"expected_{folder}.json").read_text("utf-8"))[
            "files"
        ].items()
    }


# Any cut


class Reading:
    """An answer of one dialect that was read in pieces."""

    def __init__(self, make: Callable[..., Any], reads: list[bytes], **options: Any) -> None:
        self.answer = make(**options)
        self.pieces: list[Token | Delta] = []
        for data in reads:
            self.pieces += self.answer.feed(data, 0.0)
        self.pieces += self.answer.close(0.0)

    @property
    def choice(self) -> Any:
        """The only choice, or None where there is none."""
        (choice,) = self.answer.choices() or [None]
        return choice

    def summary(self) -> Any:
        """All but what depends on the cuts: times and ordinals of reads."""
        answer = self.answer
        told = [
            (type(p).__name__, p.text, p.index, getattr(p, "kind", ""), getattr(p, "id", ""))
            for p in self.pieces
        ]
        facts = (answer.facts.usage, answer.facts.response_id, answer.facts.model_external)
        error = (type(answer.error), str(answer.error), getattr(answer.error, "offset", None))
        return told, answer.choices(), facts, error, answer.whole, answer.facts.extra


def _in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _at_random(body: bytes, seed: int) -> list[bytes]:
    draw = random.Random(seed)
    places = sorted(draw.sample(range(len(body)), min(len(body), 40)))
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def read(make: Callable[..., Any], body: bytes, **options: Any) -> Reading:
    """Read a body whole and cut in two at every byte and in single ones: all say the same."""
    whole = Reading(make, [body], **options)
    cuts = [[body[:at], body[at:]] for at in range(1, len(body))] if len(body) < 3000 else []
    for reads in (*cuts, _in_pieces(body, 1)):
        assert Reading(make, reads, **options).summary() == whole.summary()
    return whole


def read_recorded(make: Callable[..., Any], body: bytes) -> Reading:
    """Read a recording whole, in single bytes, in pieces of two sizes and at random: all say the same."""

    def cuttings() -> Iterator[list[bytes]]:
        for size in (1, 7, 61):
            yield _in_pieces(body, size)
        for seed in (1, 2):
            yield _at_random(body, seed)

    whole = Reading(make, [body])
    for reads in cuttings():
        assert Reading(make, reads).summary() == whole.summary()
    return whole


def check_recorded(reading: Reading, expected: dict[str, Any], *, raw_end: str | None) -> None:
    """Check what is expected of a recording. ``raw_end``: why the answer ended, in its server's words."""
    answer, choice = reading.answer, reading.choice
    assert (choice.completion if choice else "") == expected["text"]
    assert ((choice.reasoning if choice else None) or "") == expected["reasoning"]
    assert (choice.finish_reason if choice else None) == expected["finish_reason"]
    assert raw_end == expected["finish_reason_raw"]
    assert (answer.error is not None) is (expected["error"] is not None)
    assert answer.facts.response_id == expected["response_id"]
    assert answer.facts.model_external == expected["model"]
    usage = answer.facts.usage
    assert (usage and usage.raw) == expected["usage_raw"]
    if usage is not None:
        for name in ("input", "output", "total", "cache_read", "reasoning"):
            counted = expected["usage"][f"{name}_tokens"]
            assert getattr(usage, f"{name}_tokens") == counted, name
    told = "".join(piece.text for piece in reading.pieces if isinstance(piece, Token))
    assert told == expected["text"]


def check_calls(reading: Reading, expected: dict[str, Any]) -> None:
    """Check calls to the letter: their ids, names and arguments."""
    choice = reading.choice
    calls = [(c.id, c.name, c.arguments) for c in (choice.tool_calls if choice else [])]
    assert calls == [(c["id"], c["name"], c["arguments"]) for c in expected["tool_calls"]]


# Through a client and a socket


def registered(
    server: ScriptedServer, name: str, registration: dict[str, Any], **options: Any
) -> LLMClient:
    """Register a model at a server, and return a silent client of it, without retries unless told so."""
    register_model(name, base_url=server.base_url, **registration)
    options.setdefault("retries", RetryPolicy.none())
    return LLMClient(name, api_key=KEY, printer=None, **options)


async def check_promises(
    client_of: Callable[..., LLMClient], name: str, fault: Fault, how: str
) -> str:
    """Consume a stream with a fault, check its promises and its end, and return how its ending reads."""
    script, kind, text = fault
    async with Aftermath() as after:
        async with ScriptedServer(script) as server:
            client = client_of(server, name, timeouts=Timeouts(between_tokens=0.3))
            seen = await consume(how, client, "Hi", None, "it")
            await client.close()
            await server.all_gone()
        after.watch(seen)
        consumed_check(seen)
        check_no_key(seen)
        ending = seen.ears[0].endings[0]
        if kind is None:
            assert not isinstance(ending, StreamError)
        else:  # an error inside a 200 is of its class, and of ProviderError
            assert isinstance(ending, kind)
            assert type(ending).__name__ == kind.__name__
        assert seen.ears[0].text() == text
        said = str(ending)
        del ending, seen
    return said


async def check_through_a_socket(
    client_of: Callable[..., LLMClient], name: str, body: bytes, expected: dict[str, Any]
) -> None:
    """Stream a recording, in two reads, through a client: it has the text and the ends that are expected."""
    half = len(body) // 2 + 1
    async with ScriptedServer([HEADERS, http(body[:half]), http(body[half:]), END]) as server:
        client = client_of(server, name)
        if expected["error"] is not None or not expected["complete"]:
            kind = AnswerCutError if expected["error"] is None else ProviderError
            with pytest.raises(kind) as caught:
                await client.stream("Hi")
            assert caught.value.partial is not None
            assert caught.value.partial.text == expected["text"]
            return
        response = await client.stream("Hi")
    assert response.completion == expected["text"]
    assert response.finish_reason == expected["finish_reason"]
    assert len(response.tool_calls) == len(expected["tool_calls"])
