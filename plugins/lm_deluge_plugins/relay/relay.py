"""``Relay``: from streams to readers, and back from readers to streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from lm_deluge import Stream, attach
from lm_deluge.config import checked_number
from lm_deluge.errors import StreamError
from lm_deluge_plugins.relay.items import plain_words
from lm_deluge_plugins.relay.paced import PacedPublication
from lm_deluge_plugins.relay.policy import POLICIES, OnDisconnect
from lm_deluge_plugins.relay.publication import Publication
from lm_deluge_plugins.relay.readers import Readers
from lm_deluge_plugins.relay.seen.sightings import HearsSights, Sightings
from lm_deluge_plugins.relay.stores.memory import MemoryStore
from lm_deluge_plugins.relay.stores.store import Store
from lm_deluge_plugins.smooth.handler import checked_delay

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Authorize", "Relay"]

#: Asked with the framework's own request and a stream's id: whether whoever asks may have that stream.
Authorize: TypeAlias = Callable[[Any, str], bool | Awaitable[bool]]


class Relay:
    """Publishes streams and serves them to readers, who may come late, come back, or be many.

    ``store``: where frames are; ``None``: a ``MemoryStore``. ``on_disconnect``: what happens to a stream
    that has had no reader for ``grace`` seconds: ``"cancel"``, or ``"continue"``. ``heartbeat``: seconds
    of silence after which readers are sent a comment, so that proxies keep the connection.
    ``send_timeout``: seconds that a reader may take nothing before its connection is closed; it may come
    back. ``authorize(request, stream_id)``: whether whoever asks may read a stream, stop it or tell what
    was seen of it, plain or ``async``; ``None``: whoever knows its id, which cannot be guessed.
    ``allowed_origins``: pages of other origins that may do so (``"https://app.example"``).
    ``words(error)``: what readers are told of an error; the default says nothing of what the provider
    said. ``seen``: hears what readers' browsers saw when (``lm_deluge.js`` tells): a ``FileLogger``, any
    object with ``on_seen(sight)``, or a function of a ``Sight``, plain or ``async``; ``None``: browsers are
    not asked to tell. ``smooth``: seconds, 0.05 to 0.4, for which text may be held back so that
    readers get it as a steady flow of words (``Smooth``; needs the extra ``smooth``); ``None``: as it comes.
    Not together with ``seen``, which is about the pieces as they came.

    The attribute ``seen`` counts what browsers told: ``seen.taken``, and ``seen.refused`` by reason.

    Raises ``TypeError`` or ``ValueError`` naming the argument that makes no sense.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        on_disconnect: OnDisconnect = "cancel",
        grace: float = 5.0,
        heartbeat: float = 15.0,
        send_timeout: float = 30.0,
        authorize: Authorize | None = None,
        allowed_origins: Sequence[str] = (),
        words: Callable[[StreamError], str] = plain_words,
        seen: HearsSights | None = None,
        smooth: float | None = None,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self.on_disconnect: OnDisconnect = _checked_policy(on_disconnect)
        seconds = "a number of seconds,"
        self.grace = float(checked_number("grace", grace, 0, unit=seconds))
        self.readers = Readers(
            heartbeat=float(checked_number("heartbeat", heartbeat, 0, above=True, unit=seconds)),
            send_timeout=float(
                checked_number("send_timeout", send_timeout, 0, above=True, unit=seconds)
            ),
        )
        self.authorize = authorize
        self.allowed_origins = _checked_origins(allowed_origins)
        self.seen = Sightings(seen)
        self._words = words
        self._smooth = _checked_delay(smooth, is_seen=seen is not None)

    async def publish(
        self,
        stream: Stream,
        *,
        key: str | None = None,
        on_disconnect: OnDisconnect | None = None,
    ) -> str:
        """Start a stream and write its log; return the id by which it is read, the stream's.

        ``key``: a name of the app's own (a chat's id) that stands for this stream from now on.
        ``on_disconnect``: instead of the relay's.
        """
        publication = self._publication(stream.id, on_disconnect, is_open_ended=False)
        attach(publication, stream)
        # Whoever reads the log hears how it ended; nobody awaits the stream.
        stream.start()
        await publication.begin()
        if key is not None:
            await self.store.name(key, stream.id)
        return stream.id

    @asynccontextmanager
    async def publication(
        self,
        publication_id: str,
        *,
        key: str | None = None,
        on_disconnect: OnDisconnect | None = None,
    ) -> AsyncGenerator[Publication]:
        """Write one log of several streams, the steps of one answer::

            async with relay.publication(uuid4().hex) as publication:
                await client.run_tools(prompt, tools=[...], handlers=[publication])

        ``publication_id``: by which it is read; unguessable, unless ``authorize`` is given. An exception
        that leaves the block is the log's ending, and goes on.
        """
        publication = self._publication(publication_id, on_disconnect, is_open_ended=True)
        await publication.begin()
        if key is not None:
            await self.store.name(key, publication_id)
        try:
            yield publication
        except BaseException as error:
            await publication.fail(error)
            raise
        await publication.finish()

    async def stop(self, stream_id: str, reason: str = "the reader stopped it") -> bool:
        """End a stream, wherever it runs, as ``StreamCancelled``; whether it was running."""
        return await self.store.stop(stream_id, reason)

    async def close(self) -> None:
        """End all readers' connections and let go of the store's."""
        self.readers.close()
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def may(self, request: Any, stream_id: str) -> bool:
        """Whether whoever sent a request may have a stream."""
        if self.authorize is None:
            return True
        answer = self.authorize(request, stream_id)
        return bool(await answer if isawaitable(answer) else answer)

    def _publication(
        self, publication_id: str, on_disconnect: OnDisconnect | None, *, is_open_ended: bool
    ) -> Publication:
        policy = self.on_disconnect if on_disconnect is None else _checked_policy(on_disconnect)
        settings: dict[str, Any] = {
            "words": self._words,
            "on_disconnect": policy,
            "grace": self.grace,
            "is_open_ended": is_open_ended,
        }
        if self._smooth is None:
            return Publication(self.store, publication_id, **settings)
        return PacedPublication(self.store, publication_id, max_delay=self._smooth, **settings)


def _checked_delay(value: float | None, *, is_seen: bool) -> float | None:
    if value is None:
        return None
    if is_seen:
        raise ValueError(
            "smooth cuts text anew, and seen tells of the pieces as they came: give one of the two"
        )
    return checked_delay("smooth", value)


def _checked_policy(value: OnDisconnect) -> OnDisconnect:
    if value not in POLICIES:
        raise ValueError(f"on_disconnect must be one of {', '.join(POLICIES)}, not {value!r}")
    return value


def _checked_origins(value: Sequence[str]) -> frozenset[str]:
    if isinstance(value, str):
        raise TypeError("allowed_origins must be a list of origins, not a string")
    for origin in value:
        if not isinstance(cast("object", origin), str) or not origin.startswith(
            ("http://", "https://")
        ):
            raise ValueError(f"an allowed origin is like https://app.example, not {origin!r}")
        if origin.count("/") != 2:
            raise ValueError(f"an allowed origin ends with its host or port, not {origin!r}")
    return frozenset(value)
