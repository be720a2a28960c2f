"""Whom a prefix or ``dialect=`` asks, with which key and at which address, on real sockets."""

from __future__ import annotations

import pytest

from lm_deluge import LLMClient
from lm_deluge.errors import APIStatusError, AuthenticationError, UnsupportedModelError
from lm_deluge.models.registry import register_model
from lm_deluge.simulator import Simulator
from support.providers import WHOLE
from support.scripted import ScriptedServer

KEYS = {
    "OPENAI_API_KEY": "sk-openai-0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-0123456789",
    "GEMINI_API_KEY": "AIza-gemini-0123456789",
}

#: Prefix, dialect, variable of the address, header of the key, path after the host.
PROVIDERS = [
    ("openai:", "chat", "OPENAI_BASE_URL", "authorization", "/v1/chat/completions"),
    ("openai-responses:", "responses", "OPENAI_BASE_URL", "authorization", "/v1/responses"),
    ("anthropic:", "messages", "ANTHROPIC_BASE_URL", "x-api-key", "/v1/messages"),
    (
        "gemini:",
        "gemini",
        "GOOGLE_GEMINI_BASE_URL",
        "x-goog-api-key",
        "/v1beta/models/some-model:streamGenerateContent?alt=sse",
    ),
]
CASES = pytest.mark.parametrize(("prefix", "dialect", "variable", "header", "path"), PROVIDERS)


def key_of(dialect: str) -> str:
    """Return what the header of the key holds."""
    variable = {"messages": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}.get(dialect)
    return f"Bearer {KEYS['OPENAI_API_KEY']}" if variable is None else KEYS[variable]


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


@CASES
@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.usefixtures("_keys")
async def test_a_prefix_asks_its_provider(
    monkeypatch: pytest.MonkeyPatch,
    prefix: str,
    dialect: str,
    variable: str,
    header: str,
    path: str,
    versioned: bool,
) -> None:
    async with ScriptedServer(WHOLE[dialect]) as server:
        host = server.base_url.removesuffix("/v1")
        version = path.partition("/")[2].partition("/")[0]
        own = dialect in ("chat", "responses")  # OpenAI's package wants the version
        monkeypatch.setenv(variable, f"{host}/{version}/" if versioned or own else host)
        client = LLMClient(f"{prefix}some-model", printer=None)
        response = await client.stream("Hi")
    (request,) = server.requests
    assert response.completion == "Good day"
    assert request.line == f"POST {path} HTTP/1.1"
    assert request.headers[header] == key_of(dialect)
    assert all(
        key not in str(request.headers) for key in KEYS.values() if key not in key_of(dialect)
    )
    assert request.json.get("model", "some-model") == "some-model"


@CASES
async def test_a_dialect_sends_the_name_as_written_to_a_server_of_ones_own(
    prefix: str, dialect: str, variable: str, header: str, path: str
) -> None:
    async with ScriptedServer(WHOLE[dialect]) as server:
        client = LLMClient(
            "anthropic:x",
            dialect=dialect,
            base_url=server.base_url,
            api_key="k-012345",
            printer=None,
        )
        response = await client.stream("Hi")
    (request,) = server.requests
    assert response.completion == "Good day"
    assert request.headers[header].removeprefix("Bearer ") == "k-012345"
    if dialect == "gemini":
        assert request.line.startswith("POST /v1/models/anthropic:x:streamGenerateContent")
    else:
        assert request.json["model"] == "anthropic:x"


