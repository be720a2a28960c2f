"""A connection of an app: its requests are read, checked and passed on, one after the other.

Nothing here is a task but opening a connection: bytes pass in the turn of the loop in which they came.
"""

from __future__ import annotations

import contextlib
from time import perf_counter
from typing import Any, Final

from lm_deluge.errors import APIConnectionError
from lm_deluge.proxy.admission import RefusedError, admit
from lm_deluge.proxy.app_connection import AppConnection
from lm_deluge.proxy.endings import reset_when_sent
from lm_deluge.proxy.framing import FramingError, Sized
from lm_deluge.proxy.headers import expects_continue, forwarded_request
from lm_deluge.proxy.heads import (
    BadRequestHead,
    find_request_end,
)
from lm_deluge.proxy.keeping import KeptBody
from lm_deluge.proxy.passing import Passing
from lm_deluge.proxy.pretending import PretendedSide
from lm_deluge.proxy.refusals import refused
from lm_deluge.proxy.upstream_side import UpstreamSide
from lm_deluge.proxy.usage import may_ask, with_length, with_usage

__all__ = ["ReaderSide"]

#: What a server says to who waits with his body; nobody else says it where none is asked.
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ReaderSide(AppConnection):
    """One connection of an app, and the one behind it to the upstream of its requests.

    Both live and end together: an app that keeps connections for later finds them as open as its upstream's.
    """

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
            self._held += data
            self._next()
        elif passing.is_tunnel:
            self._to_upstream(data)
        elif self._dialling is not None and not passing.sent:
            passing.waiting.append(data)
            self._regulate()
        elif self._collected is not None:
            self._collect(passing, data)
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
        if (
            passing is not None
        ):  # told by its upstream's side, unless it was gone before it was asked
            passing.ended("unreachable", error)
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

    def _next(self) -> None:
        """Begin with the next request, if its head is there."""
        if self._passing is not None or self._is_done:
            return
        held = self._held
        while held[:2] == b"\r\n":  # RFC 9112, section 2.2
            del held[:2]
            self._looked = 0
        if not held:
            return
        self._wait_for_head()
        try:
            end = find_request_end(held, self._looked)
            self._looked = len(held) if end is None else 0
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
        if (
            self._shared.asks_usage
            and passing.route.dialect == "chat"
            and may_ask(passing.first, passing.fields, passing.framing)
        ):
            self._collected = KeptBody(self._shared.watcher.keeping)
            self._collect(passing, rest)
            return
        self._start(passing, rest)

    def _collect(self, passing: Passing, data: bytes) -> None:
        """Hold the body of a request until it is whole, and pass it on with a word more.

        Where there is no room for it, it goes on as it is.
        """
        collected, framing = self._collected, passing.framing
        assert collected is not None
        assert isinstance(framing, Sized)
        if not collected.add(data):
            self._collected = None
            so_far = collected.take()
            collected.let_go()
            self._start(passing, so_far + data)
            return
        if len(collected) < framing.left:
            return
        self._collected, passing.kept = None, collected
        whole = collected.take()
        body, rest = whole[: framing.left], whole[framing.left :]
        asking = with_usage(body)
        passing.fields = with_length(passing.fields, len(asking))
        passing.framing = Sized(len(asking))
        self._start(passing, asking + rest)

    def _start(self, passing: Passing, rest: bytes) -> None:
        if rest or passing.framing.done:
            passing.waiting.append(rest)
        upstream, fault = self._upstream, passing.fault
        if fault is not None and fault.is_early:
            if upstream is not None:
                upstream.leave()
            self._upstream = PretendedSide(self, passing, fault)
            if not rest and expects_continue(passing.first, passing.fields):
                self.transport.write(_CONTINUE)
            passing.was_asked(0.0)
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
            _tell_waiting(passing)
            passing.ended("unreachable", error)
            self._refuse(refused(passing.first, 502, str(error)))
            return
        except Exception as error:
            # A mistake of ours: the app must not wait for ever, and its words may hold anything.
            self._dialling = None
            passing.ended("unreachable", error)
            self._refuse(refused(passing.first, 502, "no connection was to be had"))
            raise
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
        passing.was_asked(connected)
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
            passing.has_sent(content)
        if passing.framing.done:
            passing.sent = True
            passing.has_sent(b"")
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


def _tell_waiting(passing: Passing) -> None:
    """Tell of a body that has come and goes nowhere: it says what was asked for."""
    waiting, passing.waiting = passing.waiting, []
    with contextlib.suppress(FramingError):
        content, _ = passing.framing.feed(b"".join(waiting))
        if content:
            passing.has_sent(content)
