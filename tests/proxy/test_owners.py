"""Whose key a request carries decides where it goes, and never reaches another provider."""

from __future__ import annotations

from itertools import product

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.proxy.heads import BadRequestHead, HeaderField
from lm_deluge.proxy.routes import Routes
from support.raw_http import Asker

Head = tuple[str, ...]

_HOSTS = {
    "openai": b"api.openai.com",
    "anthropic": b"api.anthropic.com",
    "google": b"generativelanguage.googleapis.com",
}

#: Every way in which a key says whose it is: header lines, and what stands in the query.
_KEYS: dict[str, list[tuple[Head, str]]] = {
    "openai": [
        (("Authorization: Bearer sk-proj-abc",), ""),
        (("authorization: bearer sk-svcacct-abc",), ""),
        (("Authorization:  Bearer  sk-admin-abc",), ""),
        (("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-proj-abc",), ""),
        (("api-key: sk-proj-abc",), ""),
    ],
    "anthropic": [
        (("x-api-key: abc",), ""),
        (("X-API-Key: sk-ant-api03-abc", "anthropic-version: 2023-06-01"), ""),
        (("Authorization: Bearer sk-ant-oat01-abc",), ""),
        (("AUTHORIZATION: BEARER sk-ant-api03-abc",), ""),
        (("Authorization: sk-ant-api03-abc",), ""),
    ],
    "google": [
        (("x-goog-api-key: abc",), ""),
        (("X-Goog-Api-Key: AIzaSyAbc",), ""),
        (("Authorization: Bearer AIzaSyAbc",), ""),
        (("Authorization: Bearer ya29.abc", "x-goog-user-project: p"), ""),
        (("Authorization: Bearer AQ.abc",), ""),
        (("x-api-key: AIzaSyAbc",), ""),
        ((), "key=abc"),
        ((), "alt=sse&key=AIzaSyAbc"),
        ((), "%6Bey=abc"),
        ((), "access_token=ya29.abc"),
    ],
}

#: Paths that all of them have, and those of one alone.
_SHARED = ("/v1/models", "/v1/files/f_1", "/v1/chat/completions", "/v1/embeddings", "/v1")
_OWN = {
    "anthropic": ("/v1/messages", "/v1/messages/", "/v1/messages/count_tokens"),
    "google": (
        "/v1beta/models",
        "/v1beta/openai/chat/completions",
        "/upload/v1beta/files",
        "/v1/models/g:generateContent",
    ),
}


def _host(path: str, lines: Head, query: str) -> bytes | None:
    """The host that gets a request; ``None``: it is refused."""
    fields = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.append(HeaderField(name.lower().encode(), value.strip().encode(), line.encode()))
    target = path + (f"?{query}" if query else "")
    try:
        found = Routes().find(target.encode(), fields)
    except BadRequestHead as error:
        status, said = error.status, str(error)
    else:
        assert found is not None
        return found.upstream.host
    assert status == 403
    assert "abc" not in said
    return None


@pytest.mark.parametrize("owner", _KEYS)
def test_on_a_path_that_all_have_a_key_goes_to_its_owner(owner: str) -> None:
    for path, (lines, query) in product(_SHARED, _KEYS[owner]):
        assert _host(path, lines, query) == _HOSTS[owner], (path, lines, query)


@pytest.mark.parametrize("whose", _OWN)
@pytest.mark.parametrize("owner", _KEYS)
def test_on_a_path_of_one_the_key_of_another_goes_nowhere(owner: str, whose: str) -> None:
    for path, (lines, query) in product(_OWN[whose], _KEYS[owner]):
        expected = _HOSTS[owner] if owner == whose else None
        assert _host(path, lines, query) == expected, (path, lines, query)


@pytest.mark.parametrize(("one", "other"), [(a, b) for a in _KEYS for b in _KEYS if a != b])
def test_keys_of_two_go_nowhere(one: str, other: str) -> None:
    for path, (lines, query), (more, further) in product(_SHARED, _KEYS[one], _KEYS[other]):
        if query and further:
            continue
        assert _host(path, (*lines, *more), query or further) is None, (path, lines, more)


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        ((), "openai"),
        (("Authorization: Bearer sk-abc",), "openai"),
        (("Authorization: Bearer abc",), "openai"),
        (("Authorization: Bearer sk-abc", "openai-organization: o"), "openai"),
        (("Authorization: Bearer abc", "anthropic-version: 2023-06-01"), "anthropic"),
        (("anthropic-beta: x",), "anthropic"),
        (("x-goog-api-client: gl-python/3",), "google"),
        (("x-api-key:", "Authorization: Bearer abc"), "openai"),
    ],
)
def test_a_key_that_says_nothing_goes_where_path_and_client_say(lines: Head, host: str) -> None:
    assert _host("/v1/models", lines, "") == _HOSTS[host]
    # A client of one provider asks another's path on purpose: its endpoint for clients of the first.
    assert _host("/v1beta/openai/models", lines, "") in (_HOSTS["google"], None)


def test_a_key_of_azure_goes_nowhere_without_an_upstream() -> None:
    assert _host("/v1/chat/completions", ("api-key: abc",), "") is None
    assert _host("/v1/messages", ("api-key: abc",), "") is None


@pytest.mark.parametrize("query", ["", "key=abc"])
def test_where_an_upstream_is_given_it_gets_whatever_the_app_sends(query: str) -> None:
    fields = [HeaderField(b"x-api-key", b"abc", b"x-api-key: abc")]
    for routes in (Routes("http://h"), Routes(named={"n": "http://h"})):
        path = "/v1/models" if routes.main else "/n/v1/models"
        found = routes.find(f"{path}?{query}".encode(), fields)
        assert found is not None
        assert found.upstream.host == b"h"


async def test_the_app_is_told_and_no_key_is_repeated() -> None:
    async with Proxy() as proxy, Asker(proxy.url) as asker:
        got, ending = await asker.ask(
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
            b"Authorization: Bearer sk-proj-secret\r\n\r\n"
        )
    assert got.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b'"permission_error"' in got
    assert b"a key of OpenAI, and would go to Anthropic" in got
    assert b"secret" not in got
    assert ending == "end"
