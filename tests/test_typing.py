"""A user's program is checked as strictly as ours, against the installed wheel, from elsewhere."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from support.pages import PYTHON
from support.programs import ROOT, Run, bare_environment

pytestmark = pytest.mark.slow

PROGRAM = '''
"""What users do, with the types they should see."""

import asyncio
from typing import Any, Unpack, assert_type

from lm_deluge import (
    APIResponse,
    Conversation,
    Delta,
    HandlerFailure,
    LLMClient,
    Message,
    Partial,
    Retry,
    RetryPolicy,
    SamplingParams,
    Stream,
    StreamHandler,
    StreamOptions,
    Timeouts,
    Token,
    ToolCall,
    Usage,
    attach,
    register_model,
)
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import APIStatusError, APITimeoutError, StreamError
from lm_deluge.signals import on_complete, on_token
from lm_deluge.simulator import Fault, Gap, Simulator
from lm_deluge.timeline import Timeline, read_timelines
from lm_deluge_plugins import ChunkCollector, FileLogger, StdoutPrinter


class Counter(StreamHandler):
    def __init__(self) -> None:
        self.tokens = 0

    def on_token(self, stream: Stream, token: Token) -> None:
        self.tokens += 1
        assert_type(token.text, str)
        assert_type(token.arrived, float)
        assert_type(stream.partial, Partial)

    async def on_delta(self, stream: Stream, delta: Delta) -> None:
        assert_type(delta.name, str | None)

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        assert_type(retry.error, StreamError)

    async def on_complete(self, stream: Stream, response: APIResponse) -> None:
        assert_type(response.handler_failures, list[HandlerFailure])

    def on_error(self, stream: Stream, error: StreamError) -> None:
        assert_type(error.partial, Partial | None)


@on_token.connect
def count(stream: Stream, token: Token) -> None:
    print(stream.id, token.index)


def told(stream: Stream, response: APIResponse) -> None:
    print(stream.id, response.elapsed)


async def ask(client: LLMClient, question: str, **options: Unpack[StreamOptions]) -> str:
    response = await client.stream(question, printer=None, **options)
    async for _ in client.stream_many([question], concurrency=2, **options):
        pass
    return response.completion


async def main() -> None:
    register_model("local", base_url="http://localhost:8000/v1")
    client = LLMClient(
        "gpt-4o",
        sampling_params=SamplingParams(temperature=0.5),
        timeouts=Timeouts(first_token=20),
        retries=RetryPolicy(max_attempts=2),
        fallback_models=["gpt-4o-mini"],
        handlers=[Counter(), ChunkCollector(), FileLogger("log.jsonl")],
        printer=StdoutPrinter(),
    )
    conversation = Conversation().system("Be brief.").user("Hello!")
    conversation.add(Message.user("And goodbye!"))
    response = await client.stream(conversation, printer=None, tags={"variant": "B"})
    assert_type(response, APIResponse)
    assert_type(response.completion, str)
    assert_type(response.usage, Usage | None)
    assert_type(response.tool_calls, list[ToolCall])
    assert_type(response.timeline, Timeline | None)
    assert_type(response.to_dict(), dict[str, Any])
    conversation.add(response.content)

    async for item in stream_chat("gpt-4o", "Hello!"):
        if isinstance(item, str):
            assert_type(item, str)
        else:
            assert_type(item, APIResponse)

    try:
        async with client.open_stream("Hello!") as stream:
            on_complete.connect(told, sender=stream)
            async for token in stream:
                assert_type(token, Token)
    except APITimeoutError as error:
        assert_type(error.limit, float)
    except APIStatusError as error:
        assert_type(error.status_code, int | None)

    with attach(Counter()):
        assert_type(await client.open_stream("Hello!"), APIResponse)

    async with Simulator(gap=Gap.constant(0.01), faults=[Fault("stall:3"), None]) as simulator:
        assert_type(simulator.base_url, str)

    for timeline in read_timelines(["log.jsonl"]):
        assert_type(timeline.ttft, float | None)


asyncio.run(main())
'''

MISTAKES = """
from lm_deluge import LLMClient, SamplingParams, Token

LLMClient(3)
LLMClient("gpt-4o", temprature=1)
LLMClient("gpt-4o").open_stream("Hello!", tag={})
LLMClient("gpt-4o").open_stream("Hello!", timeouts=3)
SamplingParams(temperature="hot")
number: int = Token(text="a", index=0, arrived=0.0, read=0).text
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    (tmp_path / "mistakes.py").write_text(MISTAKES, "utf-8")
    return tmp_path / "program.py"


async def test_mypy_strict(run: Run, bare_python: Path, program: Path) -> None:
    pytest.importorskip("mypy", reason="needs the extra dev")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", bare_python)
    done = await run(*mypy, program, env=bare_environment(), cwd=program.parent, seconds=300)
    assert done.code == 0, done.out
    done = await run(*mypy, "mistakes.py", env=bare_environment(), cwd=program.parent, seconds=300)
    assert "Found 6 errors" in done.out


#: Kept as the streaming page of lm-deluge prints them, without annotations.
UNTYPED = {
    "basic_streaming",
    "chat_loop",
    "collecting",
    "conversation_streaming",
    "custom_processing",
    "error_handling",
}


async def test_mypy_strict_of_all_that_the_documentation_shows(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs the extra dev")
    for block in PYTHON:
        name = f"{block.page.stem.replace('-', '_')}_{block.line}.py"
        (tmp_path / name).write_text(as_module(block.text), "utf-8")
    for example in (ROOT / "examples").glob("*.py"):
        if example.stem not in UNTYPED:
            (tmp_path / f"example_{example.name}").write_text(example.read_text("utf-8"), "utf-8")
    files = sorted(tmp_path.glob("*.py"))
    assert len(files) > 20
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null")
    done = await run(*mypy, *files, env=bare_environment(), cwd=tmp_path, seconds=300)
    assert done.code == 0, done.out


def as_module(text: str) -> str:
    """What stands in a notebook, as a module: a function around ``await`` outside of functions."""
    try:
        compile(text, "block", "exec")
    except SyntaxError:
        return "async def program() -> None:\n" + textwrap.indent(text, "    ")
    return text


async def test_pyright_strict(run: Run, bare_python: Path, program: Path) -> None:
    pytest.importorskip("pyright", reason="needs the extra dev")
    config = {"typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (program.parent / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    pyright = (sys.executable, "-m", "pyright", "--pythonpath", bare_python)
    done = await run(*pyright, program, env=bare_environment(), cwd=program.parent, seconds=300)
    assert done.code == 0, done.out
    done = await run(
        *pyright, "mistakes.py", env=bare_environment(), cwd=program.parent, seconds=300
    )
    assert "6 errors" in done.out, done.out
