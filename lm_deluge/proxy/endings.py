"""How a connection of a reader ends: as that of its upstream did.

``close`` of a transport sends what is left and then FIN; ``abort`` drops what is left. A reset (RST) takes
more: the reader has to have all that came before it, and the kernel has to be told not to end politely.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import sys
from typing import Final

__all__ = ["has_left", "reset_when_sent", "unsent"]

_NO_LINGER: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

#: Seconds between two looks at whether all was sent: the first, the most, and until it is given up.
_LOOK: Final = 0.002
_LONGEST_LOOK: Final = 0.1
_PATIENCE: Final = 30.0


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes of what was written the other side's kernel has not got yet.

    Those in the kernel are counted on Linux alone.
    """
    size = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if size or sock is None or not sys.platform.startswith("linux"):
        return size
    import fcntl
    import termios

    left = bytearray(4)
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, left)
    except OSError:
        return 0
    return int.from_bytes(left, sys.byteorder)


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the other side has closed its connection behind bytes that nobody has read yet.

    ``False`` where the system does not tell (all but Linux): reading goes on until it is known.
    """
    sock = transport.get_extra_info("socket")
    descriptor = -1 if sock is None else sock.fileno()
    if descriptor < 0 or not hasattr(select, "POLLRDHUP"):
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return bool(poll.poll(0))


def reset_when_sent(transport: asyncio.Transport) -> None:
    """Reset a connection as soon as the other side has all that was written; returns at once."""
    loop = asyncio.get_running_loop()
    given_up = loop.time() + _PATIENCE

    def look(wait: float) -> None:
        if transport.is_closing():
            return
        if unsent(transport) and loop.time() < given_up:
            loop.call_later(wait, look, min(2 * wait, _LONGEST_LOOK))
            return
        # Gone when the reader was faster; then there is nothing left to reset.
        with contextlib.suppress(OSError, AttributeError):
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    # Not at once, also where all was sent: some systems take from a reader what it has not read yet.
    loop.call_later(_LOOK, look, _LOOK)
