"""What a reply is made of: bytes, waits and rude acts, in order."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Iterable, Mapping, Sequence

import attrs


class Act(enum.Enum):
    """Something a server does to its connection other than writing to it."""

    RESET = "the connection breaks: the client gets an RST"
    ABORT = "the connection is closed without ending the body: the client gets a FIN"
    EOF = "the body ends properly here; the connection stays usable"
    HALF_CLOSE = "FIN on the writing side; the server keeps reading until the client goes"
    HANG = "nothing more is sent until the client goes"


RESET = Act.RESET
ABORT = Act.ABORT
EOF = Act.EOF
HALF_CLOSE = Act.HALF_CLOSE
HANG = Act.HANG


class Overhead(bytes):
    """Body bytes that do not count as a piece in ``ReceivedRequest.sent``.

    Several in a row, and what is around the body, go out in one network write.
    """

    __slots__ = ()


class Verbatim(bytes):
    """Bytes put on the wire as they are: no HTTP head before them, no chunk frame around them.

    As the first step of a reply it replaces the HTTP head.
    """

    __slots__ = ()


@attrs.frozen
class Paced:
    """Many pieces, each written after its own wait in seconds, counted from when the one before was due."""

    pieces: Sequence[bytes]
    waits: Sequence[float]


#: ``bytes`` are one network write each; a ``float`` is a wait in seconds; an ``Event`` is waited for:
#: of ``asyncio`` in the simulator's own event loop, of ``threading`` where it is set from another thread.
Step = bytes | float | int | asyncio.Event | threading.Event | Act | Paced


@attrs.frozen(kw_only=True)
class Reply:
    """One whole reply. The body ends properly after the last step unless an `Act` did otherwise.

    ``spacing`` is in seconds: the least wait between two ``bytes`` steps in a row, which lets the
    client read the first before the second is written. ``None`` writes without waiting.
    """

    steps: Iterable[Step] = ()
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    content_type: str | None = "text/event-stream; charset=utf-8"
    chunked: bool = True
    spacing: float | None = None
