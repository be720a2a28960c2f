"""The two apps of examples/ that serve a relay, as a page asks them."""

from __future__ import annotations

import asyncio
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.file_logger import FileLogger
from support.browser import open_browser
from support.programs import ROOT
from support.relaying import by_aiohttp, by_uvicorn, events_in

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


def example(name: str) -> Any:
    """The module of an example."""
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
async def test_aiohttp_shows_an_answer_and_a_reload_shows_it_again(tmp_path: Path) -> None:
    make_app = example("relay_aiohttp").make_app
    said = "Rivers run from the hills to the sea, and nobody hurries them."
    with FileLogger(tmp_path / "log.jsonl") as log:
        async with Simulator(text=said, gap=0.1) as simulator:
            client = LLMClient("gpt-4.1-mini", base_url=simulator.base_url, api_key="k")
            async with by_aiohttp(make_app(client, log)) as url, open_browser() as browser:
                page = await browser.open(url)
                await page.until("!!window.ask?.onclick")
                await page.value_of("ask.click()")
                await page.until("location.hash && text.textContent.includes('run')")
                await page.call("Page.reload")
                await page.until(f"window.text?.textContent === {said!r}")
                await page.value_of("ask.click()")
                await page.until("text.textContent === 'Rivers'")
                await page.value_of("halt.click()")
                await page.call("Page.navigate", url="about:blank")
                async with asyncio.timeout(30):
                    while not _told(log) >= {
                        ("complete", None),
                        ("seen", 0),
                        ("seen", 1),
                        ("error", None),
                    }:
                        await asyncio.sleep(0.1)
            await client.close()


def _told(log: FileLogger) -> set[tuple[str, int | None]]:
    """Endings, and what which reader saw."""
    log.flush()
    lines = [json.loads(line) for line in log.path.read_text("utf-8").splitlines() if line]
    wanted = ("complete", "error", "seen")
    return {(line["e"], line.get("r")) for line in lines if line["e"] in wanted}


def chat(*texts: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": text} for text in texts]
    return {"id": "chat", "messages": [{"id": "u", "role": "user", "parts": parts}]}


async def test_fastapi_answers_useChat_goes_on_after_a_reload_and_stops(  # noqa: N802
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Simulator(text="one two three four five", gap=0.1) as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        module = example("relay_fastapi")
        async with by_uvicorn(module.app) as url, aiohttp.ClientSession(url) as session:
            before = await session.post("/chat", json=chat("hi"))
            await before.content.readany()
            before.close()  # the page is reloaded
            async with session.get("/chat/chat/stream") as after:
                body = await after.read()
            assert _spoken(body) == "one two three four five"
            async with session.get("/chat/other/stream") as nothing:
                assert nothing.status == 204
            async with session.post("/chat", json={"id": "chat", "messages": []}) as refused:
                assert refused.status == 400
            running = await session.post("/chat", json=chat("hi"))
            async with session.post("/chat/chat/stop") as stopped:
                assert await stopped.json() == {"stopped": True}
            assert b'"type":"abort"' in await running.read()
        await module.relay.close()
        await module.client.close()


def _spoken(body: bytes) -> str:
    chunks = [json.loads(event.data) for event in events_in(body) if event.data != "[DONE]"]
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
