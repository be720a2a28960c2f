"""The simulator keeps Responses: they are looked up, streamed again from any event, cancelled, deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from lm_deluge.simulator.wires import kept_responses
from support.sse import events

KEY = {"Authorization": "Bearer sk-test"}


class Asking:
    """Asks one simulator, with a connection for each request."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.session = session

    async def __call__(self, method: str, path: str = "", **more: Any) -> tuple[int, Any]:
        url = f"{self.sim.base_url}/responses{path}"
        async with self.session.request(method, url, headers=KEY, **more) as reply:
            if reply.content_type == "application/json":
                return reply.status, await reply.json()
            body = b""
            try:
                async for data in reply.content.iter_any():
                    body += data
            except aiohttp.ClientError:
                pass
            return reply.status, [told for _, told in events(body[: body.rfind(b"\n\n") + 2])]

    async def begin(self, **more: Any) -> list[dict[str, Any]]:
        body = {"model": "o4-mini", "input": "Hi", "stream": True, "background": True, **more}
        return (await self("POST", json=body))[1]  # type: ignore[no-any-return]

    async def again(self, name: str, after: int | None = None) -> tuple[int, Any]:
        query = {"stream": "true"} | ({} if after is None else {"starting_after": str(after)})
        return await self("GET", f"/{name}", params=query)


@pytest.fixture
async def session() -> Any:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def id_in(told: list[dict[str, Any]]) -> str:
    return str(told[0]["response"]["id"])


async def test_a_response_in_the_background_is_streamed_from_any_event_on(session: Any) -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well") as sim:
        ask = Asking(sim, session)
        whole = await ask.begin()
        begun = [(told["type"], told["response"]["status"]) for told in whole[:3]]
        assert begun == [
            ("response.created", "queued"),
            ("response.queued", "queued"),
            ("response.in_progress", "in_progress"),
        ]
        assert whole[0]["response"]["background"] is True
        assert (await ask.again(id_in(whole))) == (200, whole)
        for number in range(len(whole)):
            assert (await ask.again(id_in(whole), number)) == (200, whole[number + 1 :])


async def test_a_cut_stream_goes_on_where_it_was_cut_and_may_be_cut_again(session: Any) -> None:
    async with Simulator(text=["a", "b", "c", "d"], faults=["drop:1", "reset:1", None]) as sim:
        ask = Asking(sim, session)
        told = await ask.begin()
        for _ in range(2):
            told += (await ask.again(id_in(told), told[-1]["sequence_number"]))[1]
        assert [each["sequence_number"] for each in told] == list(range(len(told)))
        assert told[-1]["type"] == "response.completed"


async def test_it_is_made_at_its_pace_whoever_reads_and_two_may(session: Any) -> None:
    async with Simulator(text=list("abcdef"), gap=0.02, faults=["drop:1"]) as sim:
        ask = Asking(sim, session)
        cut = await ask.begin()
        name = id_in(cut)
        assert (await ask("GET", f"/{name}"))[1]["status"] == "in_progress"
        both = await asyncio.gather(ask.again(name), ask.again(name, cut[-1]["sequence_number"]))
        (_, whole), (_, rest) = both
        assert whole[len(cut) :] == rest
        assert (await ask("GET", f"/{name}"))[1] == whole[-1]["response"]


async def test_a_cancelled_one_says_no_more(session: Any) -> None:
    async with Simulator(text=list("abcdef"), gap=0.2, faults=["drop:1"]) as sim:
        ask = Asking(sim, session)
        name = id_in(await ask.begin())
        reading = asyncio.create_task(ask.again(name))
        await sim.wait_request(2)
        status, told = await ask("POST", f"/{name}/cancel")
        assert (status, told["status"], told["output"]) == (200, "cancelled", [])
        _, heard = await reading
        assert heard[-1]["type"] != "response.completed"
        assert (await ask("GET", f"/{name}"))[1]["status"] == "cancelled"


async def test_one_without_a_stream_is_made_in_the_background_too(session: Any) -> None:
    async with Simulator(text="Hello") as sim:
        ask = Asking(sim, session)
        body = {"model": "gpt-4o", "input": "Hi", "background": True}
        status, told = await ask("POST", json=body)
        assert (status, told["status"], told["output"]) == (200, "queued", [])
        _, ended = await ask("GET", f"/{told['id']}")
        assert ended["status"] == "completed"
        assert ended["output"][0]["content"][0]["text"] == "Hello"
        assert (await ask.again(told["id"]))[0] == 404


async def test_a_kept_one_in_the_foreground_can_only_be_looked_up_and_deleted(session: Any) -> None:
    async with Simulator(text="Hello") as sim:
        ask = Asking(sim, session)
        whole = await ask.begin(background=False)
        name = id_in(whole)
        assert (await ask("GET", f"/{name}")) == (200, whole[-1]["response"])
        assert (await ask.again(name))[0] == 404
        status, told = await ask("POST", f"/{name}/cancel")
        assert (status, told["error"]["message"]) == (400, "Cannot cancel a synchronous response.")
        deleted = {"id": name, "object": "response", "deleted": True}
        assert (await ask("DELETE", f"/{name}"))[1] == deleted
        assert (await ask("GET", f"/{name}"))[0] == 404


async def test_what_is_not_kept_cannot_be_looked_up(session: Any) -> None:
    async with Simulator(text="Hello", api_key="sk-test") as sim:
        ask = Asking(sim, session)
        told = await ask.begin(background=False, store=False)
        status, error = await ask("GET", f"/{id_in(told)}")
        assert (status, error["error"]["type"]) == (404, "invalid_request_error")
        assert (await ask("GET", "/resp_x/input_items"))[0] == 404
        body = {"model": "gpt-4o", "input": "Hi", "background": True, "store": False}
        assert (await ask("POST", json=body))[1]["error"]["param"] == "background"
        url = f"{sim.base_url}/responses/{id_in(told)}"
        async with session.get(url, headers={"Authorization": "Bearer other"}) as reply:
            assert reply.status == 401


async def test_after_five_minutes_it_is_not_streamed_any_more(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator(text="Hello") as sim:
        ask = Asking(sim, session)
        name = id_in(await ask.begin())
        assert (await ask.again(name, 3))[0] == 200
        assert (await ask("GET", f"/{name}?stream=true&starting_after=x"))[0] == 400
        monkeypatch.setattr(kept_responses, "STREAMABLE", -1)
        status, told = await ask.again(name, 3)
        assert status == 400
        assert "more than 5 minutes old" in told["error"]["message"]


def test_the_openai_package_takes_up_a_stream() -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    with (
        Simulator(text=["Hel", "lo", "!"], faults=["eof:1"]) as sim,
        openai.OpenAI(base_url=sim.base_url, api_key="k", max_retries=0) as client,
    ):
        first = list(
            client.responses.create(model="o4-mini", input="Hi", stream=True, background=True)
        )
        rest = list(
            client.responses.retrieve(
                first[0].response.id, stream=True, starting_after=first[-1].sequence_number
            )
        )
        said = [event.delta for event in first + rest if event.type == "response.output_text.delta"]
        assert (said, rest[-1].type) == (["Hel", "lo", "!"], "response.completed")
        assert client.responses.cancel(first[0].response.id).status == "completed"
        assert client.responses.retrieve(first[0].response.id).output_text == "Hello!"
