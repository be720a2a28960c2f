"""``llmock``, a package of the Python index: it breaks streams on demand, and judges how a client took it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lm_deluge import Conversation, Message, RetryPolicy, Timeouts
from lm_deluge import errors as classes
from lm_deluge.values.response import APIResponse
from outside.heard import DIALECTS, WEATHER, hear
from support.outside import pip_program, serving

pytestmark = pytest.mark.slow

TEXT = "Grüße, \U0001f3a8 “so” schön 東京!"
CALLS = [{"name": "weather", "arguments": {"city": "東京"}}, {"name": "now", "arguments": {}}]
PATHS = {"chat": "/v1", "responses": "/v1", "messages": "/anthropic", "gemini": "/gemini"}

Scene = Callable[..., str]


def asked(server: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    try:
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, path, data, {"content-type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    program = pip_program("llmock==0.2.2", "llmock")
    with serving(lambda port: [program, "serve", "-h", "127.0.0.1", "-p", str(port)]) as url:
        yield url


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scene(server: str, dialect: str) -> Scene:
    """What the server does next; returns where to ask it."""

    def begin(*behaviors: dict[str, Any]) -> str:
        asked(server, "/_llmock/reset", {})
        asked(server, "/_llmock/scenario", {"behaviors": behaviors})
        return server + PATHS[dialect]

    return begin


async def test_text_usage_and_the_end_come_whole(scene: Scene, dialect: str) -> None:
    heard = await hear(dialect, scene({"type": "reply", "text": TEXT}), "Hello")
    assert isinstance(heard, APIResponse)
    assert (heard.completion, heard.finish_reason) == (TEXT, "stop")
    assert heard.usage is not None
    assert (heard.usage.input_tokens or 0) > 0
    assert (heard.usage.output_tokens or 0) > 0


async def test_calls_come_whole_and_their_results_go_back(scene: Scene, dialect: str) -> None:
    url = scene({"type": "reply", "text": "Let me see", "tool_calls": CALLS})
    conversation = Conversation([Message.user("Hello")])
    heard = await hear(dialect, url, conversation, tools=[WEATHER])
    assert isinstance(heard, APIResponse)
    assert (heard.completion, heard.finish_reason) == ("Let me see", "tool_calls")
    told = [{"name": call.name, "arguments": call.parsed()} for call in heard.tool_calls]
    assert told == CALLS
    conversation = conversation.add(heard.content)
    for call in heard.tool_calls:
        conversation = conversation.add(Message.tool(call.id, "sun"))
    heard = await hear(dialect, url, conversation, tools=[WEATHER])
    assert isinstance(heard, APIResponse)
    assert heard.completion
    assert heard.tool_calls == []


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_why_an_answer_was_cut_is_told(scene: Scene, dialect: str, reason: str) -> None:
    if (dialect, reason) == ("responses", "content_filter"):
        pytest.skip("the server says status completed; OpenAI's recordings say incomplete")
    behavior = {"type": "reply", "text": "so", "finish_reason": reason}
    heard = await hear(dialect, scene(behavior), "Hello")
    assert isinstance(heard, APIResponse)
    assert (heard.completion, heard.finish_reason) == ("so", reason)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("truncate", classes.AnswerCutError),
        ("disconnect", classes.ConnectionLostError),
        ("malformed", classes.ProtocolError),
        ("stall", classes.APITimeoutError),
    ],
)
async def test_a_stream_that_breaks_is_an_error_of_its_class(
    scene: Scene, dialect: str, kind: str, expected: type[Exception]
) -> None:
    # After the events before the text: 5 of Responses, 4 of Messages, 1 of chat, none of Gemini.
    url = scene(
        {"type": "reply", "text": "one two three four five six"},
        {"type": "stream_fault", "kind": kind, "after_chunks": 5, "stall_seconds": 3},
    )
    timeouts = Timeouts(first_token=0.4, between_tokens=0.4)
    heard = await hear(dialect, url, "Hello", timeouts=timeouts)
    assert type(heard) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, classes.BadRequestError),
        (401, classes.AuthenticationError),
        (403, classes.PermissionDeniedError),
        (404, classes.NotFoundError),
        (413, classes.APIStatusError),
        (422, classes.UnprocessableEntityError),
        (429, classes.RateLimitError),
        (500, classes.InternalServerError),
        (503, classes.InternalServerError),
        (529, classes.InternalServerError),
    ],
)
async def test_a_status_is_an_error_of_its_class(
    scene: Scene, dialect: str, status: int, expected: type[Exception]
) -> None:
    heard = await hear(dialect, scene({"type": "fail", "status": status}), "Hello")
    assert isinstance(heard, expected)


async def test_the_server_finds_nothing_to_blame(scene: Scene, dialect: str, server: str) -> None:
    """It looks at waits, at what was asked again and at what was taken for whole."""
    text = {"type": "reply", "text": "one two three four five six", "times": None}
    url = scene(
        {"type": "fail", "status": 429, "retry_after": 0.3},
        {"type": "fail", "status": 503},
        {"type": "delay", "seconds": 0.1},
        text,
    )
    policy = RetryPolicy(max_attempts=4, initial_delay=0.1)
    heard = await hear(dialect, url, "Hello", retries=policy)
    assert isinstance(heard, APIResponse)
    assert heard.completion == text["text"]
    assert asked(server, "/_llmock/verdict")["findings"] == []
    url = scene({"type": "fail", "status": 400})
    await hear(dialect, url, "Hello again", retries=policy)
    assert asked(server, "/_llmock/verdict")["findings"] == []
