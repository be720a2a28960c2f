"""The moments that the proxy logs, beside those of the client behind it; with the machine for itself."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from lm_deluge import LLMClient
from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.logs import lines_of

KEY = "sk-proxied-0123456789abcdef"


def streams_of(log: Path) -> list[list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines_of(log):
        found.setdefault(line["s"], []).append(line)
    return list(found.values())


@pytest.mark.slow
async def test_a_piece_carries_the_moment_at_which_an_app_gets_it(tmp_path: Path) -> None:
    """To within 1 ms, the worst one too, each in the one of many streams that was disturbed least.

    What the clocks of both disagree in, they do in every stream; what another process delays, it does in
    some. Where both begin is told apart: the app has asked some moments before the proxy hears of it.
    """
    lates = []
    with FileLogger(tmp_path / "proxy") as watching, FileLogger(tmp_path / "client") as hearing:
        async with Simulator(text=["a "] * 12, gap=0.004) as simulator:
            async with Proxy(simulator.url, handlers=[watching]) as proxy:
                client = LLMClient(
                    "gpt-4o",
                    base_url=proxy.base_url,
                    api_key=KEY,
                    printer=None,
                    handlers=[hearing],
                )
                for _ in range(40):
                    await client.stream("Hi")
                await client.close()
                await proxy.finish()
    for seen, heard in zip(
        streams_of(tmp_path / "proxy"), streams_of(tmp_path / "client"), strict=True
    ):
        late = [b["t"] - a["t"] for a, b in zip(seen, heard, strict=True)]
        assert (len(late), min(late) >= -2e-6) == (14, True)
        lates.append(late)
    flows = [[late - min(own[1:]) for late in own[1:]] for own in lates[1:]]
    assert max(map(min, *flows)) < 1e-3
    # Where both begin: the app's clock starts before the proxy can hear of its request.
    assert median(map(min, *lates[1:])) < 3e-3
