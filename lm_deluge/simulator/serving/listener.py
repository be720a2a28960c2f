"""The simulator's port: bound as long as the simulator runs, listened to or refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from asyncio import Protocol
from collections.abc import Callable
from typing import Final

__all__ = ["Listener"]

_TURNS_UNTIL_MADE: Final = 4


class Listener:
    """A port of this machine that a server can accept connections at, and refuse them."""

    def __init__(self, host: str, port: int, backlog: int) -> None:
        self._host = host
        self._asked = port
        self._backlog = backlog
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._port: int | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it has, or had last. Raises `RuntimeError` before it was bound."""
        if self._port is None:
            raise RuntimeError("the simulator has not been started")
        return self._port

    def bind(self) -> None:
        """Take the port that was asked for. Raises `OSError` when it is taken."""
        self._bind(self._asked)

    async def listen(self, protocols: Callable[[], Protocol]) -> None:
        """Accept connections, if it does not yet. Raises `RuntimeError` before it is bound."""
        if self._socket is None:
            raise RuntimeError("the simulator has not been started")
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                protocols, sock=self._socket, backlog=self._backlog
            )

    def listen_after(self, seconds: float, protocols: Callable[[], Protocol]) -> None:
        """Accept connections in so many seconds."""

        async def later() -> None:
            await asyncio.sleep(seconds)
            await self.listen(protocols)

        self._opening = asyncio.create_task(later())

    def refuse(self) -> None:
        """Refuse connections from now on; those that are open stay open."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        # Bound but not listening, the port is ours and connecting to it is refused.
        self._bind(self.port)

    async def stop(self) -> None:
        """Refuse connections, also those that `listen_after` would have accepted."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
            self._opening = None
        if self._server is not None:
            # What was accepted just now is a connection some turns of the loop later. Where the server is
            # closed before, asyncio leaves it open and complains of it.
            loop = asyncio.get_running_loop()
            with contextlib.suppress(NotImplementedError):  # Windows
                for listening in self._server.sockets:
                    loop.remove_reader(listening.fileno())
            for _ in range(_TURNS_UNTIL_MADE):
                await asyncio.sleep(0)
        self.refuse()

    def release(self) -> None:
        """Give the port back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _bind(self, port: int) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # Windows would let several servers share the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)  # noqa: FBT003 - the signature is the standard library's
            sock.bind((self._host, port))
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self._port = sock.getsockname()[1]
