"""``stream_chat``: a stream as an async generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_deluge.api_requests.clients import DEFAULT_PARAMS, asker
from lm_deluge.client.client import LLMClient
from lm_deluge.client.options import ChatOptions
from lm_deluge.config import SamplingParams
from lm_deluge.errors import StreamError
from lm_deluge.observers.loops import TokenQueue
from lm_deluge.values.conversation import Prompt
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["stream_chat"]


async def stream_chat(
    model_name: str,
    prompt: Prompt,
    sampling_params: SamplingParams = DEFAULT_PARAMS,
    tools: Sequence[Mapping[str, Any]] | None = None,
    extra_headers: Mapping[str, str] | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    tags: Mapping[str, Any] | None = None,
    client: LLMClient | None = None,
    **options: Unpack[ChatOptions],
) -> AsyncGenerator[str | APIResponse, None]:
    """Yield the answer's tokens as ``str`` as they arrive, then one ``APIResponse``.

    The arguments are those of ``LLMClient`` and the options of ``LLMClient.stream``, by keyword those of
    ``ChatOptions``. ``client``: take the connections and settings of this one; then only the
    options of ``stream`` may be given beside it. With ``n > 1`` choice 0 is yielded; ``handlers``
    hear all of them.

    Raises at the first step what ``LLMClient.stream`` raises before anything is sent, later the
    ``StreamError`` that ended the stream. Leaving the loop early ends the stream.
    """
    client, params = asker(
        LLMClient,
        client,
        model_name,
        sampling_params,
        options,
        api_key=api_key,
        base_url=base_url,
        extra_headers=extra_headers,
    )
    stream = client.open_stream(prompt, tools=tools, sampling_params=params, tags=tags, **options)
    del client
    # Without a generator inside of this one: of two that are collected together, each would be closed
    # by the event loop, and by the other.
    queue = TokenQueue(stream)
    tokens = queue.items
    try:
        while await queue.more():
            while tokens:
                token = tokens.popleft()
                if token.choice == 0:
                    yield token.text
        outcome = stream.result()
    finally:
        try:
            await queue.leave()
        finally:
            del stream, queue
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
    yield outcome
