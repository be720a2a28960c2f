"""What came in a recording is what would be sent back: every blob, in the same order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, SamplingParams, register_model
from lm_deluge.config import Limits
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import Ask
from lm_deluge.values.conversation import to_messages
from lm_deluge.values.redaction import Redactor
from support import gemini, messages, responses

RECORDED = {
    "messages": messages.RECORDED,
    "responses": responses.RECORDED,
    "gemini": gemini.RECORDED,
}
FILES = [(dialect, file) for dialect, files in RECORDED.items() for file in files]

#: Where the turn goes back, by dialect.
TURNS = {"messages": "messages", "responses": "input", "gemini": "contents"}


def events_in(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_bytes().splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def came_in_messages(file: Path) -> Iterator[Any]:
    blocks: dict[int, dict[str, Any]] = {}
    for event in events_in(file):
        if event["type"] == "message_start":
            blocks = dict(enumerate(event["message"]["content"], -9))
        elif event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
    for block in blocks.values():
        yield from (("thinking", block["thinking"]) for _ in "x" if block.get("thinking"))
        yield from ((key, block[key]) for key in ("signature", "data") if block.get(key))
        if block["type"].endswith("_tool_result"):
            yield block["type"], block["content"]


def came_in_responses(file: Path) -> Iterator[Any]:
    ends = [event for event in events_in(file) if event["type"].endswith("item.done")]
    for event in sorted(ends, key=lambda event: event.get("output_index", 0)):
        item = event["item"]
        told = item.get("encrypted_content") or item.get("content")
        if item["type"] not in ("message", "function_call") and (
            told or item["type"] != "reasoning"
        ):
            yield item


def came_in_gemini(file: Path) -> Iterator[Any]:
    for event in events_in(file):
        for candidate in event.get("candidates", [])[:1]:
            for part in candidate.get("content", {}).get("parts", []):
                if "thoughtSignature" in part:
                    yield part["thoughtSignature"], next(iter(part))
                elif "text" not in part and "functionCall" not in part:
                    yield part


def sent_messages(turns: list[Any]) -> Iterator[Any]:
    for block in turns[-1]["content"] if isinstance(turns[-1]["content"], list) else []:
        yield from (("thinking", block["thinking"]) for _ in "x" if block.get("thinking"))
        yield from ((key, block[key]) for key in ("signature", "data") if block.get(key))
        if block["type"].endswith("_tool_result"):
            yield block["type"], block["content"]


def sent_responses(turns: list[Any]) -> Iterator[Any]:
    for item in turns:
        if item.get("type", "message") not in ("message", "function_call"):
            yield item


def sent_gemini(turns: list[Any]) -> Iterator[Any]:
    for part in turns[-1]["parts"]:
        if "thoughtSignature" in part:
            yield part["thoughtSignature"], next(iter(part))
        elif "text" not in part and "functionCall" not in part:
            yield part


CAME = {"messages": came_in_messages, "responses": came_in_responses, "gemini": came_in_gemini}
SENT = {"messages": sent_messages, "responses": sent_responses, "gemini": sent_gemini}


@pytest.mark.parametrize(
    ("dialect", "file"), FILES, ids=[f"{dialect}-{file.stem}" for dialect, file in FILES]
)
def test_what_came_would_go_back(dialect: str, file: Path) -> None:
    spoken = dialect_named(dialect)
    answer = spoken.answer(choices=1, limits=Limits(), accept_eof=False, redactor=Redactor())
    body = file.read_bytes()
    for at in range(0, len(body), 5000):
        answer.feed(body[at : at + 5000], 0.0)
    answer.close(0.0)
    if answer.error is not None or not answer.whole:
        pytest.skip("no whole answer, which does not go back")
    (choice,) = answer.choices()
    if choice.refusal or not (choice.completion or choice.tool_calls or choice.extra):
        pytest.skip("nothing to go back")
    info = register_model("went", base_url="https://example.com", dialect=dialect)
    conversation = Conversation().user("Hi").add(choice.content)
    try:
        written = spoken.write(
            Ask(info=info, messages=to_messages(conversation), params=SamplingParams())
        )
    except ValueError as error:
        assert "the arguments of" in str(error)  # noqa: PT017 - cut by a limit
        return
    turns: Any = written.body[TURNS[dialect]]
    if len(turns) > 1:
        assert list(SENT[dialect](turns)) == list(CAME[dialect](file))
