"""Events of a body, for what is asked of a server of any dialect; nothing of lm_deluge takes part."""

from __future__ import annotations

import json
from typing import Any

import aiohttp


async def post(url: str, body: Any, **headers: str) -> tuple[int, bytes]:
    """Ask, and return the status and the whole body."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        return response.status, await response.read()


def events(body: bytes) -> list[tuple[str | None, Any]]:
    """Return the name and the JSON of every event."""
    found: list[tuple[str | None, Any]] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line.partition(b": ") for line in block.split(b"\n") if line]
        fields = {name.decode(): value for name, _, value in lines}
        if "data" in fields:
            name = fields["event"].decode() if "event" in fields else None
            found.append((name, json.loads(fields["data"])))
    return found
