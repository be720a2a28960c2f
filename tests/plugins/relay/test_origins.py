"""Pages of other origins: who may read and stop a stream, and what their browsers are told before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lm_deluge_plugins.relay import MemoryStore, Relay
from support.probing import SAID, staged
from support.relaying import ADAPTERS, by_aiohttp, check_log, events_in, serving

PAGE, STRANGER = "https://app.example", "https://evil.example"
ASKED = {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization,x-user",
}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("rest", ["", "/stop", "/seen"])
async def test_a_browser_is_told_that_a_page_may_ask_with_headers(adapter: str, rest: str) -> None:
    async with serving(adapter, MemoryStore(), allowed_origins=[PAGE]) as app:
        path = f"/streams/any{rest}"
        async with app.session.options(path, headers={"Origin": PAGE, **ASKED}) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-user"
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
            assert answer.headers["Vary"] == "Origin"
        async with app.session.options(path, headers={"Origin": STRANGER, **ASKED}) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_without_allowed_origins_there_is_nothing_to_ask(adapter: str) -> None:
    async with serving(adapter, MemoryStore()) as app:
        for origin in (PAGE, app.base_url):
            headers = {"Origin": origin, **ASKED}
            async with app.session.options("/streams/any", headers=headers) as answer:
                assert answer.status in (404, 405)
                assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_pages_of_allowed_origins_read_and_stop_and_others_do_not(adapter: str) -> None:
    async with serving(adapter, MemoryStore(), allowed_origins=[PAGE]) as app:
        async with await app.ask() as first:
            stream_id = first.headers["x-stream-id"]
            events = events_in(await first.read())
        check_log(events)
        async with await app.read(stream_id, Origin=PAGE) as answer:
            assert events_in(await answer.read()) == events
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        async with await app.read(stream_id, Origin=STRANGER) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        for origin, status in ((PAGE, 200), (app.base_url, 200), (STRANGER, 403), ("null", 403)):
            where, headers = f"/streams/{stream_id}/stop", {"Origin": origin}
            async with app.session.post(where, headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_page_that_may_ask_can_read_why_it_is_refused(adapter: str) -> None:
    def nobody(request: Any, stream_id: str) -> bool:
        return False

    async with serving(
        adapter, MemoryStore(), allowed_origins=[PAGE], authorize=nobody, seen=print
    ) as app:
        async with await app.ask() as first:
            stream_id = first.headers["x-stream-id"]
            await first.read()
        where = f"/streams/{stream_id}"
        for method, path in (("GET", where), ("POST", f"{where}/stop"), ("POST", f"{where}/seen")):
            headers = {"Origin": PAGE}
            async with app.session.request(method, path, headers=headers) as answer:
                assert answer.status == 403
                assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                assert (await answer.json())["error"] == "this stream is not yours"


_ELSEWHERE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><p></p>
<script type="module">
const [where, id] = decodeURIComponent(location.hash.slice(1)).split(" ");
const { stream } = await import(where + "/streams/lm_deluge.js");
for await (const piece of stream(where + "/streams/" + id, { headers: { "X-User": "me" } }))
  if (piece.kind === "text") document.querySelector("p").append(piece.text);
document.documentElement.dataset.ready = "yes";
</script>"""


@pytest.mark.slow
async def test_a_page_of_another_origin_reads_with_its_own_headers_in_a_browser(
    tmp_path: Path,
) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_ELSEWHERE, content_type="text/html")

    users = []

    def mine(request: web.Request, stream_id: str) -> bool:
        users.append(request.headers.get("X-User"))
        return True

    elsewhere = web.Application()
    elsewhere.router.add_get("/", page)
    async with (
        by_aiohttp(elsewhere) as origin,
        staged(tmp_path, gap=0.005, allowed_origins=[origin], authorize=mine) as stage,
    ):
        stream_id = await stage.publish()
        opened = await stage.browser.open(f"{origin}/#{stage.base_url}%20{stream_id}")
        await opened.until("document.documentElement?.dataset?.ready")
        assert await opened.value_of("document.querySelector('p').textContent") == SAID
        assert opened.complaints == []
        await stage.seen(60)
        assert stage.relay.seen.refused == {}
    assert set(users) == {"me"}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("https://app.example", TypeError, "a list of origins"),
        (["app.example"], ValueError, "like https://app.example"),
        (["https://app.example/"], ValueError, "ends with its host or port"),
    ],
)
def test_what_is_no_origin_is_refused(given: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Relay(allowed_origins=given)
