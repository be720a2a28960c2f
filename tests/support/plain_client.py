"""A plain client for the simulator, and what it heard: nothing of lm_deluge takes part."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import attrs


@attrs.define
class Heard:
    """What a client got: status, headers, body, the reads it came in, and how it ended."""

    status: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    reads: list[bytes] = attrs.field(factory=list)
    error: BaseException | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.reads)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Data of the whole events; JSON where it is."""
        found: list[Any] = []
        for block in self.body.split(b"\n\n")[:-1]:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    data = line[6:]
                    try:
                        found.append(json.loads(data))
                    except ValueError:
                        found.append(data)
        return found

    def text(self, choice: int = 0) -> str:
        return "".join(
            entry["delta"].get("content") or ""
            for event in self.events
            if isinstance(event, dict)
            for entry in event.get("choices") or ()
            if entry["index"] == choice
        )

    @property
    def finishes(self) -> list[str]:
        return [
            entry["finish_reason"]
            for event in self.events
            if isinstance(event, dict)
            for entry in event.get("choices") or ()
            if entry["finish_reason"]
        ]

    @property
    def done(self) -> bool:
        return b"[DONE]" in self.events


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a raw connection and wait until its socket is closed too."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


#: Sends a chat request and takes all that comes.
Ask = Callable[..., Coroutine[Any, Any, Heard]]
