"""What is written down holds no secret, whatever it wears and wherever it is cut; all else stays as it is."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import pickle
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.errors import APIConnectionError, ProtocolError, StreamError
from lm_deluge.http.redacted_errors import redact_error
from lm_deluge.recording.read_redactor import ReadRedactor
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.secret_values import secrets_in_headers, secrets_in_query, secrets_in_url

KEY = "sk-Test/key+123456=7890~x"

#: The encodings that a secret is known in.
DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "percent": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "percent, lower": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "percent twice": lambda key: "".join(f"%25{ord(c):02X}" for c in key),
    "percent where needed": lambda key: quote(key, safe=""),
    "form": lambda key: quote(key, safe="").replace("%20", "+"),
    "JSON": lambda key: json.dumps(key).strip('"').replace("/", "\\/"),
    "JSON escapes": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON in JSON": lambda key: "".join(f"\\\\u{ord(c):04X}" for c in key),
    "one escape": lambda key: f"{key[:5]}\\u{ord(key[5]):04x}{key[6:]}",
    "HTML": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML, hex": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "HTML names": lambda key: (
        key.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;")
    ),
    "bytes of Python": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "octal": lambda key: "".join(f"\\{ord(c):03o}" for c in key),
    "UTF-16": lambda key: "\0".join(key),
    "NUL in JSON": lambda key: "\\u0000".join(key),
    "hexadecimal": lambda key: key.encode().hex(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 in JSON": lambda key: base64.b64encode(key.encode()).decode().replace("/", "\\/"),
    "base64 in a URL": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    **{
        f"Basic {before!r} {after!r}": lambda key, pair=(before, after): base64.b64encode(  # type: ignore[misc]
            f"{pair[0]}{key}{pair[1]}".encode()
        ).decode()
        for before in ("", ":", "u:", "us:", "Bearer ")
        for after in ("", ":", ":x", "\n")
    },
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_secret_is_replaced_in_every_encoding(disguise: str) -> None:
    worn = DISGUISES[disguise](KEY)
    shown = Redactor([KEY]).text(f"before {worn} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "[redacted]" in shown
    # Of base64 a digit or two may be left that hold bits of what stands beside the key, too.
    around = worn if disguise.startswith("Basic") else base64.b64encode(KEY.encode()).decode()
    assert len(shown) <= len("before [redacted] after") + len(around) - 4 * len(KEY) // 3 + 8
    assert Redactor([KEY]).text(shown) == shown


@pytest.mark.parametrize("length", [8, 9, 12, 15, 22, 51, 164, 1200])
def test_what_is_left_of_a_secret_that_was_cut_is_short(length: int) -> None:
    secret = "".join(chr(33 + (n * n * 7 + n * 31) % 94) for n in range(length)).replace("\\", "/")
    secret = secret.replace("%", "p").replace("&", "a")
    redactor = Redactor([secret])
    for cut in range(1, min(length, 60)):
        for text in (f"x {secret[:-cut]}", f"x {secret[:-cut]}… y", f"x {secret[:cut]}' y"):
            shown = redactor.text(text)
            left = max((n for n in range(length) if secret[:n] in shown), default=0)
            assert left < 8, (text, shown)
        shown = redactor.text(f"x {secret[cut:]} y")
        if length - cut >= max(8, min(11, length * 2 // 3)):
            assert secret[cut:] not in shown


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_other_text_stays_as_it_is(text: str) -> None:
    shown = Redactor([KEY]).text(text)
    assert shown == text or KEY[:8].lower() in text.lower()


@pytest.mark.parametrize("text", ["a \ud83d b", "\udcff", "\ud83d\ude42", "x\udfff" * 3])
def test_what_may_be_shown_can_be_written(text: str) -> None:
    for redactor in (Redactor(), Redactor([KEY])):
        redactor.text(text).encode()
        json.dumps(redactor.data({text: [text, (text,)]}), ensure_ascii=False).encode()
    assert Redactor().text("\ud83d\ude42") == "🙂"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 6))
def test_a_secret_in_pieces_is_in_no_join_of_them(cuts: list[int], batch: int) -> None:
    text = f"your key is {KEY}, is it not? {KEY[:9]}"
    marks = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(marks)]
    redactor = Redactor([KEY]).pieces()
    kept: list[str] = []
    for at in range(0, len(pieces), batch):
        given = pieces[at : at + batch]
        kept += redactor.feed(given) or given
    assert len(kept) == len(pieces)
    assert all(kept)
    joined = "".join(kept).replace("[redacted]", "|").replace("*", "")
    assert not any(KEY[at : at + 8] in joined for at in range(len(KEY) - 7))
    assert joined.startswith("your key is ")
    assert ", is it not? " in joined


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 25), max_size=25), st.integers(1, 5), st.integers(1, 80))
def test_a_secret_that_events_tell_piece_by_piece_is_in_no_recording(
    cuts: list[int], batch: int, size: int
) -> None:
    marks = sorted({0, len(KEY), *(cut for cut in cuts if cut < len(KEY))})
    parts = ["it is ", *(KEY[a:b] for a, b in itertools.pairwise(marks)), ", no?"]
    said = b"".join(
        b'data: {"id":"chatcmpl-123456","choices":[{"index":0,"delta":{"content":%b}}]}\n\n'
        % json.dumps(part).encode()
        for part in parts
    )
    reads = [(at, said[at : at + size]) for at in range(0, len(said), size)]
    redactor = ReadRedactor(Redactor([KEY]))
    passed = []
    for at in range(0, len(reads), batch):
        passed += redactor.feed(*reads[at : at + batch])
    passed += redactor.close()
    assert [at for at, _ in passed] == [at for at, _ in reads]
    told = b"".join(data for _, data in passed).decode()
    pieces = [
        json.loads(line[6:])["choices"][0]["delta"]["content"] for line in told.split("\n") if line
    ]
    assert len(pieces) == len(parts)
    assert (pieces[0], pieces[-1]) == ("it is ", ", no?")
    joined = "".join(pieces).replace("[redacted]", "")
    assert not any(KEY[at : at + 8] in joined for at in range(len(KEY) - 7))


def test_log_probabilities_of_a_secret_are_not_recorded() -> None:
    said = b""
    for at in range(0, len(KEY), 3):
        part = KEY[at : at + 3]
        token = {"token": part, "logprob": -1.5, "bytes": list(part.encode())}
        shown = {"content": [{**token, "top_logprobs": [token, {"token": "x", "bytes": [120]}]}]}
        choice = {"index": 0, "delta": {"content": part}, "logprobs": shown}
        said += b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    harmless = b'data: {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": []}}]}\n\n'
    for size in (10_000, 700, 400):
        whole = said + harmless
        reads = [(at, whole[at : at + size]) for at in range(0, len(whole), size)]
        redactor = ReadRedactor(Redactor([KEY]))
        kept = b"".join(data for _, data in (*redactor.feed(*reads), *redactor.close()))
        for line in kept.decode().split("\n\n")[:-2]:
            choice = json.loads(line[6:])["choices"][0]
            assert choice["logprobs"] is None
            assert choice["delta"]["content"] == "[redacted]"
        assert kept.endswith(harmless)


def test_a_key_of_digits_is_found_in_a_number() -> None:
    assert Redactor(["1234567890123"]).data({"code": 1234567890123, "n": [12345, 1.5]}) == {
        "code": "[redacted]",
        "n": [12345, 1.5],
    }


def test_a_recorded_piece_is_found_in_the_texts_of_its_own_choice() -> None:
    redactor = ReadRedactor(Redactor([KEY]), choices=2)
    said = b"".join(
        b'data: {"choices":[{"index":%d,"delta":{"content":%b}}]}\n\n'
        % (choice, json.dumps(part).encode())
        for at in range(0, len(KEY), 4)
        for choice, part in ((0, KEY[at : at + 4]), (1, "word "))
    )
    (kept,) = redactor.feed((0, said))
    assert KEY[8:12] not in kept[1].decode()
    assert kept[1].count(b"word ") == said.count(b"word ")


def test_a_redactor_shows_no_secret_and_takes_none_into_a_pickle() -> None:
    redactor = Redactor([KEY])
    data = pickle.dumps(redactor)
    assert KEY[:8].encode() not in data.lower()
    assert KEY[:8] not in repr(redactor)
    assert not pickle.loads(data)
    assert copy.deepcopy(redactor) is redactor
    assert not Redactor(["short", ""])


def test_all_that_an_error_and_its_causes_show_is_redacted() -> None:
    error = ProtocolError(f"no event: {KEY[:-1]!r}", evidence=KEY[:12].encode())
    error.add_note(f"while asking with {KEY}")
    first = StreamError(f"the first: {KEY}")
    first.__cause__ = OSError(5, f"of {KEY}")
    error.__cause__ = first
    error.__context__ = ValueError({"of": [KEY]})
    redact_error(error, Redactor([KEY]))
    assert error.evidence == b"[redacted]"
    assert str(error) == error.message == "no event: '[redacted]'"
    assert str(first) == "the first: [redacted]"
    assert error.__notes__ == ["while asking with [redacted]"]
    assert error.__cause__ is first
    assert first.__cause__ is None
    assert error.__context__ is None
    harmless = APIConnectionError("lost")
    harmless.__cause__ = cause = OSError(5, "io")
    assert redact_error(harmless, Redactor([KEY])).__cause__ is cause


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"Authorization": f"Bearer {KEY}"}, {KEY}),
        ({"authorization": f"Basic {base64.b64encode(b'user-name:pass-word').decode()}"},
         {"user-name", "pass-word", base64.b64encode(b"user-name:pass-word").decode()}),
        ({"X-Goog-Api-Key": KEY}, {KEY}),
        ({"X-Auth-Token": KEY}, {KEY}),
        ({"Client-Secret": KEY}, {KEY}),
        ({"Cookie": f'a=b; session="{KEY[:-9]}"; c=dddddddd'}, {KEY[:-9], "dddddddd"}),
        ({"X-Mine": KEY}, {KEY}),
        ({"X-Other": f"Bearer {KEY}"}, {KEY}),
        ({"X-Plain": "just some words", "Accept": "text/event-stream"}, set()),
    ],
)  # fmt: skip
def test_secret_headers_are_known_by_name_and_by_looks(
    headers: dict[str, str], secret: set[str]
) -> None:
    found = set(secrets_in_headers(headers, ["x-mine"]))
    assert secret <= found
    if not secret:
        assert found == set()


def test_secrets_of_urls_are_known() -> None:
    found = set(secrets_in_url("https://us%40er:p%3Assword@host:8/v1"))
    assert {"us@er", "p:ssword", base64.b64encode(b"us@er:p:ssword").decode()} <= found
    assert set(secrets_in_url("user:passw0rd@proxy:3128")) >= {"passw0rd"}
    assert set(secrets_in_url("https://host/v1")) == set()
    assert set(secrets_in_url("http://u:passw0rd@[::1/")) == {"u:passw0rd"}
    query = {"key": KEY, "api-version": "2024-10-21", "x": f"sk-{KEY}"}
    assert set(secrets_in_query(query)) == {KEY, f"sk-{KEY}"}
