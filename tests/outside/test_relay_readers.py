"""The AI SDK's and AG-UI's own clients read a relay's formats, and it reads what they send."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import Relay, aiohttp_web, read_run_input, read_ui_request
from support.programs import Run, clean_environment

_FOLDER = os.environ.get("LM_DELUGE_NODE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_FOLDER is None, reason="LM_DELUGE_NODE names no folder with the packages"),
]

WORDS = "one two three four five"
CALL = [("get_weather", '{"city": "Paris"}')]


async def test_useChat_and_AG_UI_hear_the_answer_its_reasoning_its_calls_and_its_one_ending(  # noqa: N802
    run: Run,
) -> None:
    models = {
        "plain": Simulator(text=WORDS, reasoning="let me think", gap=0.005),
        "tools": Simulator(tool_calls=CALL),
        "failing": Simulator(text=WORDS, faults=["reset:3"] * 9),
        "stopped": Simulator(text=WORDS, gap=0.2),
    }
    clients = {}
    for name, simulator in models.items():
        await simulator.start()
        clients[name] = LLMClient("gpt-4.1-mini", base_url=simulator.base_url, api_key="k")
    relay = Relay(grace=5)
    heard: list[Any] = []

    def opened(request: web.Request, conversation: Any) -> Any:
        name = request.query.get("model", "plain")
        stream = clients[name].open_stream(conversation)
        if name == "stopped":
            stopping = Stopping()
            from lm_deluge import attach

            attach(stopping, stream)
        return stream

    async def ui(request: web.Request) -> web.StreamResponse:
        asked = read_ui_request(await request.read())
        heard.append(asked.conversation.to_openai())
        stream = opened(request, asked.conversation)
        return await aiohttp_web.respond(
            relay, request, stream, format="ui-message", key=asked.chat_id, on_disconnect="continue"
        )

    async def resume(request: web.Request) -> web.StreamResponse:
        chat = request.match_info["chat"]
        return await aiohttp_web.resume(relay, request, chat, format="ui-message")

    async def ag_ui(request: web.Request) -> web.StreamResponse:
        asked = read_run_input(await request.read())
        heard.append(asked.conversation.to_openai())
        stream = opened(request, asked.conversation)
        return await aiohttp_web.respond(relay, request, stream, format=asked.encoder())

    app = web.Application()
    app.router.add_post("/ui", ui)
    app.router.add_get("/ui/{chat}/stream", resume)
    app.router.add_post("/ag-ui", ag_ui)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    program = Path(str(_FOLDER)) / "lm_deluge_relay_readers.mjs"
    shutil.copy(Path(__file__).with_name("relay_readers.mjs"), program)
    try:
        done = await run("node", program, url, env=clean_environment())
    finally:
        program.unlink()
        await relay.close()
        await runner.cleanup()
        for client in clients.values():
            await client.close()
        for simulator in models.values():
            await simulator.stop()
    assert done.code == 0, done.err
    check(json.loads(done.out))
    assert all(each == [{"role": "user", "content": "hi"}] for each in heard)


class Stopping:
    """Stops a stream at its first piece."""

    def on_token(self, stream: Any, token: Any) -> None:
        stream.cancel("the reader stopped it")


def check(found: dict[str, Any]) -> None:
    def parts(name: str) -> list[Any]:
        return [
            (part["type"], part.get("text"), part.get("state"))
            for part in found[name]["message"]["parts"]
            if part["type"] != "step-start"
        ]

    whole = [("reasoning", "let me think", "done"), ("text", WORDS, "done")]
    assert parts("ui") == parts("resumed") == whole
    assert found["ui"]["errors"] == []
    assert found["nothing"] is None
    (call,) = [part for part in found["tools"]["message"]["parts"] if part["type"] != "step-start"]
    assert (call["type"], call["state"], call["input"]) == (
        "tool-get_weather",
        "input-available",
        {"city": "Paris"},
    )
    assert len(found["failed"]["errors"]) == 1
    assert "Please try again" in found["failed"]["errors"][0]
    assert found["stopped"]["errors"] == []
    assert found["stopped"]["told"][-1] == "abort"
    last = found["agent"]["messages"][-1]
    assert (last["role"], last["content"]) == ("assistant", WORDS)
    assert found["agent"]["events"][0] == "RUN_STARTED"
    assert found["agent"]["events"][-1] == "RUN_FINISHED"
    (function,) = [each["function"] for each in found["agentTools"]["messages"][-1]["toolCalls"]]
    assert function == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert found["agentFailed"]["events"][-1] == "RUN_ERROR"
    assert found["agentStopped"]["events"][-1] == "RUN_FINISHED"
    for name in ("agent", "agentTools", "agentStopped"):
        assert found[name]["errors"] == [], name