@pytest.mark.usefixtures("_keys")
async def test_of_googles_two_variables_that_one_wins_which_wins_in_its_own_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer(WHOLE["gemini"]) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.base_url)
        client = LLMClient("gemini:gemini-3.8-flash", printer=None)
        await client.stream("Hi")
        monkeypatch.setenv("GOOGLE_API_KEY", "AIza-google-0123456789")
        await client.stream("Hi")
        monkeypatch.delenv("GEMINI_API_KEY")
        await client.stream("Hi")
    keys = [request.headers["x-goog-api-key"] for request in server.requests]
    assert keys == [KEYS["GEMINI_API_KEY"], *["AIza-google-0123456789"] * 2]


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("anthropic:claude-sonnet-5-5", "ANTHROPIC_API_KEY"),
        ("gemini:gemini-3.8-flash", "GEMINI_API_KEY"),
        ("openai-responses:gpt-5", "OPENAI_API_KEY"),
    ],
)
async def test_a_missing_key_is_told_by_its_providers_variable(model: str, variable: str) -> None:
    with pytest.raises(AuthenticationError, match=variable) as told:
        await LLMClient(model, printer=None).stream("Hi")
    assert told.value.missing_key == variable


@pytest.mark.parametrize(
    ("model", "instead"),
    [
        ("claude-sonnet-5-5", "anthropic:claude-sonnet-5-5"),
        ("gemini-3.8-flash", "gemini:gemini-3.8-flash"),
        ("anthropic/claude-sonnet-5-5", "anthropic:claude-sonnet-5-5"),
        ("claude:claude-sonnet-5-5", "anthropic:claude-sonnet-5-5"),
        ("messages:claude-x:thinking", "anthropic:claude-x:thinking"),
        ("google:gemini-3.8-flash", "gemini:gemini-3.8-flash"),
        ("gemini/gemini-3.8-flash", "gemini:gemini-3.8-flash"),
        ("vertex_ai/google/gemini-3.8-flash", "gemini:gemini-3.8-flash"),
    ],
)
@pytest.mark.usefixtures("_keys")
async def test_a_bare_name_of_another_provider_is_refused_with_the_name_to_ask_for(
    model: str, instead: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=repr(instead)) as told:
        await LLMClient(model, printer=None).stream("Hi")
    assert told.value.suggestions == (instead,)


@pytest.mark.parametrize(
    ("model", "dialect"),
    [
        ("openai:gpt-6-sol", "chat"),
        ("openai-responses:gpt-6-sol", "responses"),
        ("anthropic:claude-sonnet-5-5", "messages"),
        ("gemini:gemini-3.8-flash", "gemini"),
    ],
)
async def test_a_prefix_that_was_sent_because_the_dialect_is_given_is_told(
    model: str, dialect: str
) -> None:
    async with Simulator() as sim:
        base_url = sim.base_url if model.startswith("openai") else sim.url
        client = LLMClient(model, dialect=dialect, base_url=base_url, api_key="any", printer=None)
        with pytest.raises(APIStatusError) as told:
            await client.stream("Hi")
    bare = model.partition(":")[2]
    hint = f"Hint: the name was sent as it is written; without the prefix it is {bare!r}"
    assert str(told.value).endswith(hint)


@CASES
@pytest.mark.usefixtures("_keys")
async def test_a_registration_without_an_address_is_asked_at_its_dialects_provider(
    monkeypatch: pytest.MonkeyPatch,
    registered: list[str],
    prefix: str,
    dialect: str,
    variable: str,
    header: str,
    path: str,
) -> None:
    register_model("mine", model_id="some-model", dialect=dialect)
    registered.append("mine")
    async with ScriptedServer(WHOLE[dialect]) as server:
        monkeypatch.setenv(variable, server.base_url)
        await LLMClient("mine", printer=None).stream("Hi")
    assert server.requests[0].headers[header] == key_of(dialect)


@pytest.mark.parametrize("name", ["anthropic", "Messages", ""])
def test_a_dialect_that_nobody_speaks_is_refused_where_it_is_given(name: str) -> None:
    with pytest.raises(ValueError, match="dialect"):
        LLMClient("claude-x", dialect=name)


def test_only_four_words_are_prefixes() -> None:
    for name in ("gpt-oss:20b", "claude:test", "google:gemini-x", "openai/gpt-4o"):
        route = LLMClient(name, base_url="http://localhost:1/v1")._access.route(name)
        assert (route.info.model_id, route.dialect.name) == (name, "chat")
