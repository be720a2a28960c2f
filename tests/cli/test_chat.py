"""``lm-deluge chat``, at a terminal of its own and fed through a pipe."""

from __future__ import annotations

import asyncio
import shlex
import time
from typing import Any

import pytest

from lm_deluge.simulator import EOF, ReceivedRequest, Reply, Simulator
from support.aftermath import PATIENCE, within
from support.programs import Run, clean_environment, simulated


def by_turn(body: dict) -> str:
    return f"Answer {sum(message['role'] == 'user' for message in body['messages'])}."


async def test_conversation_at_a_terminal(start) -> None:
    async with Simulator(text=by_turn) as simulator:
        chat = await start("chat", "--system", "Be brief.", env=simulated(simulator), terminal=True)
        await chat.until("You: ")
        chat.type("Hello\n")
        await chat.until("Answer 1.")
        chat.type("And then?\n")
        await chat.until("Answer 2.")
        chat.type("quit\n")
        assert await chat.ended() == 0
        assert simulator.connections == 1
    assert "first token after" in chat.out
    sent = [message["content"] for message in simulator.requests[1].json["messages"]]
    assert sent == ["Be brief.", "Hello", "Answer 1.", "And then?"]


async def test_ctrl_d_leaves(start) -> None:
    async with Simulator() as simulator:
        chat = await start("chat", env=simulated(simulator), terminal=True)
        await chat.until("You: ")
        chat.type("\x04")
        assert await chat.ended() == 0
    assert "Traceback" not in chat.out


async def test_ctrl_c_at_the_prompt_leaves(start) -> None:
    async with Simulator() as simulator:
        chat = await start("chat", env=simulated(simulator), terminal=True)
        await chat.until("You: ")
        await asyncio.sleep(0.3)  # readline sleeps through a Ctrl-C right after its prompt
        chat.interrupt()
        assert await chat.ended() == 130
    assert "Traceback" not in chat.out


async def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(start) -> None:
    async with Simulator(text=["slow ", *["word "] * 1000], gap=0.02) as simulator:
        chat = await start("chat", env=simulated(simulator), terminal=True)
        await chat.until("You: ")
        chat.type("Hello\n")
        await chat.until("slow word")
        chat.interrupt()
        interrupted = time.perf_counter()
        await chat.until("[stopped]")
        assert time.perf_counter() - interrupted < 2.0
        assert await within(PATIENCE, lambda: simulator.requests[0].disconnected)
        chat.type("Again\n")
        await simulator.wait_request(2)
        chat.interrupt()
        await chat.until("[stopped]\n\nYou: ")
        chat.type("quit\n")
        assert await chat.ended() == 0
    # What was read of the answer stays in the conversation.
    roles = [message["role"] for message in simulator.requests[1].json["messages"]]
    assert roles == ["user", "assistant", "user"]
    said = simulator.requests[1].json["messages"][1]["content"]
    assert said.startswith("slow word ")


async def test_failed_answer_is_told_and_the_chat_goes_on(start) -> None:
    async with Simulator(text=by_turn, faults=["status:400", None]) as simulator:
        chat = await start("chat", env=simulated(simulator), terminal=True)
        await chat.until("You: ")
        chat.type("Hello\n")
        await chat.until("BadRequestError")
        chat.type("Hello?\n")
        await chat.until("Answer 1.")  # the question without an answer is taken back
        chat.type("exit\n")
        assert await chat.ended() == 0


async def test_lines_of_a_pipe_are_messages(run: Run, command_name: tuple[str, ...]) -> None:
    async with Simulator(text=by_turn) as simulator:
        done = await run(
            *command_name, "chat", env=simulated(simulator), stdin="Hello\n\nAnd then?\n"
        )
    assert (done.code, done.out, done.err) == (0, "Answer 1.\nAnswer 2.\n", "")


async def test_failure_in_a_pipe_shows_in_the_exit_code(
    run: Run, command_name: tuple[str, ...]
) -> None:
    async with Simulator(text=by_turn, faults=["eof:1", None]) as simulator:
        done = await run(*command_name, "chat", env=simulated(simulator), stdin="One\nTwo\n")
    assert done.code == 1
    assert done.err.startswith("lm-deluge: AnswerCutError: ")
    assert len(done.err.splitlines()) == 1
    assert done.out.startswith("Answer\n")


