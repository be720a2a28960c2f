"""Relays in processes of their own, as on machines of their own, which can be killed.

``python -m support.relay_machines`` is one; it says its address and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
from attrs import define

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import Relay
from support.relaying import Front, RedisServer, served_by, store_of

__all__ = ["Machine", "machine"]

#: Seconds that bound how long a test waits for what a machine does when another one dies.
LIVENESS = 1.0


@define
class Machine(Front):
    """A relay's process, and whoever asks it."""

    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it as the kernel does: nothing of it runs any more."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def machine(
    adapter: str, simulator: Simulator, redis: RedisServer | None, **store: float
) -> AsyncIterator[Machine]:
    """Start a relay in a process of its own; without ``redis`` its store is in its memory."""
    options = {"adapter": adapter, "model": simulator.base_url, "store": store}
    if redis is not None:
        options["redis"] = redis.port
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.relay_machines", json.dumps(options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        base_url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(base_url) as session:
            yield Machine(base_url, session, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _serve(options: dict[str, Any]) -> None:
    kind = "redis" if "redis" in options else "memory"
    redis: Any = SimpleNamespace(port=options.get("redis"))
    async with (
        LLMClient("gpt-4.1-mini", base_url=options["model"], api_key="k") as client,
        store_of(kind, redis, **options["store"]) as store,
        Relay(store, on_disconnect="continue") as relay,
        served_by(options["adapter"], relay, lambda: client.open_stream("hi")) as base_url,
    ):
        print(base_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("options", type=json.loads)
    asyncio.run(_serve(parser.parse_args().options))
