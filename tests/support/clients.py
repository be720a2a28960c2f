"""The client of most tests, and handlers that keep what they hear."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from lm_deluge import (
    APIResponse,
    Delta,
    LLMClient,
    Retry,
    RetryPolicy,
    Stream,
    StreamHandler,
    Token,
)
from lm_deluge.errors import StreamError

if TYPE_CHECKING:
    import trustme

KEY = "sk-test-key-1234567890"


class Recorder(StreamHandler):
    """Keeps what it hears, in order. ``heard`` holds names, ``endings`` responses and errors."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.text = ""
        self.deltas: list[Delta] = []
        self.retries: list[Retry] = []
        self.endings: list[APIResponse | StreamError] = []

    def on_start(self, stream: Stream) -> None:
        self.heard.append("start")

    def on_token(self, stream: Stream, token: Token) -> None:
        self.heard.append("token")
        self.text += token.text

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        self.heard.append("delta")
        self.deltas.append(delta)

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        self.heard.append("retry")
        self.retries.append(retry)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self.heard.append("complete")
        self.endings.append(response)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self.heard.append("error")
        self.endings.append(error)


class AtToken(StreamHandler):
    """Calls a function at each token."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def on_token(self, stream: Stream, token: Token) -> None:
        self._call()


def side_of(authority: trustme.CA) -> ssl.SSLContext:
    """The server's side of TLS, for every name that tests use."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "api.invalid", "localhost").configure_cert(context)
    return context


class Server(Protocol):
    """What has an address."""

    base_url: str


def client_for(server: Server | str, model: str = "gpt-4o", **kwargs: Any) -> LLMClient:
    """Return a silent client of a server or a URL, without retries, unless told otherwise."""
    kwargs.setdefault("retries", RetryPolicy.none())
    kwargs.setdefault("printer", None)
    kwargs.setdefault("api_key", KEY)
    url = server if isinstance(server, str) else server.base_url
    return LLMClient(model, base_url=url, **kwargs)
