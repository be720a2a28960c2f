"""How a stream ends, by what came of asking: every row of the table, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from lm_deluge import LLMClient, Stream
from lm_deluge.engine import endings, life
from lm_deluge.engine.endings import ENDINGS, Came, Way
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.observers import queues
from support.bare_server import ThreadedServer
from support.clients import client_for
from support.drawn import drawn
from support.scripted import HANG, HEADERS, ScriptedServer, answer, events, http, reply


class Unknown(BaseException):
    """Nobody's."""


class Kindred(asyncio.CancelledError):
    """A cancellation of somebody's own."""


HANGING: Any = [HEADERS, http(events("Once")), HANG]
#: By row: what the server does, what the engine's own step raises, and the ending's class and words.
CAUSES: dict[Came, list[tuple[Any, Callable[[], BaseException] | None, type | None, str]]] = {
    "answer": [(answer("a"), None, None, "")],
    "failure": [(reply("400 No", "no"), None, StreamError, "no")],
    "broken": [
        (answer("a"), lambda: ValueError("odd"), StreamError, "internal error: ValueError: odd")
    ],
    "cancelled": [
        (HANGING, None, StreamCancelled, "its task was cancelled"),
        (answer("a"), Kindred, StreamCancelled, "its task was cancelled"),
        (answer("a"), Unknown, StreamCancelled, "Unknown was raised"),
    ],
    "exit": [
        (answer("a"), SystemExit, StreamCancelled, "SystemExit was raised"),
        (answer("a"), KeyboardInterrupt, StreamCancelled, "KeyboardInterrupt was raised"),
    ],
}


class Watcher:
    """Hears the ending, and works on it for a moment. ``settled``: what became of that."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.settled = "never"
        self.token = asyncio.Event()

    def on_token(self, stream: Stream, token: Any) -> None:
        self.token.set()

    async def work(self) -> None:
        self.settled = "begun"
        moment = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, moment.set)
        try:
            await moment.wait()
        except asyncio.CancelledError:
            self.settled = "hurriedly"
            raise
        self.settled = "patiently"

    async def on_complete(self, stream: Stream, response: Any) -> None:
        self.heard.append("on_complete")
        await self.work()

    async def on_error(self, stream: Stream, error: Any) -> None:
        self.heard.append("on_error")
        await self.work()


def task_of(stream: Stream) -> asyncio.Task[Any]:
    """The task that runs the stream."""
    (task,) = (task for task in asyncio.all_tasks() if stream.id in task.get_name())
    return task


async def raised_by(stream: Stream, task: asyncio.Task[Any]) -> str:
    """Where what ended the stream came out."""
    came_out: BaseException | None = None
    try:
        await stream
    except StreamError:
        pass
    except BaseException as error:
        came_out = error
    await asyncio.wait([task])
    if task.cancelled() or task.exception() is not None:
        return "the task"
    return "nowhere" if came_out is None else "the waiter"


def raising(failure: Callable[[], BaseException]) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise failure()

    return fail


@pytest.mark.parametrize(
    ("row", "case"), [(row, case) for row in CAUSES for case in range(len(CAUSES[row]))]
)
async def test_a_stream_ends_as_the_table_says(
    row: Came, case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, failure, kind, words = CAUSES[row][case]
    monkeypatch.setattr(queues, "_HURRIED_WAIT", 0)
    if failure is not None:
        monkeypatch.setattr(life, "response_of", raising(failure))
    async with ScriptedServer(script) as server, client_for(server) as client:
        watcher = Watcher()
        stream = client.open_stream("hi", handlers=[watcher])
        stream.start()
        task = task_of(stream)
        if script is HANGING:
            await watcher.token.wait()
            task.cancel()
        raised = await raised_by(stream, task)
        assert Way(watcher.heard[0], watcher.settled, raised) == ENDINGS[row]  # type: ignore[arg-type]
    assert len(watcher.heard) == 1
    if kind is None:
        assert stream.error is None
    else:
        assert type(stream.error) is kind or isinstance(stream.error, kind)
        assert words in str(stream.error)


def test_a_stream_whose_loop_was_closed_ends_at_once() -> None:
    heard: list[str] = []

    class Plain:
        def on_complete(self, stream: Stream, response: Any) -> None:
            heard.append("on_complete")

        def on_error(self, stream: Stream, error: StreamError) -> None:
            heard.append("on_error")

    async def begin(client: LLMClient) -> tuple[Stream, Watcher]:
        watcher = Watcher()
        stream = client.open_stream("hi", handlers=[Plain(), watcher])
        stream.start()
        await watcher.token.wait()
        return stream, watcher

    with ThreadedServer(HANGING) as server:
        loop = asyncio.new_event_loop()
        client = client_for(server)  # type: ignore[arg-type]
        stream, watcher = loop.run_until_complete(begin(client))
        loop.close()
        asyncio.run(client.close())
    assert Way(heard[0], watcher.settled, "at once") == ENDINGS["closed"]  # type: ignore[arg-type]
    assert heard == ["on_error"]
    assert isinstance(stream.error, StreamCancelled)


def test_the_table_is_the_one_that_is_drawn() -> None:
    assert drawn(endings) == {
        (came, column): getattr(way, column)
        for came, way in ENDINGS.items()
        for column in Way._fields
    }
    assert set(ENDINGS) == set(get_args(Came)) == {*CAUSES, "closed"}
