"""What a request of an app asks for, read from its head and its body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from lm_deluge.config import Timeouts
from lm_deluge.dialects import dialect_named
from lm_deluge.engine.plan import ModelRequest
from lm_deluge.http.request import Request
from lm_deluge.models.registry import ModelInfo, unknown_model
from lm_deluge.models.resolving import resolve_model
from lm_deluge.proxy.prompts import messages_in
from lm_deluge.proxy.tags import TAGS_HEADER
from lm_deluge.values.addresses import redact_url
from lm_deluge.values.prompt_facts import PromptFacts
from lm_deluge.values.redaction import Redactor, redactor_of
from lm_deluge.values.secret_values import secrets_in_data, secrets_in_headers, secrets_in_query
from lm_deluge.wire.json import decode_any

__all__ = ["AppAsks", "asks_of", "redactor_of_request", "target_of"]

#: The model in a path: Gemini's, and a deployment of Azure's.
_IN_PATH: Final = re.compile(
    r"/(?:models|tunedModels|deployments)/([^/:?]+?)(?=[/:?]|%3A|$)", re.IGNORECASE
)

#: How the path of a stream ends, Gemini's.
_STREAMED: Final = re.compile(r"(?::|%3[Aa])streamGenerateContent/?$")

#: Names of headers that look like those of secrets, and hold none. Each request has others.
_HARMLESS: Final = frozenset({"idempotency-key", TAGS_HEADER})

#: What stands for a model that no request names.
_UNNAMED: Final = "unknown"

#: Characters of a model's name that are told.
_LONGEST: Final = 256

#: Answers that one request may ask for.
_MOST: Final = 1024


@frozen(eq=False, kw_only=True)
class AppAsks:
    """What a request asks for.

    ``streams``: whether it wants its answer as a stream, ``None`` where that cannot be read. ``model``:
    ``None`` where it names none. ``choices``: answers asked for. ``body``: as data, ``None`` where there is
    none that was read. ``problem``: why not, if there is one that was not.
    """

    streams: bool | None
    model: str | None = None
    choices: int = 1
    logprobs: bool = False
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    prompt: PromptFacts = field(factory=PromptFacts, repr=False)
    problem: str | None = None


def asks_of(
    dialect: str | None, target: str, body: bytes, *, problem: str | None = None
) -> AppAsks:
    """Return what a request asks for.

    ``target``: path and query. ``problem``: why the body is not to be read, if it is not.
    """
    path, _, query = target.partition("?")
    named = _IN_PATH.search(path)
    in_path = unquote(named[1]) if named is not None else None
    if not body and problem is None:
        # An answer that is made is asked for again: GET /v1/responses/ID?stream=true.
        streams = dialect == "responses" and dict(parse_qsl(query)).get("stream") == "true"
        return AppAsks(streams=streams, model=in_path)
    by_path = _STREAMED.search(path) is not None if dialect == "gemini" else None
    if problem is not None:
        return AppAsks(streams=by_path, model=in_path, problem=problem)
    try:
        data = decode_any(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        problem = None if dialect is None else "the request's body is no JSON object"
        return AppAsks(streams=by_path, model=in_path, problem=problem)
    model = data.get("model")
    given = model[:_LONGEST] if isinstance(model, str) and model else in_path
    if dialect is None:
        return AppAsks(streams=False, model=given)
    return AppAsks(
        streams=data.get("stream") is True if by_path is None else by_path,
        model=given,
        choices=_choices(dialect, data),
        logprobs=dialect == "chat" and bool(data.get("logprobs")),
        body=data,
        prompt=PromptFacts(messages_in(dialect, data)),
    )


def _choices(dialect: str, body: Mapping[str, Any]) -> int:
    """Return how many answers are asked for; only chat completions stream several."""
    count = body.get("n") if dialect == "chat" else 1
    return min(count, _MOST) if type(count) is int and count > 0 else 1


def redactor_of_request(
    headers: Sequence[tuple[str, str]], target: str, body: Mapping[str, Any] | None
) -> Redactor:
    """Return what knows the secrets of a request: none of them is written down anywhere."""
    return redactor_of(tuple(dict.fromkeys(_secrets(headers, target, body))))


def _secrets(
    headers: Sequence[tuple[str, str]], target: str, body: Mapping[str, Any] | None
) -> Iterator[str]:
    for name, value in headers:
        if name.lower() not in _HARMLESS:
            yield from secrets_in_headers({name: value})
    for pair in parse_qsl(target.partition("?")[2]):
        yield from secrets_in_query(dict([pair]))
    if body is not None and (tools := body.get("tools")):
        yield from secrets_in_data(tools)


def target_of(
    asks: AppAsks, dialect: str, base_url: str, path: str, redactor: Redactor, body: bytes
) -> ModelRequest:
    """Return the request as the engine knows one: nothing in it is secret but the body.

    ``body``: for a recording.
    """
    shown = redact_url(base_url)
    return ModelRequest(
        info=_info_of(redactor.text(asks.model or _UNNAMED), base_url, dialect),
        dialect=dialect_named(dialect),
        request=Request(
            url=shown, shown_url=shown, path=path, headers={}, body=body, redactor=redactor
        ),
        timeouts=_NO_LIMITS,
        choices=asks.choices,
        logprobs=asks.logprobs,
    )


#: The app's own hold, and nobody here waits.
_NO_LIMITS: Final = Timeouts().resolved(False)  # noqa: FBT003


def _info_of(name: str, base_url: str, dialect: str) -> ModelInfo:
    """Return what is known of a model, as our own client would know it."""
    try:
        parts = urlsplit(base_url)
        return resolve_model(
            name, base_url=f"{parts.scheme}://{parts.netloc}", env_base_url=None, dialect=dialect
        )
    except (ValueError, TypeError):  # a name that is none
        return unknown_model(name)
