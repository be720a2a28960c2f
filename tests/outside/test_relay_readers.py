"""The AI SDK's, React's and AG-UI's own clients, an ``EventSource`` and curl read a relay, and it reads
what they send.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from lm_deluge import LLMClient, attach
from lm_deluge.errors import StreamError
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import Relay, aiohttp_web, read_run_input, read_ui_request
from support.outside import npm_packages
from support.programs import Run, clean_environment
from support.relaying import by_aiohttp, check_log, events_in, text_of

pytestmark = pytest.mark.slow

PACKAGES = (
    "ai@7.0.173",
    "@ai-sdk/react@4.0.177",
    "@ag-ui/client@1.0.0",
    "eventsource@5.1.5",
    "react@19.3.1",
    "react-test-renderer@19.3.1",
)

WORDS = "one two three four five"
CALL = [("get_weather", '{"city": "Paris"}')]


def models() -> dict[str, Simulator]:
    return {
        "plain": Simulator(text=WORDS, reasoning="let me think", gap=0.005),
        "tools": Simulator(tool_calls=CALL),
        "failing": Simulator(text=WORDS, faults=["reset:3"] * 99),
        "stopped": Simulator(text=WORDS, gap=0.1),
        "paced": Simulator(text=WORDS, reasoning="let me think", gap=0.1),
        "slow": Simulator(text=WORDS, gap=0.2),
        # Each request is refused once, and then answered.
        "retried": Simulator(text=WORDS, reasoning="let me think",
                             faults=["status:503:retry-after-ms=1", None] * 9),
    }  # fmt: skip


class Stopping:
    """Stops a stream at its first piece."""

    def on_token(self, stream: Any, token: Any) -> None:
        stream.cancel("the reader stopped it")


class Chats:
    """An app whose pages are the clients."""

    def __init__(self, clients: dict[str, LLMClient]) -> None:
        self.clients = clients
        self.relay = Relay(on_disconnect="continue")
        self.heard: list[Any] = []
        self.is_cut = False
        self.streamed: str | None = None
        self.tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/ui", self.ui)
        app.router.add_get("/ui/{chat}/stream", self.resume)
        app.router.add_post("/ag-ui", self.ag_ui)
        app.router.add_get("/events", self.events)
        async with by_aiohttp(app) as url:
            yield url
        await self.relay.close()
        for task in self.tasks:
            await task

    def opened(self, name: str, conversation: Any) -> Any:
        self.heard.append(conversation.to_openai())
        stream = self.clients[name].open_stream(conversation)
        if name == "stopped":
            attach(Stopping(), stream)
        return stream

    async def ui(self, request: web.Request) -> web.StreamResponse:
        asked = read_ui_request(await request.read())
        name = request.query.get("model", "plain")
        if name == "second":
            return await self.second(request, asked.conversation)
        stream = self.opened(name, asked.conversation)
        return await aiohttp_web.respond(
            self.relay, request, stream, format="ui-message", key=asked.chat_id
        )

    async def second(self, request: web.Request, conversation: Any) -> web.StreamResponse:
        """One answer of two tries, the first of which breaks off after it showed something."""
        log_id, begun = uuid4().hex, asyncio.Event()

        async def answer() -> None:
            async with self.relay.publication(log_id) as publication:
                begun.set()
                for name in ("failing", "plain"):
                    with contextlib.suppress(StreamError):
                        client = self.clients[name]
                        await client.stream(conversation, handlers=[publication], printer=None)

        self.tasks.append(asyncio.create_task(answer()))
        await begun.wait()
        return await aiohttp_web.resume(self.relay, request, log_id, format="ui-message")

    async def resume(self, request: web.Request) -> web.StreamResponse:
        chat = request.match_info["chat"]
        return await aiohttp_web.resume(self.relay, request, chat, format="ui-message")

    async def ag_ui(self, request: web.Request) -> web.StreamResponse:
        asked = read_run_input(await request.read())
        stream = self.opened(request.query.get("model", "plain"), asked.conversation)
        return await aiohttp_web.respond(self.relay, request, stream, format=asked.encoder())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One stream for whoever asks, however often; the first connection is cut."""
        if not self.is_cut and request.transport is not None:
            self.is_cut = True
            asyncio.get_running_loop().call_later(0.3, request.transport.abort)
        if self.streamed is None:
            self.streamed = await self.relay.publish(self.clients["slow"].open_stream("hi"))
        return await aiohttp_web.resume(self.relay, request, self.streamed)


