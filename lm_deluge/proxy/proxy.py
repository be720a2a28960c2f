"""``Proxy``: apps are given its address as their base URL, and who listens hears of every stream."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lm_deluge.http.dialling import Dialer
from lm_deluge.proxy.faults import FaultDice
from lm_deluge.proxy.guards import Guard
from lm_deluge.proxy.reader_side import ReaderSide
from lm_deluge.proxy.routes import Routes, Upstream
from lm_deluge.proxy.shared import Shared
from lm_deluge.proxy.watcher import Watcher
from lm_deluge.servers.entering import Entered
from lm_deluge.values.checks import checked_flag, checked_integer, checked_number, checked_text

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.recording import Recorder
    from lm_deluge.simulator import Fault

__all__ = ["Proxy"]

#: Turns of the loop in which a connection that was accepted just now is made.
_TURNS_UNTIL_MADE: Final = 4

#: Seconds that handlers may take for the endings of streams that were cut, at most, when a proxy is closed.
_CLOSING: Final = 10.0


class Proxy(Entered):
    """A pass-through that watches: what it passes on is what would have come without it.

    >>> async with Proxy(handlers=[FileLogger("timelines.jsonl")]) as proxy:  # doctest: +SKIP
    ...     app = subprocess.run(["node", "app.js"], env={"OPENAI_BASE_URL": proxy.base_url})

    Every streamed answer is a ``Stream``: handlers hear ``on_start``, its pieces and exactly one ending, as
    those of a client do. Without ``async`` it runs on a thread of its own; handlers are then called on that,
    and its methods can be called from any thread and awaited in any event loop (``run`` awaits one for a
    caller that has none).

    Arguments:
        upstream: where requests go: the URL that the app would have been given as its base URL. If it has a
            path, the proxy's ``/v1`` stands for it; else paths pass unchanged. ``None``: to OpenAI,
            Anthropic and Gemini, by path.
        named: further upstreams: ``{"groq": URL}`` is reached under ``/groq/…``.
        handlers: as those of ``LLMClient``; they hear every stream.
        tags: of every stream, for ``lm-deluge report --by``.
        body_tags: whether a request's ``metadata`` and ``user`` become tags of its stream.
        ask_usage: whether chats that stream are made to ask for usage, which apps seldom do: the one thing
            that is changed on the way, and the app gets one event more.
        record: a file of recordings that every stream's raw bytes go into.
        faults: what goes wrong on purpose with streamed answers: the simulator's names with a share, as
            ``"eof:3@5%"``; at most one for each request, those without a share in equal parts the rest.
        host: the address to listen on.
        port: 0 takes a free one.
        allow_remote: needed to listen on an address that other machines reach.
        allow_hosts: further names by which apps may call the proxy, as that of its container.
        head_timeout: seconds in which the head of a request has to come in. Nothing else is limited: a model
            may think for as long as its app waits.

    Attributes:
        routes: the upstreams.

    Raises:
        TypeError, ValueError: an argument makes no sense; the message names it.
    """

    _kind = "proxy"

    def __init__(
        self,
        upstream: str | None = None,
        *,
        named: Mapping[str, str] | None = None,
        handlers: Sequence[object] = (),
        tags: Mapping[str, Any] | None = None,
        body_tags: bool = False,
        ask_usage: bool = False,
        record: Recorder | None = None,
        faults: Sequence[str | Fault] | str | Fault = (),
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        allow_hosts: Iterable[str] = (),
        head_timeout: float = 30.0,
    ) -> None:
        self._host: Final[str] = checked_text("host", host)
        self._port: Final = checked_integer("port", port, low=0, high=65535)
        if not checked_flag("allow_remote", allow_remote) and not _is_loopback(host):
            raise ValueError(
                f"host: other machines reach {host!r}, and whoever reaches the proxy can use the keys that "
                "upstreams trust it for; allow_remote=True (--allow-remote) says that they may"
            )
        own = () if _is_any(host) else (host,)
        self._guard: Final = Guard((*own, *_names(allow_hosts)))
        self.routes: Final = Routes(upstream, named)
        self._head_timeout: Final = checked_number("head_timeout", head_timeout, low=0, above=True)
        self._watcher: Final = Watcher(handlers, tags=tags, body_tags=body_tags, record=record)
        self._asks_usage: Final = checked_flag("ask_usage", ask_usage)
        self._dice: Final = FaultDice(faults)
        self._shared: Shared | None = None
        self._server: asyncio.Server | None = None
        self._bound = 0

    @property
    def url(self) -> str:
        """Its address without a path: what Anthropic's and Google's packages are given."""
        if not self._bound:
            raise RuntimeError("the proxy has not been started")
        host = self._host
        if _is_any(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://[{host}]:{self._bound}" if ":" in host else f"http://{host}:{self._bound}"

    @property
    def base_url(self) -> str:
        """What OpenAI's packages, and most others, are given as base URL."""
        return f"{self.url}/v1"

    @property
    def running(self) -> int:
        """How many requests are on their way."""
        shared = self._shared
        if shared is None:
            return 0
        # One whose end was not told yet is not over.
        return sum(not r.is_idle for r in shared.readers) or int(shared.afterwards.is_behind)

    async def start(self) -> Self:
        """Listen.

        Raises:
            OSError: the address cannot be had.
            ValueError, ImportError: the environment names a proxy or authorities that are none.
            ValueError: an upstream is the address that it listens on.
            RuntimeError: it has been started.
        """
        await self._enter()
        return self

    def _is_started(self) -> bool:
        return self._shared is not None

    async def _open(self) -> None:
        shared = Shared(
            routes=self.routes,
            guard=self._guard,
            watcher=self._watcher,
            dialer=Dialer(),
            dice=self._dice,
            dropped=_OURS,
            head_timeout=self._head_timeout,
            asks_usage=self._asks_usage,
        )
        shared.none_left.set()
        for upstream in self.routes.upstreams:
            shared.dialer.prepare(upstream.origin)
        self._watcher.prepare()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ReaderSide(shared), self._host, self._port, backlog=4096
        )
        self._bound = self._server.sockets[0].getsockname()[1]
        if (own := next(filter(self._is_itself, self.routes.upstreams), None)) is not None:
            self._server.close()
            self._server = None
            await shared.dialer.close()
            raise ValueError(
                f"upstream: {own.base_url} is this proxy itself, and its requests would go round for ever: "
                "give the server's own URL"
            )
        self._shared = shared

    def _is_itself(self, upstream: Upstream) -> bool:
        parts = urlsplit(upstream.origin)
        name = parts.hostname or ""
        is_here = _is_loopback(name) or _is_any(name) or name == self._host.lower()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return is_here and port == self._bound

    async def finish(self) -> None:
        """Accept no more, let requests that are on their way be answered, then ``close``."""
        await self._here(self._finish())

    async def _finish(self) -> None:
        shared = self._shared
        if shared is None:
            return
        await self._stop_listening()
        for reader in list(shared.readers):
            reader.finish()
        await shared.none_left.wait()
        await self._close()

    async def close(self) -> None:
        """Accept no more and cut what is on its way; returns when every handler has heard of it.

        A second time does nothing.
        """
        await self._here(self._close())

    async def _close(self) -> None:
        shared = self._shared
        if shared is None:
            return
        await self._stop_listening()
        for reader in list(shared.readers):
            reader.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await shared.none_left.wait()
                shared.afterwards.all()
                await shared.watcher.aclose()
        await shared.dialer.close()
        self._shared = None

    async def _stop_listening(self) -> None:
        shared, server = self._shared, self._server
        assert shared is not None
        shared.is_closing = True
        self._server = None
        if server is None:
            return
        # What was accepted just now is a connection some turns of the loop later. Where the server is
        # closed before, asyncio leaves it open and complains of it.
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # Windows
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        for _ in range(_TURNS_UNTIL_MADE):
            await asyncio.sleep(0)
        server.close()


#: What is said to the proxy, and taken off.
_OURS: Final = frozenset((b"x-lm-deluge-tags",))


def _names(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise TypeError(f"allow_hosts must be names, not {type(given).__name__}")
    return tuple(given)


def _is_any(host: str) -> bool:
    return host in ("", "0.0.0.0", "::", "*")  # noqa: S104 - asked, not bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
