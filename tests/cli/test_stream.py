"""``lm-deluge stream``, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call, Finished, Run, clean_environment, simulated

Stream = Callable[..., Awaitable[Finished]]


@pytest.fixture
def stream(run: Run, command_name: tuple[str, ...]) -> Stream:
    async def start(*args: str, env: dict[str, str], stdin: str | bytes = b"") -> Finished:
        return await run(*command_name, "stream", *args, env=env, stdin=stdin)

    return start


def assert_one_line(done: Finished, code: int, *words: str) -> None:
    """It failed as a command should: one line on stderr, no traceback, the right exit code."""
    assert done.code == code, done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("lm-deluge: ")
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


async def test_prints_the_answer_and_ends_the_line(stream: Stream) -> None:
    async with Simulator(text="The sky is blue.") as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert (done.code, done.out, done.err) == (0, "The sky is blue.\n", "")


async def test_adds_no_second_newline(stream: Stream) -> None:
    async with Simulator(text=["One line.", "\n"]) as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert done.out == "One line.\n"


async def test_options_reach_the_server(stream: Stream) -> None:
    async with Simulator(text="{}") as simulator:
        done = await stream(
            "Why?", "-m", "gpt-4.1", "--system", "Answer in JSON.", "--temperature", "0.5",
            "--max-tokens", "7", "--json",
            env=simulated(simulator),
        )  # fmt: skip
    assert done.code == 0
    sent = simulator.requests[0].json
    assert sent["model"] == "gpt-4.1"
    assert sent["temperature"] == 0.5
    assert sent["max_completion_tokens"] == 7
    assert sent["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


async def test_effort_and_the_model_from_the_environment(stream: Stream) -> None:
    async with Simulator() as simulator:
        env = simulated(simulator, LM_DELUGE_MODEL="o3")
        done = await stream("Why?", "--effort", "low", env=env)
    assert done.code == 0
    assert simulator.requests[0].json["model"] == "o3"
    assert simulator.requests[0].json["reasoning_effort"] == "low"


@pytest.mark.parametrize("args", [(), ("-",)])
async def test_prompt_from_standard_input(stream: Stream, args: tuple[str, ...]) -> None:
    async with Simulator(text="Yes.") as simulator:
        done = await stream(*args, env=simulated(simulator), stdin="Is it?\nReally?\n")
    assert done.out == "Yes.\n"
    assert simulator.requests[0].json["messages"][0]["content"] == "Is it?\nReally?"


async def test_prompt_that_is_not_utf8_is_still_asked(stream: Stream) -> None:
    async with Simulator(text="Yes.") as simulator:
        done = await stream("-", env=simulated(simulator), stdin=b"caf\xe9?")
    assert done.code == 0
    assert simulator.requests[0].json["messages"][0]["content"] == "caf\N{REPLACEMENT CHARACTER}?"


async def test_unicode_prompt_and_answer(stream: Stream) -> None:
    text = "日本語 🎨 ñ — العربية"
    async with Simulator(text=[text]) as simulator:
        done = await stream(text, env=simulated(simulator))
    assert done.out == f"{text}\n"
    assert simulator.requests[0].json["messages"][0]["content"] == text


async def test_answer_that_the_terminal_cannot_show_is_replaced(stream: Stream) -> None:
    async with Simulator(text=["caf\u00e9 ", "\N{ARTIST PALETTE}"]) as simulator:
        env = simulated(simulator, PYTHONIOENCODING="ascii")
        done = await stream("Why?", env=env)
    assert (done.code, done.out, done.err) == (0, "caf? ?\n", "")


async def test_argument_that_is_not_utf8_is_an_error_of_input(
    run: Run, command_name: tuple[str, ...]
) -> None:
    async with Simulator() as simulator:
        line = f"{shlex.join(command_name)} stream $'caf\\xe9'"
        done = await run("bash", "-c", line, env=simulated(simulator))
    assert_one_line(done, 2, "surrogate")
    assert simulator.request_count == 0


async def test_huge_prompt_is_sent_whole(stream: Stream) -> None:
    prompt = "tell me more " * 20_000  # 260 kB
    async with Simulator(text="No.") as simulator:
        done = await stream("-", env=simulated(simulator), stdin=prompt)
    assert done.code == 0
    assert simulator.requests[0].json["messages"][0]["content"] == prompt


async def test_refused_prompt_is_one_short_line(stream: Stream) -> None:
    async with Simulator(faults="status:400") as simulator:
        done = await stream("-", env=simulated(simulator), stdin="word " * 100_000)
    assert_one_line(done, 1, "BadRequestError")
    assert len(done.err) < 500


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_empty_prompt(call: Call, prompt: str) -> None:
    assert_one_line(call("stream", prompt, OPENAI_API_KEY="sk-1"), 2, "the prompt is empty")


def test_empty_standard_input(call: Call) -> None:
    assert_one_line(call("stream", OPENAI_API_KEY="sk-1"), 2, "the prompt is empty")


async def test_wrong_key_is_one_line_without_the_key(stream: Stream) -> None:
    async with Simulator(api_key="sk-another") as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert_one_line(done, 1, "AuthenticationError", "Incorrect API key")
    assert "sk-test-0123456789" not in done.err


def test_no_key(call: Call) -> None:
    done = call("stream", "Why?")
    assert_one_line(done, 1, "OPENAI_API_KEY")
    assert "api_key=" not in done.err  # which a command line does not have


async def test_model_of_another_provider(stream: Stream) -> None:
    async with Simulator() as simulator:
        done = await stream("Why?", "-m", "claude-sonnet-4", env=simulated(simulator))
    assert_one_line(done, 2, "Anthropic", "OpenAI", "--base-url")
    assert simulator.request_count == 0


def test_model_that_nobody_knows(call: Call) -> None:
    done = call("stream", "Why?", "-m", "gtp-4o", OPENAI_API_KEY="sk-1")
    assert_one_line(done, 2, "did you mean 'gpt-4o'", "--base-url")


async def test_model_that_the_server_does_not_have(stream: Stream) -> None:
    async with Simulator() as simulator:
        done = await stream("Why?", "-m", "gpt-17", env=simulated(simulator))
    assert_one_line(done, 1, "NotFoundError", "gpt-17")


@pytest.mark.slow
async def test_no_network(stream: Stream) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        done = await stream("Why?", "--base-url", url, env=clean_environment(OPENAI_API_KEY="sk-1"))
    assert_one_line(done, 1, "APIConnectionError", str(port))


@pytest.mark.slow
async def test_no_such_host(stream: Stream) -> None:
    url = "http://no-such-host.invalid/v1"
    done = await stream("Why?", "--base-url", url, env=clean_environment(OPENAI_API_KEY="sk-test"))
    # A second line warns that the key would go there unencrypted.
    assert done.code == 1
    assert "APIConnectionError" in done.err.splitlines()[-1]
    assert "no-such-host.invalid" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_malformed_url(call: Call) -> None:
    done = call("stream", "Why?", "--base-url", "localhost:11434", OPENAI_API_KEY="sk-1")
    assert_one_line(done, 2, "base_url")


@pytest.mark.parametrize(
    "args",
    [
        ("--temperature", "3"),
        ("--max-tokens", "0"),
        ("--effort", "much"),
        ("--no-such-option",),
        ("one", "two"),
        ("--log", "/no/such/directory/log.jsonl"),
        ("--log", "/"),
    ],
)
def test_wrong_usage(call: Call, args: tuple[str, ...]) -> None:
    assert_one_line(call("stream", "Why?", *args, OPENAI_API_KEY="sk-1"), 2)


async def test_broken_answer_keeps_what_was_printed(stream: Stream) -> None:
    async with Simulator(text=["The ", "sky ", "is"], faults="reset:2") as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert_one_line(done, 1, "ConnectionLostError")
    assert done.out == "The sky \n"


async def test_error_frame_of_the_provider(stream: Stream) -> None:
    async with Simulator(text=["The ", "sky"], faults="error-frame:object:1") as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert_one_line(done, 1, "InternalServerError")
    assert done.out == "The \n"


async def test_retries_are_silent_without_a_terminal(stream: Stream) -> None:
    faults = ["status:503:retry-after-ms=10", None]
    async with Simulator(text="Yes.", faults=faults) as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert (done.code, done.out, done.err) == (0, "Yes.\n", "")
    assert simulator.request_count == 2


async def test_tool_calls_are_shown(stream: Stream) -> None:
    async with Simulator(tool_calls=[("look", {"at": "sky"})]) as simulator:
        done = await stream("Why?", env=simulated(simulator))
    assert done.out == '[tool call] look({"at": "sky"})\n'


async def test_log_holds_the_timeline(stream: Stream, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with Simulator(text=["The ", "sky."]) as simulator:
        for _ in range(2):
            await stream("Why?", "--log", str(log), env=simulated(simulator))
    events = [json.loads(line)["e"] for line in log.read_text("utf-8").splitlines() if line]
    assert events == ["start", "token", "token", "complete"] * 2


async def test_log_that_cannot_be_written_is_one_line(stream: Stream) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    async with Simulator(text="Yes.") as simulator:
        done = await stream("Why?", "--log", "/dev/full", env=simulated(simulator))
    assert (done.code, done.out) == (0, "Yes.\n")
    assert len(done.err.splitlines()) == 1
    assert "FileLogger" in done.err
    assert "No space left" in done.err


async def test_ctrl_c_keeps_what_was_received(start, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with Simulator(text=["The ", "sky ", *["is "] * 500], gap=0.02) as simulator:
        running = await start("stream", "Why?", "--log", str(log), env=simulated(simulator))
        await running.until("The sky is")
        running.interrupt()
        interrupted = time.perf_counter()
        assert await running.ended() == 130
        await simulator.wait_closed_connections(1.0)
        assert time.perf_counter() - interrupted < 3.0
    assert running.err == ""
    assert running.out.startswith("The sky is ")
    assert running.out.endswith("\n")
    assert simulator.requests[0].disconnected
    last = json.loads(log.read_text("utf-8").splitlines()[-1])
    assert (last["e"], last["error"]) == ("error", "StreamCancelled")


async def test_ctrl_c_while_the_prompt_is_read(start) -> None:
    async with Simulator() as simulator:
        running = await start("stream", "-", env=simulated(simulator), terminal=True)
        await running.until("Ctrl-D ends it")
        running.interrupt()
        assert await running.ended() == 130
    assert "Traceback" not in running.out


async def test_ctrl_c_before_the_first_token(start) -> None:
    async with Simulator(ttft=30) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator))
        await simulator.wait_request()
        running.interrupt()
        assert await running.ended() == 130
    assert (running.out, running.err) == ("", "")


@pytest.mark.parametrize("reader", ["head -c 20", "true"])
async def test_closed_pipe_stops_the_generation(
    run: Run, command_name: tuple[str, ...], reader: str
) -> None:
    async with Simulator(text=["word "] * 3000, gap=0.01) as simulator:
        line = f'{shlex.join(command_name)} stream Why | {reader}; echo " ${{PIPESTATUS[0]}}"'
        done = await run("bash", "-c", line, env=simulated(simulator))
        await simulator.wait_closed_connections(1.0)
    printed, _, code = done.out.rpartition(" ")
    assert code == "141\n"
    assert printed == ("word word word word " if "head" in reader else "")
    assert done.err == ""
    request = simulator.requests[0]
    assert request.disconnected
    assert request.sent < 1000


async def test_full_disk_is_one_line(run: Run, command_name: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    async with Simulator(text="Yes.") as simulator:
        line = f"{shlex.join(command_name)} stream Why > /dev/full"
        done = await run("bash", "-c", line, env=simulated(simulator))
    assert_one_line(done, 1, "the output cannot be written", "No space left")


async def test_terminal_shows_timing_and_no_control_characters(start) -> None:
    async with Simulator(text=["red\x1b[31m ", "sky\x07"]) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == 0
    first, second = running.out.splitlines()
    assert first == "red␛[31m sky␇"
    assert "first token after" in second
    assert "tokens" in second


async def test_quiet_terminal_shows_the_answer_alone(start) -> None:
    faults = ["status:503:retry-after-ms=10", None]
    async with Simulator(text="Yes.", faults=faults) as simulator:
        running = await start("stream", "Why?", "--quiet", env=simulated(simulator), terminal=True)
        assert await running.ended() == 0
    assert running.out == "Yes.\n"


async def test_terminal_is_told_of_retries(start) -> None:
    faults = ["status:503:retry-after-ms=10", None]
    async with Simulator(text="Yes.", faults=faults) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == 0
    assert "attempt 1 failed (" in running.out
    assert "trying again in 0.0 s" in running.out


async def test_no_prompt_at_a_terminal_says_what_to_do(start) -> None:
    running = await start("stream", env=clean_environment(), terminal=True)
    assert await running.ended() == 2
    assert "say what to ask" in running.out


async def test_tokens_are_printed_as_they_arrive(start) -> None:
    """Also into a pipe, where Python would hold them back."""
    gate = asyncio.Event()
    first = b'data: {"choices":[{"index":0,"delta":{"content":"now"},"finish_reason":null}]}\n\n'
    async with Simulator(raw=[first, gate, b"data: [DONE]\n\n"]) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator))
        await running.until("now")
        assert running.process.returncode is None
        gate.set()
        await running.ended()
