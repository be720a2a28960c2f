"""A reader who leaves a simulated answer at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, cast

from lm_deluge.simulator.saying.play import Player, _Pump
from lm_deluge.simulator.saying.steps import Paced


async def test_a_piece_that_is_due_when_its_reply_is_called_off_says_nothing() -> None:
    """Both in one turn of the loop, as on a busy machine; on a connection that its reader has closed."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1")
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        player = Player(writer.transport, cast("Any", writer), cast("Any", None))
        reply = asyncio.create_task(_Pump(player, Paced([b"one", b"two"], [0.02, 0.02])).run())
        await asyncio.sleep(0)  # it waits for its first piece
        loop.call_later(0.01, reply.cancel)
        time.sleep(0.05)  # noqa: ASYNC251 - now both are due
        with contextlib.suppress(asyncio.CancelledError):
            await reply
    assert reply.cancelled()
    assert complaints == []
