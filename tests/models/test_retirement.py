"""A provider that has a model no longer is explained, and never foreseen."""

from __future__ import annotations

import json
import pickle
from datetime import date

import pytest

from lm_deluge import LLMClient, RetryPolicy, register_model
from lm_deluge.errors import APIStatusError
from lm_deluge.models import retiring
from lm_deluge.models.resolving import resolve_model
from lm_deluge.models.retiring import explain_retirement
from support.scripted import ScriptedServer, answer, reply


def on(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "today", lambda: date.fromisoformat(day))


def openais(message: str, code: str | None = "model_not_found") -> str:
    return json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", "code": code}}
    )


NOT_THERE = openais("The model `gpt-4o` has been deprecated, learn more here: …")
ANTHROPICS = {"type": "not_found_error", "message": "model: claude-sonnet-4-5-20250929"}
GOOGLES = {
    "code": 404,
    "message": "models/gemini-2.5-pro is not found for API version v1beta, or is not supported for "
    "generateContent. Call ListModels to see the list of available models.",
    "status": "NOT_FOUND",
}

GPT = "OpenAI served gpt-4o until 2027-01-14 and names gpt-6-luna instead"


@pytest.mark.parametrize(
    ("name", "status", "body", "hint"),
    [
        ("gpt-4o", "404 Not Found", NOT_THERE, GPT),
        ("gpt-4o", "400 Bad Request", NOT_THERE, GPT),
        ("gpt-4o", "410 Gone", openais("This model is gone", None), GPT),
        (
            "openai-responses:gpt-4o",
            "400 Bad Request",
            openais("The requested model 'gpt-4o' does not exist."),
            GPT.replace("names gpt", "names openai-responses:gpt"),
        ),
        (
            "anthropic:claude-sonnet-4-5-20250929",
            "404 Not Found",
            json.dumps({"type": "error", "error": ANTHROPICS}),
            "Anthropic served claude-sonnet-4-5-20250929 until 2026-11-30 and names "
            "anthropic:claude-sonnet-5-5 instead",
        ),
        (
            "gemini:gemini-2.5-pro",
            "404 Not Found",
            json.dumps({"error": GOOGLES}),
            "Google served gemini-2.5-pro until 2026-12-01 and names gemini:gemini-3.8-flash instead",
        ),
        (
            "anthropic:claude-opus-4-5",
            "404 Not Found",
            json.dumps({"type": "error", "error": ANTHROPICS}),
            "Anthropic served claude-opus-4-5 until 2027-01-22",
        ),
    ],
)
async def test_a_model_that_is_there_no_longer_is_explained(
    monkeypatch: pytest.MonkeyPatch, name: str, status: str, body: str, hint: str
) -> None:
    on("2027-02-01", monkeypatch)
    async with ScriptedServer(reply(status, body)) as server:
        client = LLMClient(name, base_url=server.base_url, api_key="k", printer=None)
        with pytest.raises(APIStatusError) as caught:
            await client.stream("Hi")
    assert str(caught.value).endswith(f". Hint: {hint}")
    assert (
        caught.value.message == str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))
    )


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("gpt-5.4", "404 Not Found", openais("The model `gpt-5.4` does not exist")),
        ("gpt-unheard-of", "404 Not Found", openais("The model `gpt-unheard-of` does not exist")),
        ("gpt-4o", "404 Not Found", "Not Found"),
        ("gpt-4o", "401 Unauthorized", openais("no access to the model", None)),
        ("gpt-4o", "400 Bad Request", openais("this model takes no tools", None)),
    ],
)
async def test_nothing_is_said_of_other_errors_and_other_models(
    monkeypatch: pytest.MonkeyPatch, name: str, status: str, body: str
) -> None:
    on("2027-02-01", monkeypatch)
    async with ScriptedServer(reply(status, body)) as server:
        client = LLMClient(name, base_url=server.base_url, api_key="k", printer=None)
        with pytest.raises(APIStatusError) as caught:
            await client.stream("Hi")
    assert "Hint" not in str(caught.value)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-11-15", None),
        ("2026-11-16", "serves"),
        ("2027-01-14", "serves"),
        ("2027-01-15", "served"),
    ],
)
def test_a_day_that_is_far_explains_nothing(
    monkeypatch: pytest.MonkeyPatch, day: str, said: str | None
) -> None:
    on(day, monkeypatch)
    error = APIStatusError("no such model", status_code=404)
    explain_retirement(error, resolve_model("gpt-4o", base_url=None, env_base_url=None))
    assert (said is None) == (error.message == "no such model")
    assert said is None or f"OpenAI {said} gpt-4o until" in str(error)


def test_a_registered_name_is_given_the_bare_one_to_use_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on("2027-02-01", monkeypatch)
    info = register_model("mine", model_id="gpt-4o-2024-08-06", base_url="http://127.0.0.1:9")
    error = APIStatusError("gone", status_code=404, code="model_not_found")
    explain_retirement(error, info)
    assert str(error).endswith(
        "OpenAI served gpt-4o-2024-08-06 until 2027-01-14 and names gpt-6-luna instead"
    )


async def test_nothing_is_refused_by_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    on("2030-01-01", monkeypatch)
    async with ScriptedServer(answer("Good day")) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key="k",
            printer=None,
            retries=RetryPolicy.none(),
        )
        assert (await client.stream("Hi")).completion == "Good day"
