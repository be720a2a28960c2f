"""The three things that are asked of a relay over HTTP: read, resume, stop. Frameworks only carry them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import frozen

from lm_deluge_plugins.relay.adapters.asking import (
    Refusal,
    asked_after,
    cors_headers,
    refuse_origin,
)
from lm_deluge_plugins.relay.formats import Encoder, encoder_of
from lm_deluge_plugins.relay.formats.shared import SharedEncoder
from lm_deluge_plugins.relay.readers import Peer
from lm_deluge_plugins.relay.relay import Relay
from lm_deluge_plugins.relay.stores.store import StoreError, UnknownStreamError

__all__ = ["RelayRequest", "serve", "stop"]


@frozen
class RelayRequest:
    """A request: ``request`` is the framework's own, for ``authorize``."""

    request: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]


async def serve(
    relay: Relay,
    asked: RelayRequest,
    stream_id: str,
    wire: str | Encoder,
    begin: Callable[[Mapping[str, str]], Awaitable[Peer]],
    *,
    is_new: bool = False,
) -> None:
    """Answer a reader. ``begin(headers)`` sends the head of a 200 and returns the connection.

    ``is_new``: the stream was published for this request, so that nobody need be asked. Raises ``Refusal``:
    204 where nothing is to be read, 400, 403, 503 where the store cannot be asked.
    """
    encoder = encoder_of(wire)
    refuse_origin(asked.headers, relay.allowed_origins)
    after = asked_after(asked.headers, asked.query) if encoder.is_resumable else 0
    try:
        if not is_new:
            stream_id = await relay.store.named(stream_id) or stream_id
            if not await relay.may(asked.request, stream_id):
                raise Refusal(403, "this stream is not yours")
        reading = await relay.store.open(stream_id, after)
    except (UnknownStreamError, ValueError):
        raise Refusal(204) from None
    except StoreError as error:
        raise Refusal(503, str(error)) from error
    # One that is ahead of a running log waits: here it may lack what another machine has told already.
    if reading.has_nothing:
        await relay.store.close_reading(stream_id, reading)
        raise Refusal(204)
    headers = {
        **encoder.headers,
        **cors_headers(asked.headers, relay.allowed_origins),
        "x-stream-id": stream_id,
    }
    try:
        peer = await begin(headers)
    except BaseException:
        await relay.store.close_reading(stream_id, reading)
        raise
    if isinstance(wire, str) and not encoder.is_resumable:
        encoder = reading.kept.setdefault(wire, SharedEncoder(encoder))
    await relay.readers.serve(relay.store, stream_id, reading, encoder, peer)


async def stop(relay: Relay, asked: RelayRequest, stream_id: str) -> bool:
    """Stop a stream; whether it was running. Raises ``Refusal``."""
    refuse_origin(asked.headers, relay.allowed_origins)
    try:
        stream_id = await relay.store.named(stream_id) or stream_id
        if not await relay.may(asked.request, stream_id):
            raise Refusal(403, "this stream is not yours")
        return await relay.stop(stream_id)
    except ValueError:
        return False
    except StoreError as error:
        raise Refusal(503, str(error)) from error
