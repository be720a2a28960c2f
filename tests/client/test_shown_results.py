"""Images that tools return: shown where an API takes them in results, and told of in words elsewhere."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pytest

from lm_deluge import Conversation, Delta, LLMClient, Stream, StreamHandler
from lm_deluge.simulator import Simulator
from lm_deluge.values.rounds import ToolsResponse
from support.clients import client_for

MODELS = {
    "chat": "gpt-4.1",
    "responses": "openai-responses:gpt-4.1",
    "messages": "anthropic:claude-sonnet-4-5",
    "gemini": "gemini:gemini-3.8-flash",
    "gemini 2.5": "gemini:gemini-2.5-flash",
}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)


class Picture:
    """Shows itself as Pillow's images do."""

    def _repr_png_(self) -> bytes:
        return PNG


def draw() -> bytes:
    """A picture."""
    return PNG


def plot() -> list[Any]:
    """A text, and two pictures."""
    return ["Rising.", Picture(), {"n": 1}, JPEG]


def count() -> int:
    """A number."""
    return 3


def client(sim: Simulator, wire: str, **options: Any) -> LLMClient:
    url = sim.base_url if wire in ("chat", "responses") else sim.url
    return client_for(url, MODELS[wire], **options)


def images_in(body: Any, wire: str) -> list[bytes]:
    """Return the images in a request, each once, as this wire has them in results of tools."""
    found: list[str] = []
    if wire == "responses":
        outputs = [item["output"] for item in body["input"] if "output" in item]
        parts = [part for each in outputs if isinstance(each, list) for part in each]
        found = [part["image_url"].partition(",")[2] for part in parts if "image_url" in part]
    elif wire == "messages":
        blocks = [block for turn in body["messages"] for block in turn["content"]
                  if isinstance(block, dict) and block["type"] == "tool_result"]  # fmt: skip
        parts = [
            part for each in blocks if isinstance(each["content"], list) for part in each["content"]
        ]
        found = [part["source"]["data"] for part in parts if part["type"] == "image"]
    else:
        parts = [part for each in body.get("contents", ()) for part in each["parts"]]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        beside = parts if wire == "gemini 2.5" else [p for r in results for p in r.get("parts", ())]
        found = [part["inlineData"]["data"] for part in beside if "inlineData" in part]
    return [base64.b64decode(each) for each in found]


@pytest.mark.parametrize("wire", MODELS)
async def test_a_model_is_shown_the_images_that_tools_return(wire: str) -> None:
    told: list[str] = []

    class Heard(StreamHandler):
        def on_delta(self, stream: Stream, delta: Delta) -> None:
            if delta.kind == "tool_result":
                told.append(delta.text)

    said = Conversation().user("Draw!")
    calls = [[("draw", {}), ("count", {}), ("plot", {})]]
    async with Simulator(tool_calls=calls) as sim:
        mine = client(sim, wire, handlers=[Heard()])
        response = await mine.run_tools(said, [draw, plot, count])
        bodies = [request.json for request in sim.requests]
        # And on with others.
        for other in MODELS:
            await client(sim, other).stream(Conversation(said.messages).user("And?"))
    assert response.ended_by == "answer"
    named = f"[image/png, {len(PNG)} bytes]"
    assert told == [named, "3", f'Rising.\n{named}\n{{"n":1}}\n[image/jpeg, {len(JPEG)} bytes]']
    assert [each.text for each in response.results] == told
    assert [len(each.images) for each in response.results] == [1, 0, 2]
    if wire == "chat":
        results = [each for each in bodies[1]["messages"] if each["role"] == "tool"]
        texts = [part["text"] for part in results[0]["content"]]
        assert texts[0] == named
        assert "cannot be shown" in texts[1]
        assert "base64" not in json.dumps(bodies[1])
    else:
        assert images_in(bodies[1], wire) == [PNG, PNG, JPEG]
    again = ToolsResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    assert again.results[0].images == response.results[0].images


async def test_pillows_images_are_images() -> None:
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")  # noqa: N806

    def square() -> Any:
        """A square."""
        return Image.new("RGB", (8, 8), "red")

    async with Simulator(tool_calls=[("square", {})]) as sim:
        response = await client(sim, "messages").run_tools("Hi", [square])
        (shown,) = images_in(sim.requests[1].json, "messages")
    assert Image.open(BytesIO(shown)).size == (8, 8)
    assert not response.results[0].is_error


@pytest.mark.parametrize("value", [b"\x00\x01", b"%PDF-1.7", b"", b"BM\0\0\0\0\0\0\0\0"])
async def test_other_bytes_are_told_to_be_none(value: bytes) -> None:
    def read() -> bytes:
        """Bytes."""
        return value

    async with Simulator(tool_calls=[("read", {})]) as sim:
        response = await client(sim, "messages").run_tools("Hi", [read])
    (result,) = response.results
    assert result.is_error
    assert "the bytes of an image" in result.text