@contextlib.asynccontextmanager
async def chats() -> AsyncIterator[tuple[Chats, str]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for name, simulator in models().items():
            await stack.enter_async_context(simulator)
            client = LLMClient("gpt-4.1-mini", base_url=simulator.base_url, api_key="k")
            clients[name] = await stack.enter_async_context(client)
        app = Chats(clients)
        yield app, await stack.enter_async_context(app.served())


async def test_front_ends_hear_the_answer_its_calls_what_is_dropped_and_one_ending(
    run: Run,
) -> None:
    folder = npm_packages(*PACKAGES)
    program = folder / "lm_deluge_relay_readers.mjs"  # packages are found beside it
    shutil.copy(Path(__file__).with_name("relay_readers.mjs"), program)
    async with chats() as (app, url):
        done = await run("node", program, url, env=clean_environment())
    assert done.code == 0, done.err
    found = json.loads(done.out)
    check_ai_sdk(found)
    check_hook(found)
    check_ag_ui(found)
    assert all(each == [{"role": "user", "content": "hi"}] for each in app.heard)
    events = found["events"]
    assert events["ids"] == list(range(1, len(events["ids"]) + 1))
    assert (events["text"], events["ending"], events["opened"]) == (WORDS, "complete", 2)


def parts(message: Any) -> list[Any]:
    return [
        (part["type"], part.get("text"), part.get("state"))
        for part in message["parts"]
        if part["type"] != "step-start"
    ]


WHOLE = [("reasoning", "let me think", "done"), ("text", WORDS, "done")]


def check_ai_sdk(found: dict[str, Any]) -> None:
    assert parts(found["ui"]["message"]) == parts(found["resumed"]["message"]) == WHOLE
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
    # A retry before any output: the same chunks as if there had been none.
    assert found["retried"]["told"] == found["ui"]["told"]
    assert parts(found["retried"]["message"]) == WHOLE
    # What the first try showed was told, and is dropped.
    told = found["twoTries"]["told"]
    assert told.count("reset-step") == 1
    assert "text-delta" in told[: told.index("reset-step")]
    assert parts(found["twoTries"]["message"]) == WHOLE
    assert found["twoTries"]["errors"] == []


def check_hook(found: dict[str, Any]) -> None:
    whole = found["hook"]
    assert whole["statuses"] in (
        ["ready", "submitted", "streaming", "ready"],
        ["ready", "streaming", "ready"],  # the first piece came before React had drawn
    )
    assert parts(whole["messages"][-1]) == WHOLE
    assert whole["finished"] == {"isAbort": False, "isError": False, "isDisconnect": False}
    failed = found["hookFailed"]
    assert failed["statuses"][-1] == "error"
    assert "Please try again" in failed["error"]
    stopped = found["hookStopped"]
    assert (stopped["statuses"][-1], stopped["error"]) == ("ready", None)
    stops = found["hookStops"]
    assert (stops["statuses"][-1], stops["error"]) == ("ready", None)
    ((kind, text, _),) = parts(stops["messages"][-1])
    assert kind == "text"
    assert WORDS.startswith(text)
    assert "two" in text
    resumed = found["hookResumes"]
    assert resumed["error"] is None
    assert resumed["messages"][-1]["role"] == "assistant"


def check_ag_ui(found: dict[str, Any]) -> None:
    last = found["agent"]["messages"][-1]
    assert (last["role"], last["content"]) == ("assistant", WORDS)
    assert found["agent"]["events"][0] == "RUN_STARTED"
    assert found["agent"]["events"][-1] == "RUN_FINISHED"
    assert found["agentRetried"]["events"] == found["agent"]["events"]
    (function,) = [each["function"] for each in found["agentTools"]["messages"][-1]["toolCalls"]]
    assert function == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert found["agentFailed"]["events"][-1] == "RUN_ERROR"
    assert found["agentStopped"]["events"][-1] == "RUN_FINISHED"
    for name in ("agent", "agentTools", "agentStopped", "agentRetried"):
        assert found[name]["errors"] == [], name


async def test_curl_shows_each_piece_as_it_comes_and_goes_on_where_it_is_told() -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    async with chats() as (app, url):
        app.is_cut = True  # it is whole from the beginning

        async def heard(*more: str) -> tuple[bytes, list[float]]:
            process = await asyncio.create_subprocess_exec(
                curl, "-sN", *more, f"{url}/events", stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            body, moments = b"", []
            while data := await process.stdout.read(65536):
                body += data
                moments.append(time.monotonic())
            assert await process.wait() == 0
            return body, moments

        body, moments = await heard()
        rest, _ = await heard("-H", "Last-Event-ID: 2")
        nothing, _ = await heard("-H", f"Last-Event-ID: {len(events_in(body))}")
    check_log(events_in(body))
    assert text_of(events_in(body)) == WORDS
    # Four gaps of 0.2 s: pieces come one by one, not in the end.
    assert len(moments) >= 4
    assert moments[-1] - moments[0] > 0.5
    assert events_in(rest) == events_in(body)[2:]
    assert nothing == b""
