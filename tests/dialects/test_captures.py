"""Recordings of streams and of error replies: our own, and real ones from a directory that is not ours.

Our own are those in ``recordings``, where ``make.py`` says how they were made. ``LM_DELUGE_CAPTURES`` names
the other directory; its README says what is what. Every body is fed whole, in single
bytes and cut at random: a body of more than ``SINGLE_BYTES`` in cuts of 2 to 7 bytes in the place of
single ones, which costs a third and still cuts inside every line end, number and character.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lm_deluge.errors
from lm_deluge import Choice, Delta, LLMClient, RetryPolicy, SamplingParams, StreamHandler, Token
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import APIStatusError, ProtocolError, ProviderError, StreamError, status_error
from lm_deluge.wire.sse import EventDecoder
from support.scripted import END, HEADERS, ScriptedServer, http, reply

OWN = Path(__file__).parent / "recordings"
CAPTURES = os.environ.get("LM_DELUGE_CAPTURES")
FOLDERS = [OWN, Path(CAPTURES)] if CAPTURES else [OWN]


def listed(name: str, folder: str = "") -> dict[Path, Any]:
    """What is expected of each file of every folder."""
    return {
        root / folder / file: expected
        for root in FOLDERS
        for file, expected in json.loads((root / name).read_text("utf-8")).items()
    }


EXPECTED = listed("expected.json")
EXPECTED_ERRORS = listed("expected_errors.json", "openai_errors")
SSE_CASES: list[dict[str, Any]] = [
    case for root in FOLDERS for case in json.loads((root / "sse_cases.json").read_text("utf-8"))
]

SINGLE_BYTES = 40_000

#: Where we differ from the expectation on purpose: file, then the one field, then why.
EXPLAINED: dict[str, tuple[str, str]] = {
    "openai_chat/pydantic-ai__openrouter__test_openrouter_stream_error__0-baafd4.sse": (
        "usage",
        "the chunk that carries the error carries the usage, too; the official client raises before "
        "it looks, while docs/design/contract.md promises that nothing received is lost",
    ),
    "openai_chat_reported/azure__prompt_annotations_first.sse": (
        "error",
        "the first chunk of an answer and [DONE]: an empty reply, which the official client takes as a "
        "whole answer without choices (docs/design/wire.md, Chunks)",
    ),
}


def name_of(path: Path) -> str:
    return path.stem


def explained(path: Path) -> str:
    """The field in which we differ on purpose, or ``""``."""
    return EXPLAINED.get("/".join(path.parts[-2:]), ("", ""))[0]


def cut(body: bytes, sizes: tuple[int, ...], rng: random.Random) -> list[bytes]:
    pieces = []
    at = 0
    while at < len(body):
        size = rng.choice(sizes)
        pieces.append(body[at : at + size])
        at += size
    return pieces


def cuttings(body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    rng = random.Random(1)
    yield "whole", [body]
    if len(body) <= SINGLE_BYTES:
        yield "single bytes", [body[at : at + 1] for at in range(len(body))]
    else:
        yield "2 to 7 bytes", cut(body, (2, 3, 5, 7), rng)
    yield "at random", cut(body, (1, 2, 3, 50, 700, 4096), rng)


def of_choice(choice: Choice) -> dict[str, Any]:
    return {
        "text": choice.completion,
        "finish_reason": choice.finish_reason,
        "refusal": choice.refusal or "",
        "reasoning": choice.reasoning or "",
        "tool_calls": [(call.id, call.name, call.arguments) for call in choice.tool_calls],
    }


def of_expected(choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": choice["text"],
        "finish_reason": choice["finish_reason"],
        "refusal": choice["refusal"],
        # Servers that send both send the same text in both.
        "reasoning": choice.get("reasoning_content") or choice["reasoning"],
        "tool_calls": [
            (call["id"], call["name"], call["arguments"]) for call in choice["tool_calls"]
        ],
    }


class Heard:
    """The pieces of an answer, joined per choice."""

    def __init__(self) -> None:
        self.joined: dict[tuple[str, int], str] = {}

    def add(self, piece: Token | Delta) -> None:
        kind = "text" if isinstance(piece, Token) else piece.kind
        if kind != "tool_call":
            assert piece.text
        key = (kind, piece.choice)
        self.joined[key] = self.joined.get(key, "") + piece.text

    def text_of(self, kind: str, choice: int) -> str:
        return self.joined.get((kind, choice), "")


@pytest.mark.parametrize("file", EXPECTED, ids=name_of)
def test_a_recorded_stream_gives_what_is_expected_however_it_is_cut(file: Path) -> None:
    expected = EXPECTED[file]
    body = file.read_bytes()
    field = explained(file)
    for how, pieces in cuttings(body):
        answer, heard = ChatAnswer(choices=max(1, len(expected["choices"]))), Heard()
        for data in pieces:
            for piece in answer.feed(data, 0.0):
                heard.add(piece)
        for piece in answer.close(0.0):
            heard.add(piece)
        choices = {str(choice.index): choice for choice in answer.choices()}
        assert {key: of_choice(choice) for key, choice in choices.items()} == {
            key: of_expected(choice) for key, choice in expected["choices"].items()
        }, how
        for choice in choices.values():
            assert heard.text_of("text", choice.index) == choice.completion, how
            assert heard.text_of("reasoning", choice.index) == (choice.reasoning or ""), how
            assert heard.text_of("refusal", choice.index) == (choice.refusal or ""), how
            assert heard.text_of("tool_call", choice.index) == "".join(
                call.arguments for call in choice.tool_calls
            ), how
        usage = answer.facts.usage.raw if answer.facts.usage is not None else None
        expected_usage = expected["usage"] or expected.get("x_groq_usage")
        assert (usage == expected_usage) is (field != "usage"), how
        if expected["saw_DONE"] and expected["error"] is None:
            assert answer.done, how
        if field == "error":
            assert isinstance(answer.error, ProtocolError), how
        else:
            check_error(answer, expected["error"], how)


def check_error(answer: ChatAnswer, expected: dict[str, Any] | None, how: str) -> None:
    if expected is None:
        assert (answer.error, answer.whole) == (None, True), how
    elif expected["type"] == "cut":
        assert (answer.error, answer.whole) == (None, False), how
    else:
        assert isinstance(answer.error, ProviderError), how
        assert expected["message"] in str(answer.error)
        assert answer.error.body == expected["body"]
        assert answer.error.code == expected["code"]


def test_every_recording_that_is_here_is_expected() -> None:
    folders = ("openai_chat", "openai_chat_reported")
    found = {path for root in FOLDERS for name in folders for path in (root / name).glob("*.sse")}
    assert found == set(EXPECTED)
    assert len([path for path in found if OWN in path.parents]) >= 12
    assert {path for root in FOLDERS for path in (root / "openai_errors").glob("*.json")} == set(
        EXPECTED_ERRORS
    )
    if CAPTURES:
        assert {"/".join(path.parts[-2:]) for path in found} >= set(EXPLAINED)


def one_per_kind() -> list[Path]:
    """The smallest recording of every provider, of every kind of ending, and with n > 1."""
    smallest: dict[object, Path] = {}
    for file in sorted(EXPECTED, key=lambda path: path.stat().st_size):
        expected = EXPECTED[file]
        for kind in (
            ("provider", expected["provider"]),
            ("error", (expected["error"] or {}).get("type")),
            ("choices", len(expected["choices"])),
            ("ends in", tuple(choice["finish_reason"] for choice in expected["choices"].values())),
        ):
            smallest.setdefault(kind, file)
    return sorted(set(smallest.values()))


class Listener(StreamHandler):
    def __init__(self) -> None:
        self.heard = Heard()

    def on_token(self, stream: Any, token: Token) -> None:
        self.heard.add(token)

    def on_delta(self, stream: Any, delta: Delta) -> None:
        self.heard.add(delta)


@pytest.mark.parametrize("file", one_per_kind(), ids=name_of)
async def test_a_recorded_stream_gives_the_same_through_a_client_and_a_socket(file: Path) -> None:
    expected = EXPECTED[file]
    body = file.read_bytes()
    rng = random.Random(2)
    places = sorted(rng.sample(range(1, len(body)), min(20, len(body) - 1)))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    listener = Listener()
    async with ScriptedServer([HEADERS, *(http(piece) for piece in pieces), END]) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key="sk-test-key-123456",
            printer=None,
            retries=RetryPolicy.none(),
            handlers=[listener],
            sampling_params=SamplingParams(n=max(1, len(expected["choices"]))),
        )
        try:
            received: Any = await client.stream("hi")
        except StreamError as error:
            assert expected["error"] is not None or explained(file)
            received = error.partial
        else:
            assert expected["error"] is None
    assert {str(choice.index): of_choice(choice) for choice in received.choices} == {
        key: of_expected(choice) for key, choice in expected["choices"].items()
    }
    assert received.completion == listener.heard.text_of("text", 0)


# Events


def decoded(pieces: list[bytes]) -> list[tuple[str, str, str, int | None]]:
    decoder = EventDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.close()
    assert decoder.error is None
    return [
        (event.event or "message", event.data.decode("utf-8", "replace"), event.id, event.retry)
        for event in events
    ]


def event_cuttings(case: dict[str, Any], body: bytes) -> Iterator[list[bytes]]:
    rng = random.Random(7)
    size = len(body)
    yield [body]
    if "chunks_b64" in case:
        yield [base64.b64decode(piece) for piece in case["chunks_b64"]]
    places = range(1, size) if size <= 4096 else sorted(rng.sample(range(1, size), 40))
    for place in places:
        yield [body[:place], body[place:]]
    if size <= 200_000:
        yield [body[at : at + 1] for at in range(size)]
    if size <= 20_000:
        yield [piece for at in range(size) for piece in (body[at : at + 1], b"")]
    sizes = (1, 2, 3, 5, 17, 64, 1000, 4096) if size < 200_000 else (1000, 4096, 65536)
    for _ in range(5):
        yield cut(body, sizes, rng)


@pytest.mark.parametrize("case", SSE_CASES, ids=lambda case: case["name"])
def test_events_are_those_of_the_standard_however_they_are_cut(case: dict[str, Any]) -> None:
    body = base64.b64decode(case["input_b64"])
    # An event without its blank line at the very end is taken, where the standard drops it.
    events = case.get("expected_events_lenient_eof", case["expected_events"])
    expected = [
        (
            event.get("event") or "message",
            event.get("data") or "",
            event.get("id") or "",
            event.get("retry"),
        )
        for event in events
    ]
    for pieces in event_cuttings(case, body):
        assert decoded(pieces) == expected


# Error replies


@pytest.mark.parametrize("file", EXPECTED_ERRORS, ids=name_of)
async def test_a_recorded_error_reply_becomes_the_right_exception(file: Path) -> None:
    expected = EXPECTED_ERRORS[file]
    recorded = json.loads(file.read_text("utf-8"))
    status, headers = recorded["status"], recorded["response_headers"]
    kind = headers.get("content-type", "application/octet-stream")
    extra = "".join(
        f"{name}: {value}\r\n"
        for name, value in headers.items()
        if name not in ("content-type", "content-length", "transfer-encoding", "connection")
    )
    steps = reply(f"{status} Recorded", recorded["body_text"], headers=extra, kind=kind)
    async with ScriptedServer(steps) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key="sk-test-key-123456",
            printer=None,
            retries=RetryPolicy.none(),
        )
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
    error: Any = caught.value
    sent = json.loads(recorded["body_text"])
    assert sent["error"]["message"] in str(error)
    if status == 200:
        assert isinstance(error, ProviderError)
        code = error.code if isinstance(error.code, int) else 400  # a filter
        assert isinstance(error, status_error(code))
        assert error.body == sent["error"]
        assert error.code == sent["error"]["code"]
        return
    assert type(error) is getattr(lm_deluge.errors, expected["raised"])
    assert isinstance(error, APIStatusError)
    assert error.status_code == expected["status_code"] == status
    assert error.body == expected["body"]
    assert (error.code, error.type, error.param) == (
        expected["code"],
        expected["type"],
        expected["param"],
    )
    assert error.request_id == headers.get("x-request-id")
    wait = headers.get("retry-after")
    assert error.retry_after == (float(wait) if wait is not None else None)
    assert error.partial is not None
    assert error.partial.completion == ""
