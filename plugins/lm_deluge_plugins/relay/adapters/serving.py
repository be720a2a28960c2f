"""What is asked of a relay over HTTP: read, resume, stop, hear what was seen. Frameworks only carry it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

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
from lm_deluge_plugins.relay.seen.beacons import MOST_BYTES, RefusedBeaconError
from lm_deluge_plugins.relay.stores.store import StoreError, UnknownStreamError

__all__ = ["RelayRequest", "seen", "serve", "stop"]


#: Seconds within which a beacon is to be here; browsers send theirs at once.
_PATIENCE: Final = 10.0


@frozen
class RelayRequest:
    """A request: ``request`` is the framework's own, for ``authorize``.

    ``came``: when it did, seconds since the epoch.
    """

    request: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]
    came: float = field(factory=lambda: time.time())


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
    if relay.seen.is_wanted:
        # By which a browser finds how its clock differs: when the request came, and the answer went.
        headers["x-stream-clock"] = "{:.6f} {:.6f}".format(*_clock(asked))
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


async def seen(
    relay: Relay, asked: RelayRequest, stream_id: str, read: Callable[[int], Awaitable[bytes]]
) -> list[float]:
    """Take what a browser saw; return when the request came and the answer went, seconds since the epoch.

    ``read(most)`` returns the request's body, or more than ``most`` bytes of it. Raises ``Refusal``.
    """
    try:
        refuse_origin(asked.headers, relay.allowed_origins)
    except Refusal:
        relay.seen.refuse("other origin")
        raise
    if not relay.seen.is_wanted:
        raise Refusal(404, "nobody wants to know what was seen here: Relay(seen=...)")
    try:
        stream_id = await relay.store.named(stream_id) or stream_id
        if not await relay.may(asked.request, stream_id):
            relay.seen.refuse("not allowed")
            raise Refusal(403, "this stream is not yours")
        body = await _body(relay, read)
        await relay.seen.take(relay.store, stream_id, body, now=asked.came)
    except RefusedBeaconError as error:
        status = 413 if error.reason == "too large" else 400
        raise Refusal(status, f"refused: {error.reason}") from None
    except (UnknownStreamError, ValueError):
        relay.seen.refuse("unknown stream")
        raise Refusal(404, "refused: unknown stream") from None
    except StoreError as error:
        relay.seen.refuse("no store")
        raise Refusal(503, str(error)) from error
    return _clock(asked)


async def _body(relay: Relay, read: Callable[[int], Awaitable[bytes]]) -> bytes:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await read(MOST_BYTES)
    except (
        Exception
    ) as error:  # the framework's own, of a body that is cut, or packed in a wrong way
        relay.seen.refuse("no body")
        raise Refusal(400, "refused: no body") from error


def _clock(asked: RelayRequest) -> list[float]:
    return [round(asked.came, 6), round(time.time(), 6)]
