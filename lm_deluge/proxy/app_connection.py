"""A connection of an app: what is held for it, when it is read from, and how it is let go."""

from __future__ import annotations

import asyncio
from typing import Final

from lm_deluge.proxy.endings import has_left
from lm_deluge.proxy.keeping import KeptBody
from lm_deluge.proxy.passing import Passing
from lm_deluge.proxy.pretending import PretendedSide
from lm_deluge.proxy.shared import Shared
from lm_deluge.proxy.upstream_side import UpstreamSide

__all__ = ["AppConnection"]

#: Bytes of a reader's that wait for their turn: behind a request that is not answered yet, or for a
#: connection.
_HIGH_WATER: Final = 64 << 10

#: Seconds between two looks at whether a reader is still there that is not read from.
_LOOK: Final = 0.25

#: Seconds that a reader which was refused may go on sending; closing under it would reset what it was told.
_LINGER: Final = 2.0


class AppConnection(asyncio.Protocol):
    """One connection of an app. What its requests are is ``ReaderSide``'s business."""

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        # What came and was not passed on; how much of it was looked at for the end of a head.
        self._held = bytearray()
        self._looked = 0
        # A body that is held until it is whole.
        self._collected: KeptBody | None = None
        self._passing: Passing | None = None
        self._upstream: UpstreamSide | PretendedSide | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._reached = ""
        self._is_paused = False
        # Its upstream takes no more for now; the reader takes no more.
        self._is_full = False
        self._is_slow = False
        # Nothing that comes in is read any more.
        self._is_done = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is on its way."""
        return self._passing is None

    def finish(self) -> None:
        """Close it when the request that is on its way is answered; at once if none is."""
        if self._passing is None and not self._is_done:
            self._close()

    def cut(self) -> None:
        """Break it now."""
        if self._passing is not None:
            self._passing.ended("cut by us")
        self._drop()
        self.transport.abort()

    # -- called by the connection

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._left(exc)
        self._shared.readers.discard(self)
        if not self._shared.readers:
            self._shared.none_left.set()

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._is_slow = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._is_slow = False
        if self._upstream is not None:
            self._upstream.resume()

    # -- endings

    def _refuse(self, reply: bytes) -> None:
        """Answer with an error of ours, unless an answer has begun, and close."""
        passing, self._passing = self._passing, None
        if passing is not None and passing.begun:
            self._drop()
            self.transport.abort()
            return
        self.transport.write(reply)
        self._close(lingers=True)

    def _close(self, *, lingers: bool = False) -> None:
        """Close it when all that was written is sent. ``lingers``: the reader may still be sending."""
        if self._is_done:
            return
        self._drop()
        if lingers and self.transport.can_write_eof():
            self.transport.write_eof()
            if self._is_paused:
                self._is_paused = False
                self.transport.resume_reading()
            self._timer = self._loop.call_later(_LINGER, self.transport.close)
        else:
            self.transport.close()

    def _left(self, error: BaseException | None) -> None:
        """The reader is gone."""
        passing, self._passing = self._passing, None
        if passing is not None:
            passing.ended("reader left", error)
        self._drop()

    def _drop(self) -> None:
        """Let go of all but the reader's own connection."""
        self._is_done = True
        self._held.clear()
        if self._collected is not None:
            self._collected.let_go()
            self._collected = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._upstream is not None:
            self._upstream.leave()
            self._upstream = None

    def _regulate(self) -> None:
        """Take in as much as can be passed on."""
        waits = len(self._held)
        if self._passing is not None:
            waits += sum(map(len, self._passing.waiting))
        is_paused = self._is_full or waits > _HIGH_WATER
        if is_paused == self._is_paused or self.transport.is_closing():
            return
        self._is_paused = is_paused
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if is_paused:
            self.transport.pause_reading()
            self._looking = self._loop.call_later(_LOOK, self._look)
        else:
            self.transport.resume_reading()

    def _look(self) -> None:
        """See whether the reader has left: what is not read tells of no end."""
        self._looking = None
        if not self._is_paused or self._is_done:
            return
        if has_left(self.transport):
            self._left(None)
            self.transport.abort()
        else:
            self._looking = self._loop.call_later(_LOOK, self._look)
