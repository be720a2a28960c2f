"""A key never crosses providers: what the first model's provider is told, no other is."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import AuthenticationError, UnsupportedModelError
from lm_deluge.models.registry import register_model
from support.providers import WHOLE
from support.scripted import Received, ScriptedServer, reply

SECRET = "k-first-0123456789"
DOWN = reply("503 Service Unavailable", "{}")

#: The settings of a client that are for its first model's provider.
SETTINGS: dict[str, Any] = {
    "api_key": SECRET,
    "extra_headers": {"X-Gateway": "h-secret-012345"},
    "query": {"tenant": "q-secret-012345"},
    "organization": "org-secret-0123",
    "project": "proj-secret-012",
}
GIVEN = (SECRET, "h-secret-012345", "q-secret-012345", "org-secret-0123", "proj-secret-012")

ASKED = {
    "openai:gpt-4o": ("chat", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "openai-responses:gpt-5": ("responses", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "anthropic:claude-x": ("messages", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    "gemini:gemini-x": ("gemini", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
}


def silent(model: str, fallback: str, **options: Any) -> LLMClient:
    """Return a client that asks the fallback at once."""
    return LLMClient(
        model, fallback_models=[fallback], printer=None, retries=RetryPolicy.none(), **options
    )


def told(request: Received) -> str:
    return f"{request.line} {request.headers} {request.body!r}"


@pytest.mark.parametrize("first", ASKED)
@pytest.mark.parametrize("second", ASKED)
async def test_a_fallback_has_the_settings_of_its_own_provider_alone(
    monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    (_, variable, _), (dialect, other_variable, other_key) = ASKED[first], ASKED[second]
    if variable == other_variable:
        return
    async with ScriptedServer(DOWN) as server, ScriptedServer(WHOLE[dialect]) as other:
        monkeypatch.setenv(variable, server.base_url)
        monkeypatch.setenv(other_variable, other.base_url)
        monkeypatch.setenv(other_key, "k-second-0123456789")
        response = await silent(first, second, **SETTINGS).stream("Hi")
    assert response.completion == "Good day"
    assert all(given in told(server.requests[0]) for given in GIVEN[:3])
    assert not any(given in told(other.requests[0]) for given in GIVEN)
    assert "k-second-0123456789" in told(other.requests[0])


@pytest.mark.parametrize("second", ASKED)
async def test_an_address_given_is_not_that_of_a_prefixed_fallback(
    monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    dialect, variable, key = ASKED[second]
    async with ScriptedServer(DOWN) as server, ScriptedServer(WHOLE[dialect]) as other:
        monkeypatch.setenv(variable, other.base_url)
        monkeypatch.setenv(key, "k-second-0123456789")
        client = silent("llama3.2", second, base_url=server.base_url, **SETTINGS)
        await client.stream("Hi")
    assert (len(server.requests), len(other.requests)) == (1, 1)
    assert not any(given in told(other.requests[0]) for given in GIVEN)


@pytest.mark.parametrize("dialect", [None, "chat", "responses", "messages", "gemini"])
async def test_bare_names_share_the_server_that_is_given(dialect: str | None) -> None:
    answer = WHOLE[dialect or "chat"]
    async with ScriptedServer(DOWN, answer) as server:
        client = silent("one", "two", base_url=server.base_url, dialect=dialect, **SETTINGS)
        response = await client.stream("Hi")
    assert response.completion == "Good day"
    assert all(given in told(server.requests[1]) for given in GIVEN[:3])


async def test_models_of_one_provider_share_its_settings_whatever_the_dialect() -> None:
    async with ScriptedServer(DOWN, WHOLE["responses"]) as server:
        client = silent(
            "openai:gpt-4o", "openai-responses:gpt-5", base_url=server.base_url, **SETTINGS
        )
        await client.stream("Hi")
    assert [request.line.split()[1].partition("?")[0] for request in server.requests] == [
        "/v1/chat/completions",
        "/v1/responses",
    ]
    assert all(all(given in told(request) for given in GIVEN) for request in server.requests)


async def test_a_registered_fallback_is_asked_where_and_by_what_its_registration_says(
    monkeypatch: pytest.MonkeyPatch, registered: list[str]
) -> None:
    async with ScriptedServer(DOWN) as server, ScriptedServer(WHOLE["chat"]) as other:
        monkeypatch.setenv("OTHER_KEY", "k-second-0123456789")
        register_model("elsewhere", base_url=other.base_url, api_key_env="OTHER_KEY")
        registered.append("elsewhere")
        await silent("gpt-4o", "elsewhere", base_url=server.base_url, **SETTINGS).stream("Hi")
    assert not any(given in told(other.requests[0]) for given in GIVEN)
    assert other.requests[0].headers["authorization"] == "Bearer k-second-0123456789"


async def test_a_registered_first_models_key_does_not_go_to_openai(
    monkeypatch: pytest.MonkeyPatch, registered: list[str]
) -> None:
    async with ScriptedServer(DOWN) as server, ScriptedServer(WHOLE["chat"]) as other:
        monkeypatch.setenv("OPENAI_API_KEY", "k-second-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        register_model("mine", base_url=server.base_url)
        registered.append("mine")
        await silent("mine", "gpt-4o", **SETTINGS).stream("Hi")
    assert SECRET in told(server.requests[0])
    assert not any(given in told(other.requests[0]) for given in GIVEN)


@pytest.mark.parametrize(
    ("model", "fallback", "variable"),
    [
        ("gpt-4o", "anthropic:claude-x", "ANTHROPIC_API_KEY"),
        ("gpt-4o", "gemini:gemini-x", "GEMINI_API_KEY"),
        ("anthropic:claude-x", "gpt-4o", "OPENAI_API_KEY"),
        ("anthropic:claude-x", "openai-responses:gpt-5", "OPENAI_API_KEY"),
    ],
)
def test_a_fallback_without_a_key_of_its_own_is_told_by_the_constructor(
    model: str, fallback: str, variable: str
) -> None:
    with pytest.raises(AuthenticationError, match=variable) as error:
        silent(model, fallback, api_key=SECRET)
    assert error.value.missing_key == variable
    assert fallback in str(error.value)
    assert SECRET not in str(error.value)


def test_a_fallback_of_the_same_provider_is_looked_at_when_it_is_asked() -> None:
    assert silent("gpt-4o", "gpt-4o-mini").fallback_models == ("gpt-4o-mini",)
    client = silent("gpt-4o", "claude-x", api_key=SECRET)
    with pytest.raises(UnsupportedModelError, match="'anthropic:claude-x'"):
        client.open_stream("Hi")
