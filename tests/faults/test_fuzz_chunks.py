"""JSON of any shape and depth is read without a crash, and nothing of it breaks what an answer promises."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from lm_deluge import Delta, LLMClient, RetryPolicy, Token
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import (
    APIError,
    BadRequestError,
    LimitExceededError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from support.bare_server import BareServer
from support.scripted import HANG, HEADERS, events, http, reply

_FIELDS = (
    "id", "object", "model", "choices", "index", "delta", "message", "content", "role", "finish_reason",
    "tool_calls", "function", "name", "arguments", "function_call", "reasoning", "reasoning_content",
    "refusal", "usage", "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
    "completion_tokens_details", "cached_tokens", "reasoning_tokens", "x_groq", "error", "code", "type",
    "logprobs", "text", "thinking", "system_fingerprint", "service_tier", "detail", "", "\ud800",
)  # fmt: skip


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value, more often than not a plain one."""
    kind = rng.randrange(16 if depth < 4 else 12)
    if kind < 2:
        return None
    if kind < 4:
        return rng.choice([True, False])
    if kind < 6:
        return rng.choice([0, 1, -1, 2, 2**31, 2**32, 2**63, -(2**63), 2**64, 10**30])
    if kind < 8:
        return rng.choice([0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf"), 1.0])
    if kind < 12:
        return rng.choice(
            ["", "a", "text", "error", "stop", "thinking", "🙂", "\ud83d", "\ude42", "\ud83d\ud83d", "\x00",
             "{", "}", "[DONE]", "\u2028", "é" * 40, "0"]
        )  # fmt: skip
    if kind < 14:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(_FIELDS): anything(rng, depth + 1) for _ in range(rng.randrange(5))}


def shaped(rng: random.Random) -> dict[str, Any]:
    """A chunk as it should be, but for some of its fields."""

    def or_anything(value: Any) -> Any:
        return value if rng.random() < 0.8 else anything(rng)

    def some(fields: dict[str, Any]) -> dict[str, Any]:
        return {key: or_anything(value) for key, value in fields.items() if rng.random() < 0.6}

    tool = {"index": rng.randrange(3), "id": f"c{rng.randrange(3)}", "type": "function",
            "function": or_anything(some({"name": "f", "arguments": '{"a": 1}'}))}  # fmt: skip
    body = {
        "role": "assistant",
        "content": rng.choice(["Häuser", "\ud83d", "\ude42", [{"type": "text", "text": "x"}, "y"],
                               [{"type": "thinking", "thinking": [{"text": "z"}]}]]),
        "tool_calls": [or_anything(some(tool))],
        "function_call": some({"name": "g", "arguments": "{"}),
        "reasoning": "hm",
        "reasoning_content": "hm",
        "refusal": "no",
    }  # fmt: skip
    choice = {"index": rng.randrange(3), "delta": or_anything(some(body)), "message": some(body),
              "finish_reason": rng.choice([None, None, "stop"]),
              "logprobs": some({"content": [{"token": "a"}], "refusal": None})}  # fmt: skip
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
             "prompt_tokens_details": some({"cached_tokens": 1}),
             "completion_tokens_details": some({"reasoning_tokens": 1})}  # fmt: skip
    fields = {"id": "x", "object": "chat.completion.chunk", "model": "m", "usage": some(usage),
              "choices": [or_anything(some(choice)) for _ in range(rng.randrange(3))],
              "x_groq": {"usage": some(usage)}}  # fmt: skip
    if rng.random() < 0.02:
        fields["error"] = anything(rng)
    return some(fields)


def fuzzed_event(rng: random.Random) -> bytes:
    value = shaped(rng) if rng.random() < 0.9 else anything(rng)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.7)
    if rng.random() < 0.02:
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at]
            + rng.choice(["", '"', "{", "]", "\\ud800", "\n"])
            + text[at + rng.randrange(3) :]
        )
    name = rng.choice([b""] * 20 + [b"event: error\n", b"event: ping\n", b"event: message\n"])
    return name + b"data: " + text.encode("utf-8", "surrogatepass") + b"\n\n"


def told(pieces: list[Token | Delta]) -> dict[tuple[int, str], str]:
    texts: dict[tuple[int, str], str] = {}
    for piece in pieces:
        kind = "text" if isinstance(piece, Token) else piece.kind
        texts[piece.choice, kind] = texts.get((piece.choice, kind), "") + piece.text
    return texts


