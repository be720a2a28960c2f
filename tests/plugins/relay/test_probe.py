"""The module for pages in a real Chromium: the answer whole whatever happens, what was seen in the log."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path

import pytest

from support.browser import Page
from support.probing import SAID, Stage, road_to, staged

pytestmark = pytest.mark.slow

ASK = 'void read(stream("/chat", {method: "POST"}))'


async def opened(stage: Stage, path: str = "/", *, base_url: str | None = None) -> Page:
    page = await stage.browser.open((base_url or stage.base_url) + path)
    await page.until("document.documentElement?.dataset?.ready")
    return page


async def texts(page: Page) -> str:
    return str(await page.value_of("p.textContent"))


def check_pieces(line: dict, first: int, last: int) -> None:
    assert line["i"] == [first, last]
    assert len(line["arrived"]) == len(line["painted"]) == last - first + 1


async def test_pieces_are_seen_in_order_and_painted_after_they_arrived(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        page = await opened(stage)
        await page.value_of(ASK)
        assert await page.until("end") == "done"
        assert await texts(page) == SAID
        assert json.loads(await page.value_of("JSON.stringify(pieces.map(({i}) => i ?? -1))")) == [
            -1, *range(60), -1
        ]  # fmt: skip
        lines = await stage.seen(60)
        tokens = stage.lines("token")
        times = await page.value_of("pieces.slice(1, -1).map((piece) => piece.t)")
        assert times == [token["t"] for token in tokens]
        assert page.complaints == []
    assert [line["hidden"] for line in lines] == [False] * len(lines)
    arrived = [t for line in lines for t in line["arrived"]]
    painted = [t for line in lines for t in line["painted"]]
    assert len(arrived) == len(painted) == len(tokens) == 60
    for token, came, shown in zip(tokens, arrived, painted, strict=True):
        assert token["t"] - 1e-4 <= came < shown < came + 5
    assert 0 < lines[0]["bound"] < 1
    assert stage.relay.seen.refused == {}
    # No word of what was said or asked.
    told = json.dumps(lines)
    assert "word" not in told
    assert 'hi"' not in told


async def test_a_hidden_tab_says_so_and_another_tab_is_another_reader(tmp_path: Path) -> None:
    async with staged(tmp_path, gap=0.05) as stage:
        first = await opened(stage)
        await first.value_of(ASK)
        await first.until("moments.length > 10")
        second = await opened(stage, "/#" + stage.streams[0].id)
        assert await first.value_of("document.hidden")
        assert await first.until("end") == await second.until("end") == "done"
        assert await texts(first) == await texts(second) == SAID
        hidden, shown = await stage.seen(60), await stage.seen(60, reader=1)
        assert stage.relay.seen.refused == {}
    assert [line["hidden"] for line in shown] == [False] * len(shown)
    assert all(t is not None for line in shown for t in line["painted"])
    assert shown[0]["asked"] > 0
    states = [line["hidden"] for line in hidden]
    assert states == sorted(states)
    assert set(states) == {False, True}
    for line in hidden:
        assert line["hidden"] == (None in line["painted"])


async def test_what_was_seen_is_told_when_the_page_goes_and_a_reload_goes_on(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, gap=0.05) as stage:
        page = await opened(stage)
        await page.value_of(ASK)
        await page.until("moments.length > 10")
        await page.value_of("location.hash = answer.id")
        await page.call("Page.reload")
        before = await stage.seen(5)  # long before the next of the few seconds between two tellings
        assert stage.streams[0].state == "running"
        assert await page.until("window.end") == "done"
        assert await texts(page) == SAID
        after = await stage.seen(60, reader=1)
        await page.call("Page.navigate", url="about:blank")
        assert stage.relay.seen.refused == {}
    assert before[0]["painted"][0] is not None
    assert sum(len(line["arrived"]) for line in before) < 60
    assert after[0]["asked"] > before[0]["arrived"][0]


async def test_the_network_away_in_the_middle_costs_no_piece(tmp_path: Path) -> None:
    async with staged(tmp_path, gap=0.05) as stage, road_to(stage.base_url) as road:
        page = await opened(stage, base_url=road.base_url)
        await page.value_of(ASK)
        await page.until("moments.length > 10")
        road.cut()
        await asyncio.sleep(0.7)
        road.mend()
        assert await page.until("end") == "done"
        assert await texts(page) == SAID
        lines = await stage.seen(60)
        assert stage.relay.seen.refused == {}
        assert any("after=" in url for url in page.requests)
    arrived = [t for line in lines for t in line["arrived"]]
    assert arrived == sorted(arrived)
    assert max(b - a for a, b in pairwise(arrived)) > 0.5


async def test_stop_abort_leaving_and_errors_are_told_apart(tmp_path: Path) -> None:
    async with staged(tmp_path, gap=0.05, faults=[None, None, "eof:9"]) as stage:
        page = await opened(stage)
        await page.value_of(ASK)
        await page.until("moments.length > 3")
        await page.value_of("answer.stop().then((it) => window.stopped = it)")
        assert await page.until("end") == "done"
        assert await page.value_of("stopped") is True
        assert await page.value_of("pieces.at(-1).kind") == "cancelled"

        await page.value_of(
            "pieces.length = 0; end = ''; window.control = new AbortController();"
            'void read(stream("/chat", {method: "POST", signal: control.signal}))'
        )
        await page.until("pieces.length > 3")
        await page.value_of("control.abort()")
        assert json.loads(await page.until("end"))[0] == "AbortError"
        assert stage.streams[1].state == "running"  # only a stop is a stop

        await page.value_of(
            "window.left = 0; void (async () => {"
            'for await (const piece of stream("/streams/" + answer.id)) if (++left > 3) break;'
            "left = 'done' })()"
        )
        assert await page.until("left === 'done'")

        await page.value_of("pieces.length = 0; end = '';" + ASK)
        assert json.loads(await page.until("end")) == [
            "AnswerCutError", "The answer was cut off. Please try again.", True
        ]  # fmt: skip
        assert await page.value_of("pieces.filter(({kind}) => kind === 'text').length") == 9

        await page.value_of("pieces.length = 0; end = ''; stopped = null;" + ASK)
        await page.value_of("answer.stop().then((it) => stopped = it)")  # before it has an id
        assert await page.until("end") == "done"
        assert await page.value_of("stopped") is True
        assert await page.value_of("pieces.at(-1).kind") == "cancelled"

        await page.value_of("end = ''; void read(stream('/streams/' + 'f'.repeat(32)))")
        assert await page.until("end") == "done"  # 204: there is nothing
        await page.value_of("stopped = null; answer.stop().then((it) => stopped = it)")
        assert await page.until("stopped === false")
        for address, name in (("/streams/x/y", "HTTPError"), ("/", "HTTPError")):
            await page.value_of(f"end = ''; void read(stream({address!r}))")
            assert json.loads(await page.until("end"))[::2] == [name, False]
        await page.value_of("end = ''; void read(stream('http://127.0.0.1:9/', {method: 'POST'}))")
        assert json.loads(await page.until("end")) == [
            "ConnectionLost", "The connection was lost", True
        ]  # fmt: skip

        await page.value_of("pieces.length = 0; end = '';" + ASK)
        await page.until("pieces.length > 3")
        await stage.relay.store.close()  # "unavailable": it asks again, and there is nothing
        assert json.loads(await page.until("end"))[::2] == ["StreamGone", False]


async def test_an_EventSource_reads_the_same_and_does_not_come_back(tmp_path: Path) -> None:  # noqa: N802
    async with staged(tmp_path) as stage:
        page = await opened(stage)
        await page.value_of(ASK)
        await page.until("answer.id")
        await page.value_of(
            'window.said = ""; window.source = new EventSource("/streams/" + answer.id);'
            "source.onmessage = ({data}) => JSON.parse(data).items.forEach("
            '(item) => { if (item.kind === "text") said += item.text })'
        )
        await page.until("source.readyState === 2")  # it asked for more, and was told 204
        assert await page.value_of("said") == SAID


async def test_the_clock_is_right_within_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, back, ahead = 0.01, 0.07, 3600.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    async with staged(tmp_path) as stage, road_to(stage.base_url, there, back) as road:
        page = await opened(stage, base_url=road.base_url)
        await page.value_of(ASK)
        assert await page.until("end") == "done"
        lines = await stage.seen(60)
        at = await page.value_of("pieces[0].at") - ahead
        moments = await page.value_of("moments")
    arrived = [at + t for line in lines for t in line["arrived"]]
    bound = max(line["bound"] for line in lines)
    # The loop has a piece a little after it arrived, at least once at once.
    wrong = min(had - came for had, came in zip(moments, arrived, strict=True))
    assert abs(wrong) <= bound + 0.005
    assert 0.035 < bound < 0.2  # half the road there and back, and not much more
