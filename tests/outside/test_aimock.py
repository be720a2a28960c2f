"""``@copilotkit/aimock``, a package of npm: four dialects and Azure, cut between any two UTF-16 units."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Timeouts
from lm_deluge import errors as classes
from lm_deluge.values.response import APIResponse
from outside.heard import DIALECTS, WEATHER, hear
from support.outside import npm_program, serving

pytestmark = pytest.mark.slow

TEXT = "Grüße, \U0001f3a8\U0001f468‍\U0001f4bb “so” 東京!"
THOUGHT = "Well, \U0001f914!"
LONG = "one two three four five six seven eight nine ten"
CALLS = [
    {"name": "weather", "arguments": {"city": "東京 \U0001f3a8"}, "id": "call_a"},
    {"name": "now", "arguments": {}, "id": "call_b"},
]
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
PATHS = {"chat": "/v1", "responses": "/v1", "messages": "", "gemini": ""}

#: Answers by what is asked for; what else of an answer, and of how it is streamed.
SCENES: dict[str, dict[str, Any]] = {
    "a text": {"response": {"content": TEXT, "usage": USAGE}, "chunkSize": 1},
    "a thought": {"response": {"content": "Hello", "reasoning": THOUGHT}, "chunkSize": 1},
    "calls": {"response": {"toolCalls": CALLS}, "chunkSize": 3},
    "words and calls": {"response": {"content": "See", "toolCalls": CALLS}, "chunkSize": 1},
    "length": {"response": {"content": "cut", "finishReason": "length"}},
    "content_filter": {"response": {"content": "cut", "finishReason": "content_filter"}},
    "truncation": {
        "response": {"content": LONG},
        "chunkSize": 2,
        "latency": 20,
        "truncateAfterChunks": 9,
    },
    "disconnection": {
        "response": {"content": LONG * 9},
        "chunkSize": 2,
        "latency": 20,
        "disconnectAfterMs": 250,
    },
    "slowness": {"response": {"content": LONG}, "chunkSize": 2, "latency": 2000},
    **{
        f"status {status}": {
            "response": {"error": {"message": "no", "type": "t"}, "status": status}
        }
        for status in (400, 401, 403, 404, 429, 500, 503, 529)
    },
    **{
        f"chaos {kind}": {"response": {"content": "x"}, "chaos": {f"{kind}Rate": 1}}
        for kind in ("drop", "malformed", "disconnect", "rateLimit")
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = npm_program("@copilotkit/aimock@1.43.0", "aimock")
    folder: Path = tmp_path_factory.mktemp("aimock")
    scenes = [{"match": {"userMessage": f"<{name}>"}, **scene} for name, scene in SCENES.items()]
    (folder / "scenes.json").write_text(json.dumps({"fixtures": scenes}))
    config = {"llm": {"fixtures": str(folder / "scenes.json")}}
    (folder / "config.json").write_text(json.dumps(config))
    with serving(lambda port: [program, "-c", folder / "config.json", "-p", str(port)]) as url:
        yield url


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def heard_of(server: str, dialect: str, scene: str, **options: Any) -> Any:
    return await hear(dialect, server + PATHS[dialect], f"<{scene}>", **options)


async def test_a_text_cut_between_the_halves_of_its_characters_is_whole(
    server: str, dialect: str
) -> None:
    heard = await heard_of(server, dialect, "a text")
    assert isinstance(heard, APIResponse)
    assert (heard.completion, heard.finish_reason) == (TEXT, "stop")
    usage = heard.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (7, 5)


async def test_a_thought_is_reasoning(server: str, dialect: str) -> None:
    heard = await heard_of(server, dialect, "a thought")
    assert isinstance(heard, APIResponse)
    assert (heard.reasoning, heard.completion) == (THOUGHT, "Hello")


@pytest.mark.parametrize(("scene", "text"), [("calls", ""), ("words and calls", "See")])
async def test_calls_come_whole(server: str, dialect: str, scene: str, text: str) -> None:
    heard = await heard_of(server, dialect, scene, tools=[WEATHER])
    assert isinstance(heard, APIResponse)
    told = [
        {"name": call.name, "arguments": call.parsed(), "id": call.id} for call in heard.tool_calls
    ]
    assert (heard.completion, told) == (text, CALLS)
    # Gemini's word here is FUNCTION_CALL, which Google's recordings do not have: they say STOP.
    assert heard.finish_reason == "tool_calls"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_why_an_answer_was_cut_is_told(server: str, dialect: str, reason: str) -> None:
    heard = await heard_of(server, dialect, reason)
    assert isinstance(heard, APIResponse)
    assert heard.completion == "cut"
    if (dialect, reason) == ("responses", "content_filter"):
        # It says completed, or incomplete without the reason; OpenAI's recordings give the reason.
        assert heard.finish_reason in ("stop", "length")
    else:
        assert heard.finish_reason == reason


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("truncation", classes.ConnectionLostError),
        ("disconnection", classes.ConnectionLostError),
        ("slowness", classes.APITimeoutError),
        ("status 400", classes.BadRequestError),
        ("status 401", classes.AuthenticationError),
        ("status 403", classes.PermissionDeniedError),
        ("status 404", classes.NotFoundError),
        ("status 429", classes.RateLimitError),
        ("status 500", classes.InternalServerError),
        ("status 503", classes.InternalServerError),
        ("status 529", classes.InternalServerError),
        ("chaos drop", classes.InternalServerError),
        ("chaos malformed", classes.ProtocolError),
        ("chaos disconnect", classes.APIConnectionError),
        ("chaos rateLimit", classes.RateLimitError),
    ],
)
async def test_a_fault_is_an_error_of_its_class(
    server: str, dialect: str, scene: str, expected: type[Exception]
) -> None:
    timeouts = Timeouts(first_token=1, between_tokens=1)
    heard = await heard_of(server, dialect, scene, timeouts=timeouts)
    assert isinstance(heard, expected), heard
    if scene == "chaos rateLimit":
        assert heard.retry_after == 1


async def test_azure_is_chat_under_a_deployment(server: str) -> None:
    heard = await hear(
        "chat",
        f"{server}/openai/deployments/gpt-4o",
        "<a text>",
        query={"api-version": "2026-10-21"},
        auth_header="api-key",
    )
    assert isinstance(heard, APIResponse)
    assert heard.completion == TEXT
