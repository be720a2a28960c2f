"""``FileLogger``: what its start lines tell of prompts."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, SamplingParams
from lm_deluge.recording import Recorder
from lm_deluge.timeline import read_timelines
from lm_deluge.values import prompt_facts
from lm_deluge_plugins import FileLogger
from support.clients import client_for
from support.logs import lines_of
from support.scripted import ScriptedServer, answer

SKY = "Why is the sky blue?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


async def start_of(path: Path, asked: Any = SKY, key: str = "sk-test", **options: Any) -> Any:
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[FileLogger(path, **options)], api_key=key)
        await client.stream(asked)
    return lines_of(path)[-3]


async def test_streams_of_one_prompt_have_one_hash_whatever_is_set(path: Path) -> None:
    async with ScriptedServer(*[answer("a")] * 4) as server:
        log = FileLogger(path)
        for model in ("gpt-4o", "gpt-4o-mini"):
            client = client_for(server, model=model, handlers=[log])
            await client.stream(SKY, sampling_params=SamplingParams(temperature=0.5))
            await client.stream(Conversation().system("Be brief.").user(SKY))
    first, second, third, fourth = list(read_timelines(path))
    assert {each.prompt for each in (first, second, third, fourth)} == {SKY}
    assert first.prompt_hash == third.prompt_hash != second.prompt_hash == fourth.prompt_hash
    assert first.prompt_hash is not None
    assert len(first.prompt_hash) == 16


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {"prompt", "prompt_hash"}),
        ({"prompt": "hash"}, {"prompt_hash"}),
        ({"prompt": False}, set()),
        ({"text": False}, set()),
        ({"text": False, "prompt": None}, set()),
        ({"text": False, "prompt": "hash"}, {"prompt_hash"}),
        ({"text": False, "prompt": True}, {"prompt", "prompt_hash"}),
    ],
)
async def test_a_log_tells_of_prompts_what_was_asked_for(
    path: Path, options: dict[str, Any], told: set[str]
) -> None:
    start = await start_of(path, **options)
    assert start.keys() & {"prompt", "prompt_hash"} == told
    assert ("sky" in path.read_text()) == ("prompt" in told)


@pytest.mark.parametrize("prompt", ["yes", 1, b"hash"])
def test_any_other_prompt_argument_is_refused_by_name(path: Path, prompt: Any) -> None:
    with pytest.raises(TypeError, match=r"prompt must be True or False.*'hash'"):
        FileLogger(path, prompt=prompt)


async def test_a_key_in_a_prompt_is_redacted_in_how_it_begins(path: Path) -> None:
    key = "sk-live-4f9a8c1be27d"
    start = await start_of(path, f"{'x' * 190}{key} is my key", key)
    assert start["prompt"] == "x" * 190 + "[redacted]"
    assert key[:8] not in path.read_text()


async def test_a_prompt_without_text_has_a_hash_alone(path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://h/i.png"}}
    start = await start_of(path, [{"role": "user", "content": [image]}])
    assert start.keys() & {"prompt", "prompt_hash"} == {"prompt_hash"}


async def test_no_event_loop_waits_for_a_hash_and_no_stream_without_a_log_has_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing: list[threading.Thread] = []

    def noted(messages: Any) -> str:
        hashing.append(threading.current_thread())
        return "0" * 16

    monkeypatch.setattr(prompt_facts, "prompt_hash", noted)
    async with ScriptedServer(answer("a"), answer("b")) as server:
        await client_for(server).stream(SKY)
        assert hashing == []
        await client_for(server, handlers=[FileLogger(path)]).stream(SKY)
    (thread,) = hashing
    assert thread is not threading.main_thread()
    assert json.loads(path.read_text().split("\n")[1])["prompt_hash"] == "0" * 16


@pytest.mark.parametrize("body", [True, False])
async def test_a_recording_tells_of_prompts_as_far_as_it_holds_them(path: Path, body: bool) -> None:
    async with ScriptedServer(answer("a")) as server:
        recorder = Recorder(path, body=body)
        await client_for(server, record=recorder).stream(SKY)
        recorder.close()
    (recorded,) = list(read_timelines(path))
    assert recorded.prompt == (SKY if body else None)
    assert (recorded.prompt_hash is not None) == body
