"""What happens to an answer that nobody reads any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias

__all__ = ["POLICIES", "Disconnection", "OnDisconnect"]

OnDisconnect: TypeAlias = Literal["cancel", "continue"]
POLICIES: Final[tuple[OnDisconnect, ...]] = ("cancel", "continue")


class Disconnection:
    """Stops a stream that has had no reader for ``grace`` seconds, where the policy is ``"cancel"``.

    The wait begins when it is made: whoever asked for the stream may be gone before the first frame.
    """

    def __init__(
        self,
        stop: Callable[[str], None],
        is_read: Callable[[], Awaitable[bool]],
        policy: OnDisconnect,
        grace: float,
    ) -> None:
        self._stop = stop
        self._is_read = is_read
        self._asking: asyncio.Task[None] | None = None
        self._grace = grace
        self._acts = policy == "cancel"
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.unread(nobody=True)

    def unread(self, *, nobody: bool) -> None:
        """Hear whether nobody reads the stream now."""
        if self._timer is not None and not nobody:
            self._timer.cancel()
            self._timer = None
        elif self._timer is None and nobody and self._acts:
            self._timer = self._loop.call_later(self._grace, self._act)

    def end(self) -> None:
        """The stream has ended."""
        self._acts = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _act(self) -> None:
        self._timer = None
        self._asking = self._loop.create_task(self._ask(), name="lm_deluge relay unread")

    async def _ask(self) -> None:
        # What was heard of readers elsewhere may be late; what the store says now is not.
        is_read = await self._is_read()
        if self._acts and self._timer is None and not is_read:
            self._stop(f"nobody has read it for {self._grace:g} s")
