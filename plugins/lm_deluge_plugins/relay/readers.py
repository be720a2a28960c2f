"""Readers' connections: frames to bytes, heartbeats, and peers that take nothing."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import Protocol

from attrs import define

from lm_deluge_plugins.relay.formats.format import Encoder
from lm_deluge_plugins.relay.stores.log import Reading
from lm_deluge_plugins.relay.stores.store import Store, StoreError

__all__ = ["Peer", "Readers"]

#: Seconds after which a connection that is gone is noticed, where nothing is written to it.
_LOOK = 1.0


class Peer(Protocol):
    """The connection of one reader."""

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the connection takes none. ``ConnectionError`` when it is gone."""

    def is_gone(self) -> bool:
        """Whether nobody is there any more."""
        ...

    def abort(self) -> bool:
        """Close it at once, whatever is still to be sent; whether a ``write`` that waits ends by that."""
        ...


@define(eq=False)
class _OpenReader:
    peer: Peer
    reading: Reading
    task: asyncio.Task[object]
    #: When it was last written to, or the write that waits began.
    since: float
    is_writing: bool = False


class Readers:
    """Serves logs to peers. One task looks after all of them: nothing is timed for each piece.

    ``heartbeat``, ``send_timeout``: seconds; see ``Relay``.
    """

    def __init__(self, *, heartbeat: float, send_timeout: float) -> None:
        self.heartbeat = heartbeat
        self.send_timeout = send_timeout
        self._readers: set[_OpenReader] = set()
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._readers)

    async def serve(
        self, store: Store, stream_id: str, reading: Reading, encoder: Encoder, peer: Peer
    ) -> None:
        """Write a log to a peer until its ending, or until the peer is gone; closes the reading.

        Where the store fails, the peer is told in the format's own way.
        """
        task = asyncio.current_task()
        assert task is not None
        reader = _OpenReader(peer, reading, task, monotonic())
        self._readers.add(reader)
        self._look_after()
        try:
            await self._write_all(reader, encoder)
        except StoreError as error:
            with contextlib.suppress(ConnectionError):
                await self._write(reader, encoder.unavailable(str(error)))
        except ConnectionError:
            pass
        finally:
            self._readers.discard(reader)
            # What was begun is ended, whatever happens to the task of a request.
            closing = asyncio.ensure_future(store.close_reading(stream_id, reading))
            await asyncio.shield(closing)

    async def _write_all(self, reader: _OpenReader, encoder: Encoder) -> None:
        reading = reader.reading
        while not reading.is_done:
            frames = reading.take()
            if frames:
                data = b"".join([encoder.encode(frame) for frame in frames])
                if data:
                    await self._write(reader, data)
                continue
            if reader.peer.is_gone():
                raise ConnectionResetError("the reader is gone")
            if monotonic() - reader.since >= self.heartbeat:
                await self._write(reader, encoder.heartbeat())
                continue
            await reading.wait()

    async def _write(self, reader: _OpenReader, data: bytes) -> None:
        reader.since, reader.is_writing = monotonic(), True
        try:
            await reader.peer.write(data)
        finally:
            reader.is_writing = False

    def close(self) -> None:
        """Close all connections at once."""
        for reader in tuple(self._readers):
            _end(reader)

    def _look_after(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(
                self._look(), name="lm_deluge relay readers"
            )

    async def _look(self) -> None:
        try:
            while self._readers:
                await asyncio.sleep(min(_LOOK, self.heartbeat / 2, self.send_timeout / 2))
                now = monotonic()
                for reader in tuple(self._readers):
                    silent = now - reader.since
                    if reader.is_writing:
                        if silent >= self.send_timeout:
                            _end(reader)
                    elif silent >= self.heartbeat or reader.peer.is_gone():
                        reader.reading.nudge()
        finally:
            self._looking = None


def _end(reader: _OpenReader) -> None:
    if reader.peer.abort():
        reader.reading.nudge()
    else:
        reader.task.cancel()
