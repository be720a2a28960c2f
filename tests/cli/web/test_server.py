"""The server of ``lm-deluge web``: who may ask, what it answers, what never leaves it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from lm_deluge.cli.browsing.admission import COOKIE, PageGuard, PageRefusal, is_local
from lm_deluge.cli.browsing.asked import read_asked
from lm_deluge.cli.browsing.paces import PACES, playing, said_to
from support.relaying import check_log, text_of
from support.web_page import KEY, ask, read, serving_page


async def test_a_question_becomes_a_stream_that_can_be_read_again() -> None:
    async with serving_page({"text": "Hello"}) as url, aiohttp.ClientSession() as session:
        status, said = await ask(session, url)
        assert status == 200
        for _ in range(2):
            events = await read(session, url, said["id"])
            check_log(events)
            assert text_of(events) == "Hello"
        assert len(said["id"]) >= 32


async def test_the_talk_so_far_and_the_system_message_are_sent() -> None:
    heard: list[Any] = []

    def answer(body: Any) -> str:
        heard.append(body["messages"])
        return "Yes"

    talk = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ]
    async with (
        serving_page({"text": answer}, system="Be brief.") as url,
        aiohttp.ClientSession() as session,
    ):
        _, said = await ask(session, url, messages=talk)
        await read(session, url, said["id"])
    assert [(m["role"], m["content"]) for m in heard[0]] == [
        ("system", "Be brief."), ("user", "One"), ("assistant", "Two"), ("user", "Three"),
    ]  # fmt: skip


async def test_every_file_of_the_page_is_served_with_a_policy_that_lets_nothing_else_in() -> None:
    async with serving_page({}) as url, aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            page = await response.text()
        for path in ("/", "/page/main.js", "/page/markdown/inline.js", "/page/style.css", "/about"):
            async with session.get(url + path) as response:
                assert response.status == 200
                policy = response.headers["Content-Security-Policy"]
                body = await response.text()
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert KEY not in body
    assert "style=" not in page
    assert "<script>" not in page


async def test_no_key_is_told_when_the_provider_refuses_it() -> None:
    text = {"text": f"your key is {KEY}", "faults": "status:401"}
    async with serving_page(text) as url, aiohttp.ClientSession() as session:
        _, said = await ask(session, url)
        events = await read(session, url, said["id"])
        check_log(events, ending="error")
        item = events[-1].items[-1]
        assert "refused" in item["message"].splitlines()[0]
        assert KEY not in "".join(event.data for event in events)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "page.localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "10.0.0.1"}, 421),
        ({"Host": "a b"}, 400),
        ({"Host": ""}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "file://"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_pages_of_others_are_refused(headers: dict[str, str], status: int) -> None:
    async with serving_page({}) as url, aiohttp.ClientSession(headers=headers) as session:
        for path in ("/", "/about", "/streams/none"):
            async with session.get(url + path) as response:
                assert response.status == (
                    204 if (path, status) == ("/streams/none", 200) else status
                )
        assert (await ask(session, url))[0] == status


async def test_a_form_of_another_site_can_ask_nothing() -> None:
    async with serving_page({}) as url, aiohttp.ClientSession() as session:
        for headers in ({"Content-Type": "text/plain"}, {"Sec-Fetch-Site": "cross-site"}):
            async with session.post(f"{url}/ask", data="{}", headers=headers) as response:
                assert response.status in (403, 415)


MESSAGE = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 50_000, "no JSON"),
        (b"[]", "must be an object, not list"),
        ({}, "model must be a name, not nothing"),
        ({"model": 1}, "model must be a name, not int"),
        ({"model": "m"}, "messages must be a list"),
        ({"model": "m", "messages": []}, "at least one"),
        ({"model": "m", "messages": [MESSAGE] * 2_001}, "2,001; at most 2,000"),
        ({"model": "m", "messages": [None]}, r"messages\[0\] must be an object, not nothing"),
        ({"model": "m", "messages": [{**MESSAGE, "role": "system"}]}, r"messages\[0\]: role"),
        ({"model": "m", "messages": [{**MESSAGE, "role": ["user"]}]}, r"messages\[0\]: role"),
        ({"model": "m", "messages": [{**MESSAGE, "content": "  "}]}, r"messages\[0\]: content"),
        (
            {"model": "m", "messages": [{**MESSAGE, "content": [MESSAGE]}]},
            r"messages\[0\]: content",
        ),
        ({"model": "m", "messages": [MESSAGE, {**MESSAGE, "role": "assistant"}]}, "last message"),
    ],
)
def test_what_is_no_question_is_refused_in_words(body: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_asked(body if isinstance(body, bytes) else json.dumps(body).encode())


async def test_refusals_come_as_json() -> None:
    async with serving_page({}) as url, aiohttp.ClientSession() as session:
        assert await ask(session, url, messages=[]) == (
            400, {"error": "messages must be a list with at least one message"},
        )  # fmt: skip
        status, said = await ask(session, url, model="gpt-6-sol")
        assert (status, "gpt-6-sol" in said["error"]) == (404, True)


async def test_from_other_machines_one_enters_by_the_link_alone() -> None:
    guard = PageGuard.of("0.0.0.0", ["box"])
    assert guard.token is not None
    assert guard.token not in repr(guard)
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving_page({"text": "Hello"}, guard=guard) as url:
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            for query in ("", "?token=wrong", "?token=%ff"):
                async with session.get(f"{url}/{query}") as response:
                    assert response.status == 403
            assert (await ask(session, url))[0] == 403
            async with session.get(
                f"{url}/?token={guard.token}", allow_redirects=False
            ) as response:
                assert (response.status, response.headers["Location"]) == (303, "/")
                cookie = response.cookies[COOKIE]
                assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
            _, said = await ask(session, url)
            assert text_of(await read(session, url, said["id"])) == "Hello"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True), ("127.9.9.9", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("box", False)],
)  # fmt: skip
def test_only_addresses_of_this_machine_need_no_link(host: str, local: bool) -> None:
    assert is_local(host) == local
    assert (PageGuard.of(host).token is None) == local


def test_a_name_of_ones_own_is_let_in() -> None:
    guard = PageGuard.of("127.0.0.1", ["Box.lan"])
    guard.check({"Host": "box.lan:80"}, "127.0.0.1", changes=True)
    with pytest.raises(PageRefusal, match=r"--allow-host other\.lan"):
        guard.check({"Host": "other.lan"}, "127.0.0.1", changes=False)
    with pytest.raises(ValueError, match="--allow-host"):
        PageGuard.of("127.0.0.1", ["http://box"])


@pytest.mark.parametrize(
    ("asked", "holds"),
    [("A STORY", "lighthouse"), ("a table", "| figure |"), ("python?", "```python"), ("Hi", "simulator"),
     ("", "simulator")],
)  # fmt: skip
def test_the_simulator_says_what_suits_the_question(asked: str, holds: str) -> None:
    assert holds in said_to({"messages": [{"role": "user", "content": asked}]})


def test_the_simulator_does_not_say_the_same_twice_in_a_row() -> None:
    talk = [{"role": "user", "content": "Hm"}]
    assert said_to({"messages": talk}) != said_to({"messages": talk * 2})


@pytest.mark.parametrize(
    "body", [None, [], {}, {"messages": [None]}, {"messages": [{"role": "user"}]}]
)
def test_the_simulator_answers_whatever_is_asked(body: Any) -> None:
    assert said_to(body)


async def test_every_pace_plays() -> None:
    async with playing() as urls:
        assert set(urls) == {pace.name for pace in PACES}
