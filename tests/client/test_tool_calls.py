"""Calls of one answer as they run: threads, limits, approval, whatever tools do, cancellation anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from lm_deluge import (
    APIResponse,
    Conversation,
    Stream,
    StreamHandler,
    Tool,
    ToolCall,
    ToolsResponse,
)
from lm_deluge.errors import StreamCancelled
from lm_deluge.simulator import Simulator
from support.clients import KEY, client_for

WHO = contextvars.ContextVar("WHO", default="nobody")


async def run(tools: list[Any], calls: list[tuple[str, Any]], **options: Any) -> ToolsResponse:
    """Run what a scripted model calls."""
    async with Simulator(tool_calls=calls, tokens=3) as sim:
        return await client_for(sim).run_tools("Hi", tools, **options)


def texts(response: ToolsResponse) -> list[str]:
    return [result.text for result in response.results]


async def test_sync_functions_run_in_threads_with_the_context_of_the_caller() -> None:
    def who() -> str:
        assert threading.current_thread() is not threading.main_thread()
        return WHO.get()

    async def also() -> str:
        assert threading.current_thread() is threading.main_thread()
        return WHO.get()

    WHO.set("me")
    assert texts(await run([who, also], [("who", {}), ("also", {})])) == ["me", "me"]


async def test_calls_run_at_the_same_time_and_their_results_stand_as_asked() -> None:
    met = threading.Barrier(2, timeout=20)
    gone = asyncio.Event()

    def wait(name: str) -> str:
        met.wait()
        return name

    async def later() -> str:
        await gone.wait()
        return "later"

    async def sooner() -> str:
        gone.set()
        return "sooner"

    calls: list[tuple[str, Any]] = [
        ("later", {}), ("wait", {"name": "a"}), ("wait", {"name": "b"}), ("sooner", {})
    ]  # fmt: skip
    response = await run([wait, later, sooner], calls)
    assert texts(response) == ["later", "a", "b", "sooner"]


async def test_at_most_so_many_calls_run_at_a_time() -> None:
    running = most = 0

    async def tool() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    await run([tool], [("tool", {})] * 5, concurrency=2)
    assert most == 2


async def test_what_tools_raise_is_told_and_logged_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> None:
        raise ValueError(f"the key {KEY} is wrong")

    async def groups() -> None:
        raise ExceptionGroup("two", [OSError("a"), ValueError("b")])

    async def cancels() -> None:
        raise asyncio.CancelledError

    def stops() -> None:
        raise StopIteration

    names = ["fails", "groups", "cancels", "stops"]
    with caplog.at_level(logging.INFO, "lm_deluge"):
        response = await run([fails, groups, cancels, stops], [(name, {}) for name in names])
    told = texts(response)
    assert told[0].startswith("ValueError: the key ")
    assert told[1].endswith("[OSError: a; ValueError: b]")
    assert told[2].startswith("CancelledError")
    assert told[3] == "StopIteration"
    assert all(result.is_error for result in response.results)
    assert KEY not in "".join(told)
    assert "ValueError" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["sync", "async"])
def test_what_ends_the_program_goes_on_and_the_others_are_stopped(
    kind: type[BaseException], where: str
) -> None:
    stopped: list[str] = []

    def sync() -> None:
        raise kind

    async def other() -> None:
        raise kind

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("slow")

    conversation = Conversation().user("Hi")

    async def main() -> None:
        name = "sync" if where == "sync" else "other"
        async with Simulator(tool_calls=[("slow", {}), (name, {})], tokens=3) as sim:
            await client_for(sim).run_tools(conversation, [sync, other, slow])

    with pytest.raises(kind):
        asyncio.run(main())
    assert stopped == ["slow"]
    assert [message.role for message in conversation] == ["user", "assistant", "tool", "tool"]


async def test_a_function_that_is_too_slow_is_told_of_and_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = threading.Event()
    cancelled: list[bool] = []

    def blocks() -> None:
        ended.wait(20)

    async def sleeps() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(True)

    def returns_awaitable() -> Any:
        return asyncio.Event().wait()

    tools = [Tool(blocks, timeout=0.05), sleeps, returns_awaitable]
    calls = [("blocks", {}), ("sleeps", {}), ("returns_awaitable", {})]
    begun = time.perf_counter()
    response = await run(tools, calls, tool_timeout=0.1)
    assert time.perf_counter() - begun < 5
    ended.set()
    assert texts(response) == [
        "the tool did not end within 0.05 s",
        "the tool did not end within 0.1 s",
        "the tool did not end within 0.1 s",
    ]
    assert cancelled == [True]
    assert "tool blocks goes on in its thread" in caplog.text


async def test_a_time_limit_of_a_tool_wins_over_that_of_the_run() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "done"

    assert texts(await run([Tool(slow, timeout=None)], [("slow", {})], tool_timeout=0.01)) == [
        "done"
    ]


async def test_what_is_wrong_with_a_call_is_told_and_nothing_is_run() -> None:
    ran: list[int] = []

    def tool(n: int) -> None:
        ran.append(n)

    calls = [
        ("tool", "{"),
        ("tool", "[1]"),
        ("tool", {"n": "x"}),
        ("other", {}),
        ("tool", {"n": "3"}),
    ]
    response = await run([tool], calls)
    told = texts(response)
    assert told[0].startswith("the arguments are not JSON: ")
    assert told[1] == "the arguments must be a JSON object, not an array"
    assert told[2] == "the arguments do not fit: n: Expected `int`, got `str`"
    assert told[3] == "there is no tool 'other'; there are: tool"
    assert told[4] == "null"
    assert ran == [3]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_hook_may_refuse_or_change_a_call(is_async: bool) -> None:
    asked: list[str] = []

    def tool(n: int) -> int:
        return n

    def judge(call: ToolCall) -> bool | str | Mapping[str, Any]:
        asked.append(call.arguments)
        n = call.parsed()["n"]
        return {1: True, 2: False, 3: "three is too many", 4: {"n": 40}}[n]

    async def judge_later(call: ToolCall) -> bool | str | Mapping[str, Any]:
        await asyncio.sleep(0.002 * (5 - call.parsed()["n"]))
        return judge(call)

    calls = [("tool", {"n": n}) for n in (1, 2, 3, 4)]
    response = await run([tool], calls, approve=judge_later if is_async else judge)
    assert texts(response) == [
        "1",
        "the call was refused",
        "the call was refused: three is too many",
        "40",
    ]
    assert [result.is_error for result in response.results] == [False, True, True, False]
    assert asked == [f'{{"n": {n}}}' for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("verdict", [None, 1, [], b"no"])
async def test_a_hook_that_does_not_say_runs_nothing(verdict: Any) -> None:
    ran: list[int] = []

    def tool() -> None:
        ran.append(1)

    with pytest.raises(TypeError, match="approve must return True, False"):
        await run([tool], [("tool", {})], approve=lambda _: verdict)
    assert ran == []


async def test_what_a_hook_raises_ends_the_run_and_leaves_a_whole_conversation() -> None:
    def approve(call: ToolCall) -> bool:
        if call.name == "second":
            raise PermissionError("not with me")
        return True

    conversation = Conversation().user("Hi")
    tools = [Tool(lambda: "a", name="first"), Tool(lambda: "b", name="second")]
    async with Simulator(tool_calls=[("first", {}), ("second", {})], tokens=3) as sim:
        with pytest.raises(PermissionError, match="not with me"):
            await client_for(sim).run_tools(conversation, tools, approve=approve, concurrency=1)
        assert len(conversation) == 4
        response = await client_for(sim).stream(conversation)
    assert response.completion


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
async def test_what_a_hook_raises_ends_the_run_whatever_it_would_do_to_a_task(
    is_async: bool, kind: type[BaseException]
) -> None:
    ran: list[int] = []

    def approve(call: ToolCall) -> bool:
        raise kind

    async def approve_later(call: ToolCall) -> bool:
        raise kind

    tool = Tool(lambda: ran.append(1), name="tool")
    with pytest.raises(kind):
        await run([tool], [("tool", {})], approve=approve_later if is_async else approve)
    assert ran == []


@pytest.mark.parametrize("by_hook", [True, False])
async def test_what_ends_a_run_holds_nothing_once_it_was_handled(by_hook: bool) -> None:
    class Kept:
        pass

    kept: list[weakref.ref[Kept]] = []

    async def stop(call: ToolCall | None = None) -> bool:
        value = Kept()
        kept.append(weakref.ref(value))
        raise SystemExit(3)

    async def goes_on() -> None: ...

    tool = Tool(goes_on if by_hook else stop, name="tool", parameters={"type": "object"})
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(SystemExit):
            await run([tool], [("tool", {})], approve=stop if by_hook else None)
        await asyncio.sleep(0)
        (one,) = kept
        assert one() is None
    finally:
        gc.enable()


async def test_other_arguments_of_a_hook_that_do_not_fit_are_said_to_be_its_own() -> None:
    def tool(n: int) -> int:
        return n

    with pytest.raises(
        ValueError, match=r"approve gave arguments for tool: .* m: there is no such"
    ):
        await run([tool], [("tool", {"n": 1})], approve=lambda _: {"n": 1, "m": 2})


async def test_half_of_a_surrogate_pair_that_a_model_wrote_is_told_to_it_as_what_can_be_sent() -> (
    None
):
    def tool(n: int = 0) -> int:
        return n

    calls = [("tool", r'{"\ud800": 1}'), ("tool", {"n": 1})]
    reasons = ["\udc00 never"]
    response = await run(
        [tool], calls, approve=lambda call: reasons[0] if call.parsed() == {"n": 1} else True
    )
    assert texts(response) == [
        "the arguments do not fit: ?: there is no such argument (there are: n)",
        "the call was refused: ? never",
    ]


async def test_a_tool_may_raise_what_would_only_close_its_coroutine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def tool() -> None:
        raise GeneratorExit("done")

    response = await run([tool], [("tool", {})])
    gc.collect()
    assert texts(response) == ["GeneratorExit: done"]
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("has_calls", [True, False])
async def test_a_client_that_is_closed_while_an_answer_ends_runs_nothing_more(
    has_calls: bool,
) -> None:
    ran: list[int] = []

    class Slow(StreamHandler):
        async def on_complete(self, stream: Stream, response: APIResponse) -> None:
            ending.set()
            await asyncio.sleep(0.05)

    ending = asyncio.Event()
    tool = Tool(lambda: ran.append(1), name="tool")
    conversation = Conversation().user("Hi")
    async with Simulator(tool_calls=[("tool", {})] if has_calls else None, tokens=3) as sim:
        client = client_for(sim, handlers=[Slow()])
        task = asyncio.create_task(client.run_tools(conversation, [tool]))
        await ending.wait()
        await client.close()
        if has_calls:
            with pytest.raises(StreamCancelled, match="its client was closed") as caught:
                await task
            (round_,) = caught.value.rounds
            assert [result.text for result in round_.results] == [
                "the call was stopped before it ended"
            ]
            assert caught.value.partial is not None
        else:
            assert (await task).ended_by == "answer"
        assert sim.request_count == 1
    assert ran == []
    assert len(conversation) == (3 if has_calls else 2)


async def test_a_tool_may_stream_itself() -> None:
    async with Simulator(tool_calls=[("ask", {"what": "more"})], tokens=3) as sim:
        client = client_for(sim, max_concurrent_streams=1)

        async def ask(what: str) -> Any:
            return await client.stream(what)

        response = await client.run_tools("Hi", [ask])
        answers = [request.json["messages"] for request in sim.requests]
    assert [len(messages) for messages in answers] == [1, 1, 3]
    assert not response.results[0].is_error
    assert response.results[0].text == response.results[0].value.completion


async def test_a_huge_result_is_cut() -> None:
    response = await run([Tool(lambda: "x" * 200_000, name="t")], [("t", {})], max_result_chars=10)
    assert texts(response) == [
        "x" * 10 + "\n[cut: the result has 200,000 characters, of which these are 10]"
    ]


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_cancelled_at_any_moment_nothing_is_left_and_the_conversation_is_whole(
    steps: int,
) -> None:
    running: set[str] = set()

    async def slow(name: str) -> str:
        running.add(name)
        try:
            await asyncio.sleep(0.01)
        finally:
            running.discard(name)
        return name

    def quick(name: str) -> str:
        return name

    conversation = Conversation().user("Hi")
    calls = [("slow", {"name": "a"}), ("quick", {"name": "b"}), ("slow", {"name": "c"})]
    async with Simulator(tool_calls=calls, tokens=3) as sim:
        client = client_for(sim)
        before = asyncio.all_tasks()
        task = asyncio.create_task(client.run_tools(conversation, [slow, quick]))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        is_done = task.done()
        task.cancel()
        if not is_done:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert running == set()
        await asyncio.sleep(0)
        left = {
            each for each in asyncio.all_tasks() - before if "lm_deluge tool" in each.get_name()
        }
        assert left == set()
        roles = [message.role for message in conversation]
        assert roles in (
            ["user"],
            ["user", "assistant", "tool", "tool", "tool"],
            ["user", "assistant", "tool", "tool", "tool", "assistant"],
        )
        await client.stream(conversation)  # no server refuses what is left


async def test_closing_the_client_stops_functions_and_begins_no_further_round() -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    conversation = Conversation().user("Hi")
    async with Simulator(tool_calls=[("slow", {})], tokens=3) as sim:
        client = client_for(sim)
        task = asyncio.create_task(client.run_tools(conversation, [slow]))
        await began.wait()
        await client.close()
        with pytest.raises(StreamCancelled, match="its client was closed") as caught:
            await task
        assert stopped.is_set()
        assert sim.request_count == 1
    (only,) = caught.value.rounds
    assert only.results[0].text == "the call was stopped before it ended"
    assert caught.value.partial is not None
    assert caught.value.partial.tool_calls == only.response.tool_calls
    assert [message.role for message in conversation] == ["user", "assistant", "tool"]


async def test_a_task_that_does_not_end_when_cancelled_is_left_and_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_deluge.client import tool_calls

    monkeypatch.setattr(tool_calls, "_GRACE", 0.05)
    go = asyncio.Event()

    async def stubborn() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    response = await run([stubborn], [("stubborn", {})], tool_timeout=0.05)
    assert texts(response) == ["the tool did not end within 0.05 s"]
    assert "tool stubborn goes on: it did not end when it was cancelled" in caplog.text
    go.set()
    await asyncio.sleep(0)