async def test_closed_pipe_ends_the_chat(run: Run, command_name: tuple[str, ...]) -> None:
    async with Simulator(text=["word "] * 2000, gap=0.005) as simulator:
        line = f'{shlex.join(command_name)} chat | head -c 8; echo " ${{PIPESTATUS[0]}}"'
        done = await run("bash", "-c", line, env=simulated(simulator), stdin="One\nTwo\n")
    assert (done.out, done.err) == ("word wor 141\n", "")
    assert simulator.request_count == 1


@pytest.mark.parametrize(
    ("args", "word", "code"),
    [(("-m", "claude-3"), "Anthropic", 2), ((), "OPENAI_API_KEY", 1)],
)
async def test_what_cannot_work_is_said_before_the_first_question(
    start, args: tuple[str, ...], word: str, code: int
) -> None:
    chat = await start("chat", *args, env=clean_environment(), terminal=True)
    assert await chat.ended() == code
    assert word in chat.out
    assert len(chat.out.splitlines()) == 1
    assert "You: " not in chat.out


NOTHING = b'data: {"choices":[{"index":0,"delta":{"content":%s},"finish_reason":"length"}]}\n\n'


@pytest.mark.parametrize(
    "empty",
    [
        [NOTHING % b'""', b"data: [DONE]\n\n"],
        [NOTHING % b'" \\n"', b"data: [DONE]\n\n"],
        [NOTHING.replace(b"content", b"reasoning") % b'"Hm."', b"data: [DONE]\n\n"],
        [NOTHING % b'"  "', EOF],
        None,
    ],
    ids=["nothing", "white space", "only thoughts", "white space, cut", "refused"],
)
async def test_no_empty_answer_stays_in_the_conversation(
    run: Run, command_name: tuple[str, ...], empty: list[Any] | None
) -> None:
    """Nor the question that has none: servers refuse a conversation that holds either."""
    first = Reply(steps=empty) if empty is not None else Reply(steps=[b"{}"], status=400)

    def reply(record: ReceivedRequest) -> Reply | None:
        return first if record.index == 0 else None

    async with Simulator(text="Yes.", reply=reply) as simulator:
        done = await run(*command_name, "chat", env=simulated(simulator), stdin="One\nTwo\n")
        last = simulator.requests[-1].json["messages"]
    assert last == [{"role": "user", "content": "Two"}]
    assert done.out.endswith("Yes.\n")
    assert len(done.err.splitlines()) == 1


async def test_an_empty_answer_is_told(run: Run, command_name: tuple[str, ...]) -> None:
    raw = [NOTHING % b'""', b"data: [DONE]\n\n"]
    async with Simulator(raw=raw) as simulator:
        done = await run(*command_name, "chat", env=simulated(simulator), stdin="One\n")
    assert (done.code, done.out) == (0, "")
    assert done.err == "lm-deluge: the answer has no text (finish reason: length)\n"


async def test_a_refusal_is_an_answer(run: Run, command_name: tuple[str, ...]) -> None:
    async with Simulator(refusal="I cannot.") as simulator:
        done = await run(*command_name, "chat", env=simulated(simulator), stdin="One\nTwo\n")
        sent = [message["content"] for message in simulator.requests[1].json["messages"]]
    assert (done.code, done.out) == (0, "I cannot.\nI cannot.\n")
    assert sent == ["One", "I cannot.", "Two"]


async def test_what_comes_through_a_pipe_is_a_message_whatever_it_says(
    run: Run, command_name: tuple[str, ...]
) -> None:
    async with Simulator(text=by_turn) as simulator:
        stdin = b"One\nquit\ncaf\xe9"
        done = await run(*command_name, "chat", env=simulated(simulator), stdin=stdin)
        sent = [
            m["content"] for m in simulator.requests[-1].json["messages"] if m["role"] == "user"
        ]
    assert (done.code, done.out) == (0, "Answer 1.\nAnswer 2.\nAnswer 3.\n")
    assert sent == ["One", "quit", "caf\N{REPLACEMENT CHARACTER}"]
    assert done.err == "lm-deluge: a message is not UTF-8; what cannot be read is replaced\n"
