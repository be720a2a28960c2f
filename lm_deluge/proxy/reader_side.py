"""A connection of an app: its requests are read, checked and passed on, one after the other.

Nothing here is a task but opening a connection: bytes pass in the turn of the loop in which they came.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final

from lm_deluge.errors import APIConnectionError
from lm_deluge.proxy.admission import RefusedError, admit, refused
from lm_deluge.proxy.endings import has_left, reset_when_sent
from lm_deluge.proxy.framing import FramingError
from lm_deluge.proxy.headers import forwarded_request
from lm_deluge.proxy.heads import (
    BadRequestHead,
    find_request_end,
)
from lm_deluge.proxy.passing import Passing, told
from lm_deluge.proxy.pretending import PretendedSide
from lm_deluge.proxy.shared import Shared
from lm_deluge.proxy.upstream_side import UpstreamSide

__all__ = ["ReaderSide"]

#: Bytes of a reader's that wait for their turn: behind a request that is not answered yet, or for a
#: connection.
_HIGH_WATER: Final = 64 << 10

#: Seconds between two looks at whether a reader is still there that is not read from.
_LOOK: Final = 0.25

#: Seconds that a reader which was refused may go on sending; closing under it would reset what it was told.
_LINGER: Final = 2.0


class ReaderSide(asyncio.Protocol):
    """One connection of an app, and the one behind it to the upstream of its requests.

    Both live and end together: an app that keeps connections for later finds them as open as its upstream's.
    """

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
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

    def connection_made(self, transport: Any) -> None:
        """See ``asyncio.Protocol``."""
        self.transport = transport
        name = transport.get_extra_info("sockname")
        self._reached = name[0] if isinstance(name, tuple) else ""
        self._shared.readers.add(self)
        self._shared.none_left.clear()
        if self._shared.is_closing:
            transport.abort()
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        passing = self._passing
        if self._is_done:
            return
        if passing is None:
            known = len(self._held)
            self._held += data
            self._next(known)
        elif passing.is_tunnel:
            self._to_upstream(data)
        elif self._dialling is not None and not passing.sent:
            passing.waiting.append(data)
            self._regulate()
        elif not passing.sent:
            self._pass_body(passing, data)
        else:
            self._held += data
            self._regulate()

    def eof_received(self) -> bool:
        """See ``asyncio.Protocol``."""
        passing = self._passing
        if passing is not None and passing.is_tunnel and self._upstream is not None:
            self._upstream.write_eof()
            return True
        if passing is not None:
            self._left(None)
            self.transport.abort()
        else:
            self._drop()
        return False

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

    # -- called by the upstream's side

    def answer_is_whole(self, *, keep: bool) -> None:
        """See ``Before``."""
        passing = self._passing
        assert passing is not None
        passing.answered = True
        passing.keep = passing.keep and keep
        if passing.sent or not keep:
            self._over()

    def tunnel_is_open(self) -> None:
        """See ``Before``."""
        held = bytes(self._held)
        self._held.clear()
        self._to_upstream(held)

    def upstream_is_gone(self, error: BaseException | None) -> None:
        """See ``Before``."""
        self._upstream = None
        passing, self._passing = self._passing, None
        if error is None:
            self._close(lingers=passing is not None and not passing.sent)
        elif not self._is_done:
            self._drop()
            reset_when_sent(self.transport)

    def upstream_is_full(self, *, is_full: bool) -> None:
        """See ``Before``."""
        self._is_full = is_full
        self._regulate()

    # -- requests

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._shared.head_timeout, self._is_too_slow)

    def _is_too_slow(self) -> None:
        self._timer = None
        if self._held:
            seconds = f"{self._shared.head_timeout:g} s"
            self._refuse(refused(None, 408, f"no head of a request came in within {seconds}"))
        else:
            self._close()

    def _next(self, known: int = 0) -> None:
        """Begin with the next request, if its head is there. ``known``: bytes that were looked at before."""
        if self._passing is not None or self._is_done:
            return
        held = self._held
        while held[:2] == b"\r\n":  # RFC 9112, section 2.2
            del held[:2]
            known = 0
        if not held:
            return
        self._wait_for_head()
        try:
            end = find_request_end(held, known)
            if end is None:
                return
            head, rest = bytes(held[:end]), bytes(held[end:])
            held.clear()
            passing = admit(self._shared, head, self._reached)
        except BadRequestHead as error:
            self._refuse(refused(None, error.status, str(error)))
            return
        except RefusedError as error:
            self._refuse(error.reply)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._begin(passing, rest)

    def _begin(self, passing: Passing, rest: bytes) -> None:
        """Pass a request on. ``rest``: what came behind its head."""
        self._passing = passing
        if rest or passing.framing.done:
            passing.waiting.append(rest)
        upstream, fault = self._upstream, passing.fault
        if fault is not None and fault.is_early:
            if upstream is not None:
                upstream.leave()
            self._upstream = PretendedSide(self, passing, fault)
            told(passing.exchange.asked, 0.0)
            self._pass_waiting(passing)
            return
        if (
            isinstance(upstream, UpstreamSide)
            and upstream.is_usable
            and upstream.origin == passing.route.upstream.origin
        ):
            self._ask(passing, upstream, 0.0)
            return
        if upstream is not None:
            upstream.leave()
            self._upstream = None
        self._dialling = self._loop.create_task(self._dial(passing))

    async def _dial(self, passing: Passing) -> None:
        began = perf_counter()
        upstream = UpstreamSide(self, passing.route.upstream.origin)
        try:
            dialled = await self._shared.dialer.dial(upstream.origin, upstream)
        except (APIConnectionError, ValueError, ImportError) as error:
            self._dialling = None
            passing.ended("unreachable", error)
            self._refuse(refused(passing.first, 502, str(error)))
            return
        self._dialling = None
        upstream.adopt(dialled)
        if self._passing is not passing:
            upstream.leave()
            return
        self._upstream = upstream
        self._is_full = False
        if self._is_slow:
            upstream.pause()
        self._ask(passing, upstream, perf_counter() - began)

    def _ask(self, passing: Passing, upstream: UpstreamSide, connected: float) -> None:
        dialled = upstream.dialled
        assert dialled is not None
        head = forwarded_request(
            passing.first,
            passing.fields,
            target=dialled.before_path + passing.route.target,
            host=passing.route.upstream.host,
            dropped=self._shared.dropped,
            authorization=dialled.authorization,
        )
        upstream.ask(passing, head)
        told(passing.exchange.asked, connected)
        self._pass_waiting(passing)

    def _pass_waiting(self, passing: Passing) -> None:
        waiting, passing.waiting = passing.waiting, []
        if waiting:
            self._pass_body(passing, b"".join(waiting))
        self._regulate()

    def _pass_body(self, passing: Passing, data: bytes) -> None:
        try:
            content, used = passing.framing.feed(data)
        except FramingError as error:
            passing.ended("cut by us", error)
            self._refuse(refused(passing.first, 400, str(error)))
            return
        self._to_upstream(data if used == len(data) else data[:used])
        if content:
            told(passing.exchange.sent, content)
        if passing.framing.done:
            passing.sent = True
            told(passing.exchange.sent, b"")
            self._held += data[used:]
            if self._upstream is not None:
                self._upstream.request_is_whole()
            if passing.answered:
                self._over()

    def _to_upstream(self, data: bytes) -> None:
        if data and self._upstream is not None:
            self._upstream.write(data)

    def _over(self) -> None:
        """The answer is whole, and so is the request, or nobody takes the rest of it."""
        passing, self._passing = self._passing, None
        assert passing is not None
        if not passing.keep or self._shared.is_closing:
            self._close(lingers=not passing.sent)
            return
        self._regulate()
        if self._held:
            self._loop.call_soon(self._next)

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
