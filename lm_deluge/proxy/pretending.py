"""An upstream that is not asked: the fault that takes the place of its answer."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from lm_deluge.http.dialling import Dialled
from lm_deluge.proxy.faults import InjectedFault
from lm_deluge.proxy.injected import injected_reply
from lm_deluge.proxy.passing import Passing
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
        if name == "close-before-headers":
            passing.ended("unreachable")
            self._before.upstream_is_gone(None)
        elif name in ("refuse", "reset-before-headers"):
            error = ConnectionResetError("an injected fault reset the connection")
            passing.ended("unreachable", error)
            self._before.upstream_is_gone(error)
        elif name != "hang-before-headers":
            self._reply(passing)

    def _reply(self, passing: Passing) -> None:
        reply = injected_reply(passing, self._fault)
        self._before.transport.write(reply.head + reply.body)
        passing.begun = True
        arrived = perf_counter()
        passing.has_head(reply.status, reply.fields, arrived)
        passing.has_read(reply.body, arrived)
        passing.ended("whole")
        self._before.answer_is_whole(keep=True)
