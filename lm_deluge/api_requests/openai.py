"""``stream_chat``: a stream as an async generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from lm_deluge.client import LLMClient
from lm_deluge.config import SamplingParams, Timeouts
from lm_deluge.conversation import Prompt
from lm_deluge.errors import StreamError
from lm_deluge.response import APIResponse
from lm_deluge.stream import TokenQueue
from lm_deluge.transport import Transport

__all__ = ["stream_chat"]

_DEFAULT_PARAMS = SamplingParams()

#: The connections that all calls without a client share.
_TRANSPORT: Final = Transport()


async def stream_chat(
    model_name: str,
    prompt: Prompt,
    sampling_params: SamplingParams = _DEFAULT_PARAMS,
    tools: Sequence[Mapping[str, Any]] | None = None,
    extra_headers: Mapping[str, str] | None = None,
    *,
    tool_choice: str | Mapping[str, Any] | None = None,
    response_format: Mapping[str, Any] | None = None,
    extra_body: Mapping[str, Any] | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    timeouts: Timeouts | None = None,
    handlers: Sequence[object] = (),
    tags: Mapping[str, Any] | None = None,
    client: LLMClient | None = None,
) -> AsyncGenerator[str | APIResponse, None]:
    """Yield the answer's tokens as ``str`` as they arrive, then one ``APIResponse``.

    The arguments are those of ``LLMClient`` and ``LLMClient.stream``. ``client``: take the connections
    and settings of this one; then only the arguments of ``stream`` may be given beside it. With
    ``n > 1`` choice 0 is yielded; ``handlers`` hear all of them.

    Raises at the first step what ``LLMClient.stream`` raises before anything is sent, later the
    ``StreamError`` that ended the stream. Leaving the loop early ends the stream.
    """
    is_given = client is not None
    if client is None:
        client = LLMClient(
            model_name,
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            transport=_TRANSPORT,
        )
    elif (model_name, api_key, base_url, extra_headers) != (client.model, None, None, None):
        message = "with client=, give model_name as client.model, and no key, URL or headers"
        raise ValueError(message)
    stream = client.open_stream(
        prompt,
        handlers=handlers,
        tools=tools,
        tool_choice=tool_choice,
        response_format=response_format,
        # The client has sampling parameters of its own.
        sampling_params=None
        if is_given and sampling_params is _DEFAULT_PARAMS
        else sampling_params,
        extra_body=extra_body,
        timeouts=timeouts,
        tags=tags,
    )
    del client
    # Without a generator inside of this one: of two that are collected together, each would be closed
    # by the event loop, and by the other.
    queue = TokenQueue(stream)
    tokens = queue.tokens
    try:
        while await queue.more():
            while tokens:
                token = tokens.popleft()
                if token.choice == 0:
                    yield token.text
        outcome = stream.result()
    finally:
        queue.close()
        try:
            await stream.aclose()
        finally:
            del stream, queue
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
    yield outcome
