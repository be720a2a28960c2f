"""The page of ``lm-deluge web`` in a real browser: what is seen, what is harmless, what goes on."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from support.browser import Page, open_page
from support.outside import npm_file
from support.probing import road_to
from support.web_page import serving_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ENDED = "document.querySelector('[aria-busy=true]') === null"
PROSE = "[...document.querySelectorAll('.prose')].at(-1).innerText"


async def say(page: Page, text: str) -> None:
    """Type a question and press Enter."""
    await page.value_of("document.getElementById('question').focus()")
    await page.type(text)
    await page.press("Enter")
    await page.until("document.querySelector('.turn') !== null")


async def ended(page: Page) -> None:
    await page.until(ENDED)
    await page.until("document.getElementById('send').textContent === 'Send'")


def only_from(page: Page, url: str) -> bool:
    """Whether nothing of any other host was asked for."""
    return {urlsplit(request).netloc for request in page.requests} == {urlsplit(url).netloc}


async def test_text_is_read_while_it_comes_and_its_timeline_below_it() -> None:
    pieces = ["# One\n\n", "**two", "** three", "\n\n- four\n", "- five"]
    model = {"text": pieces, "ttft": 0.3, "gap": 0.25, "reasoning": 4}
    async with serving_page(model) as url, open_page(url) as page:
        await say(page, "Hi")
        await page.until("document.querySelector('.prose strong')?.textContent === 'two'")
        assert not await page.value_of(ENDED)
        assert await page.value_of("document.getElementById('send').textContent") == "Stop"
        assert await page.value_of("document.querySelector('.reasoning').open") is False
        await ended(page)
        assert (await page.value_of(PROSE)).split() == ["One", "two", "three", "four", "five"]
        words = await page.until("document.querySelector('figcaption').textContent.includes('n screen') "
                                 "&& document.querySelector('figcaption').textContent")  # fmt: skip
        for part in (
            "Reasoning from 0.",
            "First words after ",
            "9 pieces in ",
            "a second",
            "No stalls",
        ):
            assert part in words
        # The strip has a line for each piece, in both rows; and says in words what it shows.
        for row in ("came", "reasoning", "painted"):
            assert await page.value_of(f"document.querySelector('path.{row}').getAttribute('d')")
        label = await page.value_of("document.querySelector('svg').getAttribute('aria-label')")
        assert label == f"Timeline. {words}"
        # Nothing is on the screen before it came, and on an idle machine soon after.
        times = await page.value_of("JSON.parse(sessionStorage['lm-deluge-chat'])[0].timeline")
        late = [
            painted - came for came, painted in zip(times["came"], times["painted"], strict=True)
        ]
        assert -0.02 < min(late) < 1
        # Nobody is interrupted: what is spoken was said twice, and the focus stayed where one writes.
        assert await page.value_of(
            "document.getElementById('told').textContent.startsWith('The answer:')"
        )
        assert await page.value_of("document.activeElement.id") == "question"
        assert page.complaints == []
        assert only_from(page, url)


#: What a model may say, and what is still to be read of it.
HOSTILE = (
    ("<script>window.hacked = 1</script>", "<script>window.hacked = 1</script>"),
    ("<img src=x onerror='window.hacked = 1'>", "<img src=x onerror="),
    ("<svg/onload=window.hacked=1>", "<svg/onload=window.hacked=1>"),
    ("[press](javascript:window.hacked=1)", "press (javascript:window.hacked=1)"),
    ("[press](JaVaScRiPt&colon;alert(1))", "press"),
    ("[press](java\tscript:alert(1))", "press"),
    ("[press](data:text/html,<script>window.hacked=1</script>)", "press"),
    ("[press](vbscript:x)", "press"),
    ("[here](/streams/own)", "here (/streams/own)"),
    ("[fine](https://safe.example/a?b=c&d=e)", "fine"),
    ('[fine](https://safe.example "a\\" onclick=window.hacked=1 \\"")', "fine"),
    ("<javascript:window.hacked=1>", "<javascript:window.hacked=1>"),
    ("![picture](https://spy.example/pixel.gif?secret)", "image: picture"),
    ("![picture](javascript:window.hacked=1)", "image: picture"),
    ("[![in a link](https://spy.example/x.png)](https://safe.example)", "in a link"),
    ("`<b>` and **<i>bold</i>**", "<i>bold</i>"),
    ("```html\n<script>window.hacked = 1</script>\n```", "<script>window.hacked = 1</script>"),
    ('```"><script>window.hacked=1</script>\nx\n```', "x"),
    ("| <script>window.hacked=1</script> | b |\n|--|--|\n| <img src=x onerror=alert(1)> | c |", "<img src=x"),
    ("&lt;script&gt;window.hacked=1&lt;/script&gt;", "<script>window.hacked=1</script>"),
    ("<style>body{display:none}</style>", "<style>body{display:none}</style>"),
    ("<iframe src=https://spy.example></iframe>", "<iframe src=https://spy.example>"),
    ("<form action=https://spy.example><input name=a></form>", "<form action="),
    ("<meta http-equiv=refresh content='0;url=https://spy.example'>", "<meta http-equiv=refresh"),
    ("</div></article><h1>out of it", "</div></article><h1>out of it"),
    ("# <script>window.hacked=1</script>", "<script>window.hacked=1</script>"),
    ("> - <a href=javascript:window.hacked=1>x</a>", "<a href=javascript"),
    ("\u202eright to left \u0000 \ufeff", "right to left"),
)  # fmt: skip


@pytest.mark.parametrize("cut", [1, 1_000])
async def test_what_a_model_says_is_text_however_it_is_cut(cut: int) -> None:
    text = "\n\n".join(said for said, _ in HOSTILE)
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    call = [("<img src=x onerror=window.hacked=1>", "<script>window.hacked = 1</script>")]
    model = {"text": pieces, "reasoning": "<script>window.hacked = 1</script>", "tool_calls": call}
    async with serving_page(model) as url, open_page(url) as page:
        await say(page, "<script>window.hacked = 1</script>")
        await ended(page)
        await page.value_of(
            "document.querySelectorAll('#talk details').forEach((d) => d.open = true)"
        )
        shown = await page.value_of("document.getElementById('talk').innerText")
        for _, seen in HOSTILE:
            assert seen in shown, seen
        for selector in (
            "script",
            "img",
            "iframe",
            "style",
            "form",
            "input",
            "meta",
            "object",
            "link",
            "h1",
        ):
            assert await page.value_of(f"document.querySelectorAll('#talk {selector}').length") == 0
        attributes = await page.value_of(
            "[...document.querySelectorAll('#talk *')].flatMap((e) => e.getAttributeNames())"
        )
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style")
        ]
        links = await page.value_of(
            "[...document.querySelectorAll('#talk a')].map((a) => [a.protocol, a.rel, a.target, a.host])"
        )
        assert links
        assert {(protocol, rel.split()[0], target) for protocol, rel, target, _ in links} == {
            ("https:", "noopener", "_blank")
        }
        assert {host for *_, host in links} == {"safe.example", "spy.example"}
        await page.value_of(
            "document.querySelectorAll('#talk details, #talk summary').forEach((d) => d.click())"
        )
        assert await page.value_of("window.hacked ?? 'unharmed'") == "unharmed"
        assert only_from(page, url)
        assert page.complaints == []


TEXT = " ".join(f"word{number}" for number in range(60))


async def test_a_reload_and_a_lost_network_go_on_where_it_was_and_two_turns_follow() -> None:
    heard: list[Any] = []

    def answer(body: Any) -> str:
        heard.append([message["content"] for message in body["messages"]])
        return TEXT

    async with (
        serving_page({"text": answer, "gap": 0.05}) as url,
        road_to(url) as road,
        open_page(road.base_url) as page,
    ):
        await say(page, "Hi")
        await page.until(f"({PROSE}).includes('word8')")
        await page.reload()
        await page.until(f"({PROSE}).includes('word8')")
        assert not await page.value_of(ENDED)
        await page.until(f"({PROSE}).includes('word25')")
        road.cut()
        await page.until(
            "document.querySelector('.note').textContent.includes('connection is lost')"
        )
        # Somebody who has lost it is told so, and keeps what had come.
        assert "word25" in await page.value_of(PROSE)
        road.mend()
        await ended(page)
        assert await page.value_of("document.querySelector('.note').hidden") is True
        assert await page.value_of(PROSE) == TEXT
        # A chat that has ended is still there, and the next question stands on it.
        await page.reload()
        assert await page.value_of(PROSE) == TEXT
        assert await page.value_of("document.querySelectorAll('path.came[d^=M]').length") == 1
        await say(page, "And?")
        await page.until("document.querySelectorAll('.turn').length === 2")
        await ended(page)
        assert heard == [["Hi"], ["Hi", TEXT, "And?"]]
        await page.value_of("document.getElementById('new').click()")
        assert await page.value_of("document.querySelectorAll('.turn').length") == 0
        await page.reload()
        assert await page.value_of("document.getElementById('greeting').hidden") is False


async def test_escape_stops_and_keeps_what_came_and_a_broken_answer_is_asked_for_again() -> None:
    model = {"text": TEXT, "gap": 0.05, "faults": [None, "eof:9", None]}
    async with serving_page(model) as url, open_page(url) as page:
        await say(page, "Hi")
        await page.until(f"({PROSE}).includes('word5')")
        await page.press("Escape")
        await ended(page)
        kept = await page.value_of(PROSE)
        assert TEXT.startswith(kept)
        assert "word5" in kept
        assert "Stopped" in await page.value_of("document.querySelector('.note').textContent")
        assert await page.value_of("document.getElementById('told').textContent") == "Stopped."
        assert await page.value_of("document.activeElement.id") == "question"
        await say(page, "Again")
        await page.until("document.querySelectorAll('.turn').length === 2")
        await ended(page)
        trouble = "[...document.querySelectorAll('.trouble')].at(-1)"
        assert "cut off" in await page.value_of(f"{trouble}.innerText")
        again = "[...document.querySelectorAll('.actions button')].at(-1)"
        assert await page.value_of(f"{again}.textContent") == "Try again"
        await page.value_of(f"{again}.click()")
        await page.until(f"!({ENDED})")
        await ended(page)
        assert await page.value_of(PROSE) == TEXT
        assert await page.value_of(f"{trouble}.hidden") is True


WIDE = (
    "A word of 400 letters: " + "w" * 400 + "\n\n```py\n" + "code " * 80 + "\n```\n\n| "
    + " | ".join(f"column {n}" for n in range(14)) + " |\n" + "|--" * 14 + "|\n| "
    + " | ".join(["cell"] * 14) + " |\n\n1. [a link](https://safe.example/" + "x" * 300 + ")"
)  # fmt: skip


async def test_no_screen_is_too_narrow_and_nobody_is_left_out() -> None:
    axe = npm_file("axe-core", "axe-core/axe.min.js").read_text("utf-8")
    model = {
        "text": WIDE, "reasoning": "W" * 300, "tool_calls": [("look_up", '{"a": "' + "x" * 300 + '"}')],
        "faults": [None, "eof:3"],
    }  # fmt: skip
    async with serving_page(model, system="Be kind.") as url, open_page(url) as page:
        await page.value_of(axe)
        await check(page, "light", 1280)
        for question in ("Hi " + "q" * 300, "Break"):
            await say(page, question)
            await ended(page)
        await page.value_of(
            "document.querySelectorAll('#talk details').forEach((d) => d.open = true)"
        )
        for scheme in ("light", "dark"):
            for width in (1280, 390, 320):
                await check(page, scheme, width)
        await keys(page)


async def test_whoever_is_at_the_end_sees_what_comes_at_once_and_whoever_reads_above_is_let_be() -> (
    None
):
    long = "\n\n".join(f"Paragraph {number}." for number in range(60))
    bottom = "innerHeight + scrollY >= document.documentElement.scrollHeight - 2"
    async with serving_page({"text": [long], "ttft": 0.2}, {"text": long, "gap": 0.01}) as url:
        async with open_page(url) as page:
            await page.size(700, 600)
            await say(page, "Hi")
            await ended(page)
            await page.until(bottom)
            await page.value_of("document.getElementById('model').value = 'model-1'")
            await say(page, "Slowly")
            await page.until(f"({PROSE}).includes('Paragraph 9.')")
            await page.until(bottom)
            await page.value_of("scrollTo(0, 100)")
            await page.until("!document.getElementById('latest').hidden")
            await ended(page)
            assert await page.value_of("scrollY") == 100
            await page.value_of("document.getElementById('latest').click()")
            await page.until(bottom)


async def check(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    """Nothing scrolls sideways, and axe finds nothing serious."""
    await page.prefer(scheme)
    await page.size(width)
    root = "document.documentElement"
    assert await page.value_of(f"{root}.scrollWidth <= {root}.clientWidth"), (scheme, width)
    found = await page.result_of("axe.run().then((result) => result.violations.map("
        "({id, impact, nodes}) => [id, impact, nodes[0].html.slice(0, 120)]))")  # fmt: skip
    serious = [each for each in found if each[1] in ("serious", "critical")]
    assert serious == [], (scheme, width)


async def keys(page: Page) -> None:
    """Everything that can be pressed is reached by Tab, and seen when it is."""
    await page.value_of("document.activeElement.blur(); scrollTo(0, 0)")
    reached = []
    for _ in range(40):
        await page.press("Tab")
        focused = await page.value_of(
            "(({activeElement: e}) => [e.id || e.textContent.trim(), getComputedStyle(e).outlineStyle, "
            "e.matches(':focus-visible')])(document)"
        )
        reached.append(focused[0])
    for name in ("model", "new", "Copy", "Ask again", "Try again", "question", "send"):
        assert name in reached, (name, reached)
    # Shift+Enter begins a line, and Enter on the button sends.
    await page.value_of("document.getElementById('question').focus()")
    await page.type("one")
    await page.press("Enter", shift=True)
    await page.type("two")
    assert json.loads(
        await page.value_of("JSON.stringify(document.getElementById('question').value)")
    ) == ("one\ntwo")