def check_answer(answer: ChatAnswer, pieces: list[Token | Delta]) -> None:
    """What was told is what is kept, and all of it can be written."""
    texts = told(pieces)
    for choice in answer.choices():
        assert choice.completion == texts.get((choice.index, "text"), "")
        assert (choice.reasoning or "") == texts.get((choice.index, "reasoning"), "")
        assert (choice.refusal or "") == texts.get((choice.index, "refusal"), "")
        assert choice.finish_reason is None or isinstance(choice.finish_reason, str)
        for one in choice.tool_calls:
            assert isinstance(one.name, str)
            assert isinstance(one.arguments, str)
    for text in texts.values():
        text.encode()  # no lone surrogate
    usage = answer.facts.usage
    if usage is not None:
        for count in (
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens,
            usage.reasoning_tokens,
        ):
            assert count is None or type(count) is int
    for field in (
        answer.facts.response_id,
        answer.facts.model_external,
        answer.facts.system_fingerprint,
        answer.facts.service_tier,
    ):
        assert field is None or field.encode()
    if answer.error is not None:
        assert isinstance(answer.error, (ProviderError, ProtocolError, LimitExceededError))
        str(answer.error).encode()


def fuzz(rounds: int, seed: int) -> int:
    rng = random.Random(seed)
    events = 0
    for round_ in range(rounds):
        data = [fuzzed_event(rng) for _ in range(rng.randrange(1, 12))]
        events += len(data)
        body = b"".join(data)
        try:
            asked = rng.randrange(1, 4)
            whole, pieces = ChatAnswer(choices=asked), []
            pieces += whole.feed(body, 0.1)
            pieces += whole.close(0.2)
            check_answer(whole, pieces)
            cut, others = ChatAnswer(choices=asked), []
            at = 0
            while at < len(body):
                size = rng.choice([1, 3, 50, 1000])
                others += cut.feed(body[at : at + size], 0.1)
                at += size
            others += cut.close(0.2)
            check_answer(cut, others)
            assert told(others) == told(pieces), "the cuts change the text"
            assert type(cut.error) is type(whole.error)
            plain = ChatAnswer()
            check_answer(plain, plain.feed_json(data[0].partition(b"data: ")[2], 0.1))
        except Exception as error:
            error.add_note(f"seed {seed}, round {round_}: {body!r}")
            raise
    return events


def test_chunks_of_any_shape_never_raise() -> None:
    fuzz(800, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10))
def test_many_chunks_of_any_shape_never_raise(seed: int) -> None:
    fuzz(10_000, seed=100 + seed)


@pytest.mark.parametrize("depth", [100, 400, 900, 5_000, 100_000])
@pytest.mark.parametrize(
    "form",
    [
        '{"choices": [{"index": 0, "delta": {"content": %s}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": %s}}]}}]}',
        '{"choices": [{"index": 0, "delta": {}, "logprobs": %s}]}',
        '{"error": %s}',
        '{"error": {"message": %s}}',
        '{"choices": [], "usage": {"x": %s}}',
        '{"choices": %s}',
    ],
)
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_deep_nesting_is_no_crash(form: str, depth: int, pair: str) -> None:
    opening, closing = ("[", "]") if pair == "[]" else ('{"a":', "}")
    value = opening * depth + "0" + closing * depth
    data = b"data: " + (form % value).encode() + b"\n\n"
    answer = ChatAnswer()
    try:
        pieces = answer.feed(data, 0.1)
    except RecursionError:
        pytest.fail(f"RecursionError out of feed at depth {depth}")
    assert all(isinstance(piece.text, str) for piece in pieces)
    assert answer.error is None or isinstance(answer.error, StreamError)
    ChatAnswer().feed(data.replace(b"0", b'"\\ud800"', 1), 0.1)


@pytest.mark.parametrize("depth", [100, 600, 900, 5_000])
@pytest.mark.parametrize("how", ["frame", "status"])
async def test_a_deep_error_body_keeps_its_class(how: str, depth: int) -> None:
    error = b'{"error": {"message": "boom", "x": ' + b"[" * depth + b"0" + b"]" * depth + b"}}"
    steps = [HEADERS, http(events("a") + b"data: " + error + b"\n\n"), HANG]
    if how == "status":
        steps = reply("400 Bad Request", error)
    async with BareServer(steps) as server:
        client = LLMClient(
            "gpt-4o", base_url=server.base_url, api_key="key", retries=RetryPolicy.none()
        )
        with pytest.raises(StreamError) as caught:
            await client.stream("hi", printer=None)
        await client.close()
    if how == "status":
        assert type(caught.value) is BadRequestError, caught.value
    else:
        # Too deep for any decoder it is not JSON.
        assert isinstance(caught.value, (ProviderError, ProtocolError)), caught.value
        assert isinstance(caught.value, APIError)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a"
