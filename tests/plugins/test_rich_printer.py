"""``RichPrinter`` with real streams: on terminals of several kinds, and on what is none."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import time
from typing import Any

import pytest

from lm_deluge import LLMClient
from lm_deluge.errors import StreamError
from lm_deluge.simulator import EOF, Simulator
from lm_deluge_plugins import RichPrinter, StdoutPrinter, terminals
from lm_deluge_plugins.rich_printer.answer import DrawnAnswer
from support.markdown import trimmed, whole
from support.terminal import Terminal

TEXT = """# Rivers

The **Rhine** is `1233` km long, and goes on for so long that the line wraps.

1. one
2. two

```python
def f(x):
    return x + 1
```

| a | b |
|---|---|
| 1 | 2 |

The end.
"""


def chunk(content: str | None = None, **delta: str) -> bytes:
    said = delta if content is None else {"content": content, **delta}
    body = {"id": "1", "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(autouse=True)
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    sizes = terminals.size_of
    own = lambda file: file.size() if isinstance(file, Terminal) else sizes(file)  # noqa: E731
    monkeypatch.setattr(terminals, "size_of", own)
    monkeypatch.setattr("lm_deluge_plugins.rich_printer.stage.size_of", own)


def printing(simulator: Simulator, printer: Any, **kwargs: Any) -> LLMClient:
    return LLMClient(
        "gpt-4o", base_url=simulator.base_url, api_key="any", printer=printer, strict=True, **kwargs
    )


async def test_markdown_is_drawn_while_it_arrives() -> None:
    terminal = Terminal(60, 24)
    async with Simulator(text=TEXT, gap=0.001) as simulator:
        response = await printing(simulator, RichPrinter(terminal)).stream("?")
    assert response.completion == TEXT
    assert trimmed(terminal.lines) == whole(TEXT, 60)
    assert terminal.cursor[0] == 0
    assert "\x1b[" in terminal.written


async def test_the_first_words_are_there_before_the_last() -> None:
    terminal, gate = Terminal(60, 24), asyncio.Event()
    raw = [chunk("Some **bo"), gate, chunk("ld** words."), END]
    async with Simulator(raw=raw) as simulator:
        task = asyncio.create_task(printing(simulator, RichPrinter(terminal)).stream("?"))
        async with asyncio.timeout(5):
            while "Some" not in terminal.shown[0]:
                await asyncio.sleep(0.01)
        gate.set()
        await task
    assert terminal.shown[0] == "Some bold words."
    assert terminal.cell(0, 5).bold
    assert not terminal.cell(0, 0).bold


@pytest.mark.parametrize("settings", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"TERM": ""}], ids=str)
async def test_where_no_escapes_are_wanted_the_text_comes_as_it_is(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal(60, 24)
    async with Simulator(text=TEXT) as simulator:
        await printing(simulator, RichPrinter(terminal)).stream("?")
    assert terminal.written == TEXT


async def test_a_pipe_gets_what_stdout_printer_writes() -> None:
    one, other = io.StringIO(), io.StringIO()
    text = TEXT + "\x1b]0;title\x07"
    async with Simulator(text=text, reasoning=3) as simulator:
        await printing(simulator, RichPrinter(one)).stream("?")
        await printing(simulator, StdoutPrinter(other)).stream("?")
    assert one.getvalue() == other.getvalue() == text


@pytest.mark.parametrize("rate", [5.0, 50.0])
async def test_it_is_not_drawn_more_often_than_asked(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    play = DrawnAnswer._play
    monkeypatch.setattr(
        DrawnAnswer, "_play", lambda self: drawn.append(time.perf_counter()) or play(self)
    )
    terminal = Terminal(60, 24)
    async with Simulator(text=["word "] * 200, gap=0.005) as simulator:
        await printing(simulator, RichPrinter(terminal, refresh_per_second=rate)).stream("?")
    assert len(drawn) > 3
    gaps = [after - before for before, after in itertools.pairwise(drawn[:-1])]
    assert min(gaps) > 0.9 / rate  # the last one comes with the end


async def test_reasoning_is_dimmed_and_goes_before() -> None:
    terminal = Terminal(60, 24)
    raw = [
        chunk(reasoning_content="Let me "), chunk(reasoning_content="*think*."),
        chunk("Yes."), END,
    ]  # fmt: skip
    async with Simulator(raw=raw) as simulator:
        await printing(simulator, RichPrinter(terminal)).stream("?")
    assert trimmed(terminal.lines) == ["Let me think.", "", "Yes."]
    assert "\x1b[2mLet me" in terminal.written


async def test_reasoning_can_be_left_out() -> None:
    terminal = Terminal(60, 24)
    async with Simulator(text="Yes.", reasoning=3) as simulator:
        await printing(simulator, RichPrinter(terminal, reasoning=False)).stream("?")
    assert terminal.written == "Yes.\n"


async def test_a_tool_call_is_a_line_however_long() -> None:
    terminal = Terminal(40, 24)
    calls = [("look", '{"in": "' + "everywhere " * 20 + '"}'), ("\x1b]0;evil\x07", "{}")]
    async with Simulator(tool_calls=calls) as simulator:
        await printing(simulator, RichPrinter(terminal)).stream("?")
    first, second = trimmed(terminal.lines)
    assert first.startswith('[tool call] look({"in": "everywhere')
    assert first.endswith("…")
    assert second == "[tool call] ␛]0;evil␇({})"


EVIL = [
    "\x1b]0;title\x07",
    "\x9b31m",
    "&#27;[31m",
    "`\x1b[2J`",
    "&#x202e;abc",
    "\x1b]52;c;AAAA\x07",
]


@pytest.mark.parametrize("evil", EVIL, ids=repr)
@pytest.mark.parametrize(
    "form",
    ["{}", "# {}", "- {}", "```{0}\n{0}\n```", "[a{0}](http://x/{0})", "| {0} |\n|---|\n| {0} |"],
)
async def test_nothing_that_a_model_says_is_obeyed(evil: str, form: str) -> None:
    terminal, harmless = Terminal(60, 24), Terminal(60, 24)
    async with Simulator(text=form.format(evil)) as simulator:
        await printing(simulator, RichPrinter(terminal)).stream("?")
    async with Simulator(text=form.format("")) as simulator:
        await printing(simulator, RichPrinter(harmless)).stream("?")
    written = terminal.written
    for sequence in ("\x1b[2J", "\x1b]0", "\x1b]52", "\x1b[31m", "\x9b", "\x07", "\u202e"):
        assert sequence not in written


async def test_what_had_come_when_it_broke_stays() -> None:
    terminal = Terminal(60, 24)
    raw = [chunk("One **two"), EOF]
    async with Simulator(raw=raw) as simulator:
        with pytest.raises(StreamError):
            await printing(simulator, RichPrinter(terminal)).stream("?")
    assert terminal.lines == ["One **two"]
    assert terminal.cursor == (0, 1)


async def test_an_attempt_that_fails_before_any_output_leaves_nothing() -> None:
    terminal = Terminal(60, 24)
    faults = ["status:503:retry-after-ms=10", None]
    async with Simulator(text="Yes.", faults=faults) as simulator:
        response = await printing(simulator, RichPrinter(terminal)).stream("?")
    assert response.attempts == 2
    assert terminal.written == "Yes.\n"


@pytest.mark.parametrize("shared", [True, False], ids=["one printer", "a printer each"])
async def test_streams_at_a_time_come_one_after_the_other(shared: bool) -> None:
    terminal, one = Terminal(60, 24), None
    texts = {f"{name}": f"{name} " * 30 for name in ("alpha", "beta", "gamma")}
    async with Simulator(
        text=lambda body: texts[body["messages"][-1]["content"]], gap=0.002
    ) as simulator:
        one = RichPrinter(terminal)
        await asyncio.gather(
            *(
                printing(simulator, one if shared else RichPrinter(terminal)).stream(t)
                for t in texts
            )
        )
    words = " ".join(terminal.lines).split()
    assert sorted(words) == sorted("".join(texts.values()).split())
    turns = [word for at, word in enumerate(words) if at == 0 or words[at - 1] != word]
    assert len(turns) == 3


async def test_other_output_stands_above_what_is_still_drawn() -> None:
    terminal, gate = Terminal(60, 24), asyncio.Event()
    printer = RichPrinter(terminal)
    raw = [chunk("Half a "), gate, chunk("line."), END]
    async with Simulator(raw=raw) as simulator:
        task = asyncio.create_task(printing(simulator, printer).stream("?"))
        async with asyncio.timeout(5):
            while "Half" not in terminal.shown[0]:
                await asyncio.sleep(0.01)
        with printer.aside():
            terminal.write("a notice\n")
        assert terminal.shown[:2] == ["a notice", "Half a"]
        gate.set()
        await task
    assert terminal.lines == ["a notice", "Half a line."]


async def test_a_terminal_that_is_gone_ends_the_stream() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    async with Simulator(text=["word "] * 1000, gap=0.005) as simulator:
        with pytest.raises(StreamError) as caught:
            await printing(simulator, RichPrinter(Gone(60, 24))).stream("?")
    assert isinstance(caught.value.__cause__, OSError)


async def test_no_stream_is_kept() -> None:
    import gc
    import weakref

    terminal = Terminal(60, 24)
    printer = RichPrinter(terminal)
    async with Simulator(text=TEXT) as simulator:
        client = printing(simulator, printer)
        async with client.open_stream("?") as stream:
            kept = weakref.ref(stream)
            await stream
        del stream
        await client.close()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("name", "value", "words", "kind"),
    [
        ("file", 3, "file must be a text file", TypeError),
        ("reasoning", 1, "reasoning must be", TypeError),
        ("code_theme", "nosuch", "code_theme must be a style of Pygments", ValueError),
        ("refresh_per_second", 0, "refresh_per_second must be", ValueError),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    name: str, value: Any, words: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=words):
        RichPrinter(**{name: value})
