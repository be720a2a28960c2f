"""What a stream of an app is grouped by, and which one of the app's own retries it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge import Stream, StreamHandler
from lm_deluge.proxy.tags import client_of, tags_in_body, tags_in_header
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import WatchingEar, asks, opened


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        ("OpenAI/Python 2.54.0", "openai-python"),
        ("AsyncOpenAI/Python 2.54.0", "openai-python"),
        ("AsyncAzureOpenAI/Python 1.0", "openai-python"),
        ("OpenAI/JS 6.1.0", "openai-node"),
        ("OpenAI/Go 1.2", "openai-go"),
        ("Anthropic/Python 0.70", "anthropic-python"),
        ("AsyncAnthropicBedrock/Python 0.70", "anthropic-python"),
        ("Anthropic/JS 0.60", "anthropic-node"),
        ("google-genai-sdk/1.40.0 gl-python/3.12.3", "google-genai-python"),
        ("google-genai-sdk/1.2.0 gl-node/v22", "google-genai-node"),
        ("ai/5.0.1 ai-sdk/provider-utils/3.0 runtime/node.js/22", "ai-sdk"),
        ("ai-sdk/openai/2.0", "ai-sdk"),
        ("claude-cli/1.0.9 (external, cli)", "claude-code"),
        ("codex_cli_rs/0.50.0 (Linux)", "codex"),
        ("litellm/1.80.0", "litellm"),
        ("lm_deluge/0.1.0", "lm_deluge"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("Python/3.11 aiohttp/3.13.2", "aiohttp"),
        ("node", "node"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "browser"),
        ("", None),
        (None, None),
        ('"quoted"', None),
        ("x" * 9000, "x" * 64),
    ],
)
def test_the_client_is_known_by_its_user_agent(user_agent: str | None, client: str | None) -> None:
    assert client_of(user_agent) == client


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("variant=B", {"variant": "B"}),
        (" variant = B , user=ann ", {"variant": "B", "user": "ann"}),
        ('note="a, \\"b\\"",x=1', {"note": 'a, "b"', "x": "1"}),
        ("note=a%2C%20b%25", {"note": "a, b%"}),
        ("city=Zürich".encode().decode("latin-1"), {"city": "Zürich"}),
        ("a=,b=2", {"a": "", "b": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1,a=2", {"a": "2"}),
        ("", {}),
        (" , ,", {}),
    ],
)
def test_a_header_says_tags(header: str, tags: dict[str, str]) -> None:
    assert tags_in_header(header) == (tags, [])


@pytest.mark.parametrize("bad", ["nonsense", "=x", "1a=x", "a b=c", '"a"=x', 'q="open', 'q="x"y'])
def test_a_tag_that_is_none_is_left_out_and_the_others_stay(bad: str) -> None:
    tags, wrong = tags_in_header(f"variant=B,{bad}")
    assert tags == {"variant": "B"}
    assert len(wrong) == 1
    assert bad not in wrong[0]


def test_no_more_tags_are_taken_than_anybody_needs() -> None:
    tags, wrong = tags_in_header(",".join(f"t{at}={'x' * 9999}" for at in range(99)))
    assert len(tags) == 32
    assert {len(value) for value in tags.values()} == {512}
    assert wrong == ["more than 32"]


@given(st.text(max_size=60))
def test_no_header_raises(value: str) -> None:
    tags, wrong = tags_in_header(value)
    assert len(tags) + len(wrong) <= value.count(",") + 1


def test_metadata_and_user_of_a_body_are_tags() -> None:
    body: dict[str, Any] = {"metadata": {"run": "7", "deep": {"no": 1}, "n": 2}, "user": "u1"}
    assert tags_in_body(body) == {"run": "7", "n": 2, "user": "u1"}
    assert tags_in_body({"metadata": ["no"], "user": None}) == {}


class _Starts(StreamHandler):
    def __init__(self) -> None:
        self.tags: list[dict[str, Any]] = []
        self.retries: list[int | None] = []

    def on_start(self, stream: Stream) -> None:
        self.tags.append(dict(stream.tags))
        self.retries.append(stream.app_retry)  # type: ignore[attr-defined]


async def _begun(*headers: tuple[tuple[str, str], ...], **options: Any) -> _Starts:
    starts = _Starts()
    watcher = Watcher([starts], **options)
    for given_ in headers:
        body = asks(metadata={"from": "body", "variant": "body"}, user="u1")
        opened(watcher, body, headers=given_).ended("reader left")
    await watcher.aclose()
    return starts


async def test_what_is_nearer_to_the_request_wins() -> None:
    headers = (("User-Agent", "OpenAI/JS 6.1"), ("X-LM-Deluge-Tags", "variant=header"))
    starts = await _begun(headers, tags={"variant": "proxy", "run": "1"})
    assert starts.tags == [{"run": "1", "client": "openai-node", "variant": "header"}]
    starts = await _begun((), tags={"variant": "proxy"}, body_tags=True)
    assert starts.tags == [{"variant": "body", "from": "body", "user": "u1"}]


async def test_a_tag_that_makes_no_sense_is_a_note_and_no_error() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    opened(watcher, asks(), headers=(("x-lm-deluge-tags", "oops"),)).ended("reader left")
    await watcher.aclose()
    assert [note.what for note in ear.notes] == [
        "x-lm-deluge-tags: one without a name and '=' was left out"
    ]
    assert ear.calls == ["start", "error"]


async def test_a_retry_of_the_app_is_counted_by_what_its_package_says() -> None:
    headers = [(("x-stainless-retry-count", value),) for value in ("0", "1", "2", "nonsense")]
    assert (await _begun(*headers)).retries == [None, 1, 2, None]


async def test_a_retry_of_the_app_is_known_by_its_idempotency_key() -> None:
    keys = ["a", "b", "a", "a", "c"]
    starts = await _begun(*[(("Idempotency-Key", key),) for key in keys])
    assert starts.retries == [None, None, 1, 2, None]
