"""What an app's request asks for, read from its body: model, choices, prompt, and what it leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Message, SamplingParams
from lm_deluge.config import Limits
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import Ask
from lm_deluge.models.resolving import resolve_model
from lm_deluge.proxy.asked import AppAsks, asks_of
from lm_deluge.proxy.keeping import MAX_KEPT
from lm_deluge.proxy.prompts import messages_in
from lm_deluge.proxy.watcher import Watcher
from lm_deluge.values.conversation import to_messages
from lm_deluge.values.prompt_facts import prompt_hash
from support.exchanges import EVENTS, WatchingEar, asks, opened
from support.wires import BEGUN, ENDED, WIRES


def _read(
    wire: str | None, body: Any, target: str = "/v1/x", *, problem: str | None = None
) -> AppAsks:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asks_of(wire, target, data, problem=problem)


def test_a_body_says_model_choices_and_whether_it_streams() -> None:
    found = _read("chat", {"model": "m", "stream": True, "n": 3, "logprobs": True, "messages": []})
    assert (found.model, found.streams, found.choices, found.logprobs) == ("m", True, 3, True)


@pytest.mark.parametrize("stream", [False, None, 1, "true"])
def test_only_true_is_a_stream(stream: object) -> None:
    assert _read("chat", {"model": "m", "stream": stream}).streams is False


@pytest.mark.parametrize("n", [0, -1, True, "2", 1.5, None])
def test_a_number_of_choices_that_makes_no_sense_is_one(n: object) -> None:
    assert _read("chat", {"stream": True, "n": n}).choices == 1


def test_geminis_path_says_model_and_stream() -> None:
    path = "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"
    found = _read("gemini", {"contents": []}, path)
    assert (found.model, found.streams) == ("gemini-3-flash", True)
    assert _read("gemini", {}, path.replace("streamG", "g")).streams is False


def test_a_deployment_of_azure_names_the_model() -> None:
    path = "/openai/deployments/my%20model/chat/completions?api-version=1"
    assert _read("chat", {"stream": True}, path).model == "my model"


def test_an_answer_that_is_asked_for_again_streams_by_its_query() -> None:
    found = asks_of("responses", "/v1/responses/r1?stream=true", b"")
    assert found.streams is True
    assert asks_of("responses", "/v1/responses/r1", b"").streams is False


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"null", b"[" * 99_999])
def test_a_body_that_is_no_object_leaves_open_whether_it_streams(body: bytes) -> None:
    found = _read("chat", body)
    assert found.streams is None
    assert found.problem == "the request's body is no JSON object"


def test_a_body_that_is_not_to_be_read_says_nothing_but_why() -> None:
    found = _read("chat", b"", problem="no room")
    assert (found.streams, found.problem) == (None, "no room")
    path = "/v1beta/models/gemini-3-flash%3AstreamGenerateContent/"
    found = _read("gemini", b"", path, problem="no room")
    assert (found.streams, found.model) == (True, "gemini-3-flash")


async def test_a_request_that_cannot_be_read_is_watched_when_its_answer_streams() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, b"{nonsense")
    assert not ear.calls
    exchange.head(200, EVENTS)
    assert ear.calls == ["start"]
    exchange.read(BEGUN["chat"] + ENDED["chat"], 0.0)
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]
    assert [note.id for note in ear.notes] == [ear.stream_id]


async def test_a_body_of_more_than_16_mb_is_watched_without_model_and_prompt() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, json.dumps(asks(user="x" * (17 << 20))).encode())
    exchange.head(200, EVENTS)
    exchange.ended("short")
    await watcher.aclose()
    assert ear.calls == ["start", "error"]
    assert [note.what for note in ear.notes] == [
        "the request's body is too long to be looked at (above 16 MiB)"
    ]
    assert watcher.keeping.left == MAX_KEPT


_TEXT = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and text.isprintable())


@st.composite
def _conversations(draw: st.DrawFn) -> list[Message]:
    system = [Message.system(draw(_TEXT))] if draw(st.booleans()) else []
    turns = []
    for _ in range(draw(st.integers(0, 2))):
        turns += [Message.user(draw(_TEXT)), Message.ai(draw(_TEXT))]
    return [*system, *turns, Message.user(draw(_TEXT))]


@pytest.mark.parametrize("wire", WIRES)
@settings(deadline=None)
@given(conversation=_conversations())
def test_a_prompt_has_the_same_hash_by_our_client_and_through_a_proxy(
    wire: str, conversation: list[Message]
) -> None:
    messages = to_messages(conversation)
    assert prompt_hash(messages_in(wire, _written(wire, messages))) == prompt_hash(messages)


def _written(wire: str, messages: Any) -> Any:
    info = resolve_model("a-model", base_url="http://h/v1", env_base_url=None, dialect=wire)
    params = SamplingParams(max_new_tokens=9)
    ask = Ask(info=info, messages=messages, params=params)
    return json.loads(json.dumps(dialect_named(wire).write(ask).body))


IMAGE = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize("wire", WIRES)
def test_calls_their_results_and_images_have_the_same_hash(wire: str) -> None:
    call = {"id": "now", "type": "function", "function": {"name": "now", "arguments": '{"a":1}'}}
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "What?"}, image]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "now", "content": "noon"},
        {"role": "assistant", "content": "Noon."},
        {"role": "user", "content": "Thanks"},
    ]
    found = messages_in(wire, _written(wire, messages))
    if wire == "responses":  # it says of each image how closely to look, and nothing is nothing
        assert [one["role"] for one in found] == [one["role"] for one in messages]
    assert prompt_hash(found) == prompt_hash(messages)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "messages input contents parts content role type text system source".split()
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_body_makes_reading_it_raise(body: Any) -> None:
    for wire in WIRES:
        found = _read(
            wire, {"model": "m", "stream": True, **(body if isinstance(body, dict) else {})}
        )
        found.prompt.hash  # noqa: B018 - it is worked out when it is asked for
        found.prompt.chars  # noqa: B018


def test_the_limits_are_those_of_a_client_that_sets_none() -> None:
    assert Watcher([])._limits == Limits()
