"""An upstream that is not asked: the fault that takes the place of its answer."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from lm_deluge.http.dialling import Dialled
from lm_deluge.proxy.faults import InjectedFault
from lm_deluge.proxy.passing import Passing, told
from lm_deluge.proxy.refusals import error_reply
from lm_deluge.proxy.routes import wire_of
from lm_deluge.proxy.upstream_side import Before

__all__ = ["PretendedSide"]


class PretendedSide:
    """Stands where ``UpstreamSide`` does, for one request. ``origin``: nobody's."""

    origin: Final = ""
    is_usable: Final = False
    dialled: Dialled | None = None

    def __init__(self, before: Before, passing: Passing, fault: InjectedFault) -> None:
        self._before = before
        self._passing: Passing | None = passing
        self._fault = fault

    def write(self, data: bytes) -> None:
        """Nobody gets it."""

    def write_eof(self) -> None:
        """Nobody hears of it."""

    def pause(self) -> None:
        """Nothing comes."""

    def resume(self) -> None:
        """Nothing comes."""

    def leave(self) -> None:
        """Nothing follows."""
        self._passing = None

    def request_is_whole(self) -> None:
        """Answer, in the loop's next turn."""
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        passing, self._passing = self._passing, None
        if passing is None:
            return
        name = self._fault.fault.name
        if name == "status":
            self._refuse(passing)
        elif name == "close-before-headers":
            passing.ended("unreachable")
            self._before.upstream_is_gone(None)
        elif name != "hang-before-headers":
            error = ConnectionResetError("an injected fault reset the connection")
            passing.ended("unreachable", error)
            self._before.upstream_is_gone(error)

    def _refuse(self, passing: Passing) -> None:
        status = self._fault.argument
        path = passing.first.target.partition(b"?")[0].decode("latin-1")
        head, body = error_reply(wire_of(path), status.code, dict(status.headers))
        self._before.transport.write(head + body)
        passing.begun = True
        fields = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:-2]]
        told(passing.exchange.head, status.code, [(name, value) for name, _, value in fields])
        told(passing.exchange.read, body, perf_counter())
        passing.ended("whole")
        self._before.answer_is_whole(keep=False)
