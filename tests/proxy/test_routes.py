"""Which upstream a path goes to, and what is asked of it."""

from __future__ import annotations

import pytest

from lm_deluge.proxy.routes import Destination, Routes


def _found(routes: Routes, target: str) -> Destination:
    found = routes.find(target.encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("target", "url", "base_url", "dialect"),
    [
        ("/v1/chat/completions", "https://api.openai.com", "https://api.openai.com/v1", "chat"),
        ("/v1/chat/completions/", "https://api.openai.com", "https://api.openai.com/v1", "chat"),
        ("/v1/chat/completions/?x", "https://api.openai.com", "https://api.openai.com/v1", "chat"),
        ("/v1/completions/", "https://api.openai.com", "https://api.openai.com/v1", "chat"),
        ("/v1/responses", "https://api.openai.com", "https://api.openai.com/v1", "responses"),
        ("/v1/responses/", "https://api.openai.com", "https://api.openai.com/v1", "responses"),
        ("/v1/responses/r_1/", "https://api.openai.com", "https://api.openai.com/v1", "responses"),
        ("/v1/chat/completions//", "https://api.openai.com", "https://api.openai.com/v1", None),
        ("/v1/messages/", "https://api.anthropic.com", "https://api.anthropic.com/v1", "messages"),
        ("/v1beta/models/g%3AstreamGenerateContent", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("/v1beta/models/g:streamGenerateContent/", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
         "https://generativelanguage.googleapis.com", "https://generativelanguage.googleapis.com", None),
        ("/v1/responses/r_1?stream=true", "https://api.openai.com", "https://api.openai.com/v1", "responses"),
        ("/v1/responses/r_1/cancel", "https://api.openai.com", "https://api.openai.com/v1", None),
        ("/v1/files?x=/v1/messages", "https://api.openai.com", "https://api.openai.com/v1", None),
        ("/v1/threads/t_1/messages", "https://api.openai.com", "https://api.openai.com/v1", None),
        ("/v1", "https://api.openai.com", "https://api.openai.com/v1", None),
        ("/v1/messages", "https://api.anthropic.com", "https://api.anthropic.com/v1", "messages"),
        ("/v1/messages?beta=true", "https://api.anthropic.com", "https://api.anthropic.com/v1", "messages"),
        ("/v1/messages/count_tokens", "https://api.anthropic.com", "https://api.anthropic.com/v1", None),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("/v1/models/g:generateContent", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1", "gemini"),
        ("/v1beta/models", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta", None),
        ("/upload/v1beta/files", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com", None),
        ("/v1beta/openai/chat/completions", "https://generativelanguage.googleapis.com",
         "https://generativelanguage.googleapis.com/v1beta/openai", "chat"),
    ],
)  # fmt: skip
def test_without_an_upstream_the_providers_are_found_by_path(
    target: str, url: str, base_url: str, dialect: str | None
) -> None:
    found = _found(Routes(), target)
    assert found.upstream.origin == url
    assert found.target == target.encode()
    assert (found.base_url, found.dialect) == (base_url, dialect)
    assert found.base_url + found.path == url + target.partition("?")[0]


@pytest.mark.parametrize(
    "target", ["/", "//v1/x", "/v2/x", "/v1x", "/v1?".replace("v1", "V1"), "/x/v1/y"]
)
def test_without_an_upstream_other_paths_go_nowhere(target: str) -> None:
    assert Routes().find(target.encode()) is None


@pytest.mark.parametrize(
    ("upstream", "target", "asked"),
    [
        ("http://h:1", "/v1/chat/completions?a=%20", "/v1/chat/completions?a=%20"),
        ("http://h:1/", "//x/../y?", "//x/../y?"),
        ("http://h:1", "/", "/"),
        ("https://openrouter.ai/api/v1", "/v1/chat/completions", "/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1/", "/v1/chat/completions", "/api/v1/chat/completions"),
        ("https://h/v1", "/v1/messages?beta=true", "/v1/messages?beta=true"),
        ("https://h/openai", "/v1", "/openai"),
        ("https://h/a%20b", "/v1//x", "/a%20b//x"),
    ],
)
def test_v1_stands_for_the_path_of_an_upstream(upstream: str, target: str, asked: str) -> None:
    assert _found(Routes(upstream), target).target == asked.encode()


@pytest.mark.parametrize("target", ["/chat/completions", "/v10/x", "/v1beta/models", "/admin"])
def test_a_path_beside_v1_goes_nowhere_where_v1_stands_for_one(target: str) -> None:
    assert Routes("https://h/api/v1").find(target.encode()) is None


@pytest.mark.parametrize(
    ("target", "origin", "asked", "base_url"),
    [
        (
            "/groq/v1/chat/completions",
            "https://groq",
            "/openai/v1/chat/completions",
            "https://groq/openai/v1",
        ),
        (
            "/groq/chat/completions",
            "https://groq",
            "/openai/v1/chat/completions",
            "https://groq/openai/v1",
        ),
        ("/groq", "https://groq", "/openai/v1", "https://groq/openai/v1"),
        ("/local/v1/models?x", "http://l:2", "/v1/models?x", "http://l:2/v1"),
        ("/local", "http://l:2", "/", "http://l:2"),
        ("/v1/models", "https://api.openai.com", "/v1/models", "https://api.openai.com/v1"),
    ],
)
def test_a_name_leads_to_its_upstream_and_the_rest_stays(
    target: str, origin: str, asked: str, base_url: str
) -> None:
    routes = Routes(named={"groq": "https://groq/openai/v1", "local": "http://l:2"})
    found = _found(routes, target)
    assert (found.upstream.origin, found.target) == (origin, asked.encode())
    assert found.base_url == base_url


def test_a_deployments_path_is_its_dialects() -> None:
    found = _found(
        Routes("https://x.openai.azure.com"), "/openai/deployments/d/chat/completions?v=1"
    )
    assert (found.dialect, found.path) == ("chat", "/chat/completions")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("api.openai.com", "must begin with http"),
        ("ftp://h", "must begin with http"),
        ("http://", "names no host"),
        ("http://h?x=1", "the app sends its own"),
        ("https://user:secret@h/v1?key=secret", "the app sends its own"),
        ("https://h/v1#secret", "the app sends its own"),
        ("?secret", "query"),
        ("http://user:secret@h", "credentials"),
        ("http://h/v1/chat/completions", "must end before"),
        ("", "empty"),
    ],
)
def test_a_url_that_is_none_is_refused_without_its_secrets(given: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        Routes(given)
    assert "secret" not in str(error.value)
    assert "upstream" in str(error.value)
    with pytest.raises(ValueError, match=says):
        Routes(named={"x": given})


@pytest.mark.parametrize("name", ["v1", "v1beta", "upload", "", "a/b", "a b", "-x", "x" * 70])
def test_a_name_that_would_hide_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="upstream: a name is"):
        Routes(named={name: "http://h"})
