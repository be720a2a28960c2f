"""From an error reply to the exception that tells it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import LLMClient
from lm_deluge.dialects.chat import CHAT
from lm_deluge.errors import (
    APIStatusError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    StreamError,
)
from lm_deluge.wire.headers import request_id
from support.scripted import ScriptedServer

URL = "https://api.example/v1/chat/completions"


def error_of(body: Any, status: int = 400, **headers: str) -> APIStatusError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CHAT.refusal(status, named, data, shown_url=URL)


def test_a_code_that_is_the_status_gives_way_to_the_word_for_the_error() -> None:
    error = error_of({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}})
    assert str(error) == "no (HTTP 400, INVALID_ARGUMENT)"
    assert (error.code, error.type) == (400, "INVALID_ARGUMENT")
    assert str(error_of({"error": {"code": "400", "message": "no"}})) == "no (HTTP 400)"


def test_openais_shape_gives_message_type_code_and_param() -> None:
    inner = {"message": "no\n", "type": "invalid_request_error", "code": "x", "param": "stop"}
    error = error_of({"error": inner})
    assert type(error) is BadRequestError
    assert str(error) == "no (HTTP 400, x)"
    assert error.body == inner
    assert (error.type, error.code, error.param) == ("invalid_request_error", "x", "stop")
    assert (error.request_id, error.retry_after, error.should_retry) == (None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "the reason"},
        {"message": "the reason"},
        {"detail": "the reason"},
        {"msg": "the reason"},
        {"detail": [{"loc": ["body"], "msg": "the reason"}]},
        {"object": "error", "message": "the reason", "code": 40001},
        {"error": {"error": "the reason"}},
        {"error": {"detail": "the reason"}},
        {"error": {"code": {"why": "the reason"}}},
        {"error": ["the reason"]},
        {"error": "Bad Request", "message": "the reason"},
        [{"error": {"message": "the reason", "code": 400}}],
        "the reason",
        b"the reason",
        b"<html>\n  the   reason\n</html>",
        b"\xff the reason",
        b'{"error": "the reason',
        b'\xef\xbb\xbf{"error": "the reason"}',
    ],
)
def test_whatever_the_shape_the_reason_is_shown_on_one_line(body: Any) -> None:
    text = str(error_of(body))
    assert "the reason" in text
    assert "\n" not in text
    assert "HTTP 400" in text


@pytest.mark.parametrize(
    "body",
    [
        {"detail": {"error": {"message": "why", "type": "t", "code": "c"}}},
        {"detail": {"message": "why", "type": "t", "code": "c"}},
        {"detail": {"error": "why", "type": "t", "code": "c"}},
        {"errors": [{"message": "why", "type": "t", "code": "c"}]},
        {"title": "Bad", "errors": [{"detail": "why", "type": "t", "code": "c"}]},
        {"error": {"error": {"message": "why", "type": "t", "code": "c"}}},
        {"error": {"errors": [{"message": "why"}], "type": "t", "code": "c"}},
        [{"errors": {"message": "why", "type": "t", "code": "c"}}],
        {"error": {"message": {"detail": "why"}, "type": "t", "code": "c"}},
    ],
)
def test_the_reason_is_told_in_words_however_it_is_wrapped(body: Any) -> None:
    error = error_of(body)
    assert (str(error), error.type, error.code) == ("why (HTTP 400, c)", "t", "c")


def test_a_validation_says_of_what_it_speaks() -> None:
    items = [
        {"loc": ["body", "messages", 0], "msg": "is missing", "type": "missing"},
        {"msg": "no"},
    ]
    error = error_of({"detail": items}, 422)
    assert str(error) == "body.messages.0: is missing; no (HTTP 422)"
    assert error.type is None


def test_the_body_is_kept_as_it_came() -> None:
    assert error_of({"error": "x"}).body == "x"
    assert error_of({"error": {"message": "x", "more": [1]}}).body == {"message": "x", "more": [1]}
    assert error_of({"error": "Bad", "message": "x"}).body == {"error": "Bad", "message": "x"}
    assert error_of(b"<html>").body == "<html>"
    assert error_of([]).body == []


def test_an_empty_body_is_no_explanation() -> None:
    assert str(error_of(b"", 503)) == "no explanation (HTTP 503)"


def test_a_long_page_is_cut_in_the_message_and_kept_in_the_body() -> None:
    error = error_of(b"x" * 1000, 502)
    assert len(str(error)) < 250
    assert error.body == "x" * 1000


@pytest.mark.parametrize("code", [None, [1], {}, 1.5])
def test_a_code_that_is_none_is_left_out(code: Any) -> None:
    error = error_of({"error": {"message": "no", "code": code, "type": 3, "param": 3}})
    assert str(error) == "no (HTTP 400)"
    assert (error.code, error.type, error.param) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "a", "cf-ray": "b"}, "a"),
        ({"apim-request-id": "a"}, "a"),
        ({"cf-ray": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_request_id_is_found(headers: dict[str, str], expected: str | None) -> None:
    assert request_id(headers) == expected


def test_waiting_and_retrying_are_as_the_server_says() -> None:
    error = error_of({}, 429, Retry_After="3", x_should_retry="FALSE")
    assert type(error) is RateLimitError
    assert (error.retry_after, error.should_retry) == (3.0, False)
    assert error_of({}, 500, x_should_retry="true").should_retry is True
    assert error_of({}, 500, x_should_retry="maybe").should_retry is None


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (
            "https://user:secret@other.example:8443/secret?secret#secret",
            "https://other.example:8443",
        ),
        ("https://other.example?secret", "https://other.example"),
        ("//other.example/secret", "other.example"),
        ("/v2/secret", "another path"),
        ("", "another path"),
        ("https://[secret", "an address that is none"),
    ],
)
def test_a_redirect_names_the_host_it_points_to_and_nothing_secret(
    location: str, shown: str
) -> None:
    error = error_of(b"moved", 307, Location=location)
    assert type(error) is APIStatusError
    assert f"redirects to {shown};" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("status", [300, 304, 305, 399])
def test_a_reply_that_names_no_other_place_is_no_redirect(status: int) -> None:
    assert str(error_of(b"the reason", status)) == f"the reason (HTTP {status})"


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("body", [b'{"detail":"Not Found"}', b"404 page not found", b""])
async def test_an_address_without_a_version_is_doubted_where_nothing_is_found(
    dialect: str, body: bytes
) -> None:
    reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with ScriptedServer([reply]) as server:
        address = server.base_url.removesuffix("/v1")
        for base_url, is_doubted in (
            (address, True),
            (f"{address}/", True),
            (f"{address}/v1", False),
        ):
            client = LLMClient("m", base_url=base_url, api_key="k", dialect=dialect, printer=None)
            with pytest.raises(NotFoundError) as caught:
                await client.stream("Hi")
            await client.close()
            assert (
                f"Hint: most servers answer below {address}/v1" in str(caught.value)
            ) is is_doubted


def test_a_model_that_is_not_found_says_nothing_against_the_address() -> None:
    body = b'{"error": {"message": "The model `x` does not exist"}}'
    error = CHAT.refusal(404, {}, body, shown_url="https://api.example.com")
    assert str(error) == "The model `x` does not exist (HTTP 404)"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_nowhere_is_called_one(status: int) -> None:
    assert "does not say where to" in str(error_of(b"<html>", status))


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("Your organization must be verified to stream this model.", "needs no verification"),
        ("'messages[0].role' does not support 'system' with this model", "system_role="),
        ("Unrecognized request argument supplied: stream_options", "stream_options=False"),
    ],
)
def test_known_troubles_get_a_hint(message: str, hint: str) -> None:
    text = str(error_of({"error": {"message": message}}))
    assert message.rstrip() in text
    assert "Hint: " in text
    assert hint in text
    assert "Hint" not in str(error_of({"error": {"message": "something else"}}))


# Text that is no UTF-8


@pytest.mark.parametrize("status", [302, 400, 503])
def test_no_lone_surrogate_of_a_header_or_a_body_is_in_an_error(status: int) -> None:
    raw = b"https://h\xff.example/\xe9?x=\xff".decode("utf-8", "surrogateescape")
    body = {"error": {"message": "m\ud83d", "text": "t\ud83d", "code": "c\ud83d", "\ud83d": 1}}
    headers = {"Location": raw, "x_request_id": raw, "retry_after": raw, "Date": raw}
    error = error_of(body, status, **headers)
    shown = [str(error), error.body, error.code, error.type, error.request_id]
    json.dumps(shown, ensure_ascii=False).encode()
    assert error.request_id == "https://h\N{REPLACEMENT CHARACTER}.example/" + (
        "\N{REPLACEMENT CHARACTER}?x=\N{REPLACEMENT CHARACTER}"
    )


async def test_bytes_of_a_redirects_headers_end_in_an_error_that_utf8_can_hold() -> None:
    head = b"HTTP/1.1 302 F\xffund\r\nLocation: https://h\xff.example/\xff\r\n"
    head += b"x-request-id: r\xff\r\nContent-Type: text/x\xff\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedServer([head]) as server:
        client = LLMClient(
            "gpt-4o", base_url=server.base_url, api_key="sk-test-key-123456", printer=None
        )
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
    error: Any = caught.value
    json.dumps([str(error), error.body, error.request_id], ensure_ascii=False).encode()
    assert "redirects" in str(error)
