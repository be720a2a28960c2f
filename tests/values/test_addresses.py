"""Where requests go and what goes with them; nothing secret is shown."""

from __future__ import annotations

import pytest

from lm_deluge.timeline.record import start_line, without_credentials
from lm_deluge.values.addresses import (
    normalize_base_url,
    redact_url,
    validate_api_key,
    validate_headers,
    validate_query,
)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("http://localhost:11434/v1//", "http://localhost:11434/v1"),
        ("HTTP://[::1]:80", "HTTP://[::1]:80"),
        ("https://user:pw@host/v1", "https://user:pw@host/v1"),
        ("http://127.0.0.1", "http://127.0.0.1"),
    ],
)
def test_a_good_base_url_loses_only_its_last_slash(given: str, normal: str) -> None:
    assert normalize_base_url(given) == normal


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("localhost:8000/v1", "must begin with http:// or https://"),
        ("api.openai.com/v1", "must begin with"),
        ("ftp://host/v1", "must begin with"),
        ("https:/host/v1", "must begin with"),
        ("https://", "names no host"),
        ("https:///v1", "names no host"),
        ("https://:80/v1", "names no host"),
        ("http://host:port/v1", "malformed"),
        ("http://host:99999/v1", "malformed"),
        ("http://[::1/v1", "malformed"),
        ("http://host/v1 ", "white space"),
        ("http://ho\r\nst/v1", "white space or control"),
        ("http://host/v1?api-version=1", "query"),
        ("http://host/v1?", "query"),
        ("http://host/v1#x", "fragment"),
        ("https://host/v1/chat/completions/", "must end before /chat/completions"),
        ("https://host/v1/responses", "must end before /responses"),
        ("https://host/v1/messages/", "must end before /messages"),
        ("https://host/v1beta/models", "must end before /models"),
        ("https://host/v1beta/models/x:streamGenerateContent", "must end before /models"),
        ("https://host/v1beta/models/x:generateContent", "must end before /models"),
    ],
)
def test_a_malformed_base_url_is_named(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^base_url.*{says}"):
        normalize_base_url(url)


@pytest.mark.parametrize("wrong", [None, b"http://host", 3])
def test_a_base_url_is_text(wrong: object) -> None:
    with pytest.raises(TypeError, match="OPENAI_BASE_URL must be a str"):
        normalize_base_url(wrong, "OPENAI_BASE_URL")


HOSTILE = [
    "ftp://user:hush@host/v1",
    "https://user:hush@host/v1?x=1",
    "https://user:hush@host:x/v1",
    "https://host/v1?api_key=hush",
    "https://host/v1#hush",
    "https://user:hush@[::1/v1",
    "user:hush@host/v1",
    "https://user:hush@host/v 1",
    "https://a@b:hush@/v1",
    "https://user:p/hush@host/v1",
    "https://user:p?hush@host/v1",
    "https://user:p#hush@host/v1",
    "//user:hush@host/v1",
    "sk-hush",
]
"""URLs that a user may give by mistake; ``hush`` is the secret in each."""


@pytest.mark.parametrize("url", HOSTILE)
def test_no_message_shows_credentials(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        normalize_base_url(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", HOSTILE)
def test_no_redacted_url_shows_credentials_whoever_writes_it(url: str) -> None:
    line = start_line("s", model="m", at="", base_url=url)
    for shown in (redact_url(url), without_credentials(url), line.base_url):
        assert "hush" not in shown
        assert shown == redact_url(url)


def test_a_redacted_url_keeps_what_helps() -> None:
    for redacted in (redact_url, without_credentials):
        assert redacted("https://u:p@host:8/v1?k=1#f") == "https://host:8/v1"
    assert redact_url(None) == "(no URL)"


def test_a_query_is_a_dict_of_text() -> None:
    assert validate_query({"api-version": "2024-10-21"}) == {"api-version": "2024-10-21"}
    assert validate_query(None) == {}
    for wrong in ("a=b", {"a": 1}, {1: "a"}):
        with pytest.raises(TypeError, match="query must be a dict of str to str"):
            validate_query(wrong)  # type: ignore[arg-type]


def test_good_headers_pass_as_a_copy() -> None:
    headers = {"X-Title": "a\tb ü", "x-empty": ""}
    made = validate_headers(headers)
    assert made == headers
    assert made is not headers
    assert validate_headers(None) == {}


@pytest.mark.parametrize(
    "value", ["s3cret\r\nX: 1", "s3cret\n", "s3cret\0", "s3cret\x1b", "s3cret\ud800"]
)
def test_a_header_value_that_could_forge_another_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ValueError, match="extra_headers: the value of 'X-Key'") as caught:
        validate_headers({"X-Key": value}, "extra_headers")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ü", "a\n"])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="no header name"):
        validate_headers({name: "s3cret"})


@pytest.mark.parametrize("wrong", [["a"], "a", {1: "s3cret"}, {"a": 1}, {"a": None}, {"a": b"x"}])
def test_headers_are_text(wrong: object) -> None:
    with pytest.raises(TypeError) as caught:
        validate_headers(wrong)  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


def test_a_good_key_passes() -> None:
    assert validate_api_key("sk-proj-a_b/c+d=") == "sk-proj-a_b/c+d="


@pytest.mark.parametrize("key", ["", "sk-hush\n", " sk-hush", "sk hush", "sk-hush\0", "sk-hushü"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match=r"^OPENAI_API_KEY ") as caught:
        validate_api_key(key, "OPENAI_API_KEY")
    assert "hush" not in str(caught.value)


def test_a_key_is_text() -> None:
    with pytest.raises(TypeError, match="api_key must be a str, not bytes"):
        validate_api_key(b"sk-hush")
