"""The two apps of examples/ that serve a relay, as a page asks them."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import aiohttp
import pytest

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from support.programs import ROOT
from support.relaying import by_aiohttp, by_uvicorn, check_log, events_in, text_of

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


async def test_aiohttp_shows_an_answer_to_whoever_knows_its_id() -> None:
    make_app = example("relay_aiohttp").make_app
    async with Simulator(text="Rivers run.", gap=0.01) as simulator:
        client = LLMClient("gpt-4.1-mini", base_url=simulator.base_url, api_key="k")
        async with by_aiohttp(make_app(client)) as url, aiohttp.ClientSession(url) as session:
            async with session.get("/") as response:
                assert "EventSource" in await response.text()
            async with session.post("/ask", data="Tell me of rivers.") as response:
                stream_id = await response.text()
            async with session.get(f"/streams/{stream_id}") as response:
                events = events_in(await response.read())
        await client.close()
    check_log(events)
    assert text_of(events) == "Rivers run."


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
