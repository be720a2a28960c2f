"""Images, audio and files as each API has them: its own package's types take them, and its simulator."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lm_deluge import Conversation, LLMClient, Message
from lm_deluge.config import SamplingParams
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import Ask
from lm_deluge.models.resolving import resolve_model
from lm_deluge.simulator import Simulator
from lm_deluge.values.conversation import to_messages
from support.clients import KEY, client_for
from support.scripted import ScriptedServer, answer

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed (extra test)")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
WAV = b"RIFF\0\0\0\0WAVEfmt " + bytes(40)
PDF = b"%PDF-1.7\n"
DOCX = b"PK\x03\x04word/document"
MP4 = b"\0\0\0\x20ftypisom"
HEIC = b"\0\0\0\x20ftypheic"

MODELS = {
    "chat": "openai:gpt-4o",
    "responses": "openai-responses:gpt-4o",
    "messages": "anthropic:claude-sonnet-4-5",
    "gemini": "gemini:gemini-2.5-flash",
}

#: What can be attached, and who takes it.
GIVEN: dict[str, tuple[dict[str, Any], str]] = {
    "an image": ({"images": [PNG]}, "chat responses messages gemini"),
    "an image by URL": ({"images": ["https://x/a.png"]}, "chat responses messages gemini"),
    "a HEIC image": ({"images": [HEIC]}, "chat responses gemini"),
    "audio": ({"audio": WAV}, "chat gemini"),
    "FLAC": ({"audio": b"fLaC\0"}, "gemini"),
    "audio by URL": ({"audio": "https://x/a.mp3"}, "gemini"),
    "a PDF": ({"files": ("a.pdf", PDF)}, "chat responses messages gemini"),
    "a PDF by URL": ({"files": "https://x/a.pdf"}, "responses messages gemini"),
    "a text": ({"files": ("a.md", b"# A")}, "chat responses messages gemini"),
    "JSON": ({"files": ("a.json", b"{}")}, "chat responses messages gemini"),
    "a document": ({"files": ("a.docx", DOCX)}, "chat responses"),
    "a video": ({"files": ("a.mp4", MP4)}, "chat responses gemini"),
    "an image among files": ({"files": ("a.png", PNG)}, "chat responses messages gemini"),
}
CASES = [(what, wire) for what in GIVEN for wire in MODELS]


def body_of(wire: str, *messages: Message) -> dict[str, Any]:
    """The body that is sent for messages, at the provider's own endpoint."""
    info = resolve_model(MODELS[wire], base_url=None, env_base_url=None)
    asked = Ask(
        info=info, messages=to_messages(Conversation(list(messages))), params=SamplingParams()
    )
    body: dict[str, Any] = json.loads(json.dumps(dialect_named(wire).write(asked).body))
    return body


def last_part(wire: str, body: dict[str, Any]) -> dict[str, Any]:
    turn = body[{"responses": "input", "gemini": "contents"}.get(wire, "messages")][-1]
    part: dict[str, Any] = turn["parts" if wire == "gemini" else "content"][-1]
    return part


def check_by_types(wire: str, part: dict[str, Any]) -> None:
    """Let the types of the provider's own package judge a part; what they do not know is dropped there."""
    if wire == "gemini":
        genai = pytest.importorskip("google.genai", reason="google-genai is missing (extra test)")
        read = genai.types.Part.model_validate(part)  # which forbids what it does not know
        assert read.model_dump(exclude_none=True)
        return
    if wire == "messages":
        anthropic = pytest.importorskip("anthropic", reason="anthropic is missing (extra test)")
        kind: Any = anthropic.types.ContentBlockParam
    else:
        openai = pytest.importorskip("openai", reason="openai is missing (extra test)")
        if wire == "chat":
            kind = openai.types.chat.ChatCompletionContentPartParam
        else:
            kind = openai.types.responses.ResponseInputContentParam
    found = pydantic.TypeAdapter(kind).validate_python(part)
    assert json.loads(json.dumps(found)) == part


@pytest.mark.parametrize(("what", "wire"), CASES)
async def test_each_api_is_sent_what_it_takes_and_told_of_what_not(what: str, wire: str) -> None:
    given, takers = GIVEN[what]
    message = Message.user("Look", **given)
    if wire not in takers.split():
        with pytest.raises(
            ValueError, match=r"^messages\[0\]\['content'\]\[1\] is .*(take|none of)"
        ):
            body_of(wire, message)
        return
    check_by_types(wire, last_part(wire, body_of(wire, message)))
    async with Simulator(text="Seen.") as simulator:
        base_url = simulator.url if wire in ("messages", "gemini") else simulator.base_url
        client = LLMClient(MODELS[wire], api_key=KEY, base_url=base_url, printer=None)
        assert (await client.stream(message)).completion == "Seen."


B64 = base64.b64encode


@pytest.mark.parametrize(
    ("wire", "given", "part"),
    [
        (
            "responses",
            {"files": ("a.pdf", PDF)},
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{B64(PDF).decode()}",
            },
        ),
        (
            "responses",
            {"files": "https://x/a.pdf"},
            {"type": "input_file", "file_url": "https://x/a.pdf"},
        ),
        (
            "messages",
            {"files": ("a.pdf", PDF)},
            {
                "type": "document",
                "title": "a.pdf",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": B64(PDF).decode(),
                },
            },
        ),
        (
            "messages",
            {"files": ("a.md", b"# A")},
            {
                "type": "document",
                "title": "a.md",
                "source": {"type": "text", "media_type": "text/plain", "data": "# A"},
            },
        ),
        (
            "messages",
            {"files": "https://x/a.pdf"},
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "url", "url": "https://x/a.pdf"},
            },
        ),
        (
            "gemini",
            {"audio": WAV},
            {"inlineData": {"mimeType": "audio/wav", "data": B64(WAV).decode()}},
        ),
        (
            "gemini",
            {"audio": "gs://x/a.mp3"},
            {"fileData": {"mimeType": "audio/mpeg", "fileUri": "gs://x/a.mp3"}},
        ),
        (
            "gemini",
            {"files": ("a.mp4", MP4)},
            {"inlineData": {"mimeType": "video/mp4", "data": B64(MP4).decode()}},
        ),
        (
            "gemini",
            {"files": ("a.json", b"{}")},
            {"inlineData": {"mimeType": "text/plain", "data": B64(b"{}").decode()}},
        ),
    ],
)
def test_a_part_is_as_the_providers_pages_have_it(
    wire: str, given: dict[str, Any], part: dict[str, Any]
) -> None:
    assert last_part(wire, body_of(wire, Message.user("Look", **given))) == part


@pytest.mark.parametrize("wire", MODELS)
def test_a_file_that_was_uploaded_goes_by_its_id(wire: str) -> None:
    uploaded = Message.user([{"type": "file", "file": {"file_id": "file-1"}}])
    part = last_part(wire, body_of(wire, uploaded))
    assert "file-1" in json.dumps(part)
    check_by_types(wire, part) if wire != "messages" else None


@pytest.mark.parametrize("wire", ["responses", "messages", "gemini"])
def test_a_file_without_anything_is_named(wire: str) -> None:
    for file in ({}, 3, None, {"filename": "a.pdf"}, {"file_data": 3}):
        with pytest.raises(ValueError, match=r"messages\[0\]\['content'\]\[0\]\['file'\] must be"):
            body_of(wire, Message.user([{"type": "file", "file": file}]))


@pytest.mark.parametrize(
    ("wire", "size", "told"),
    [
        ("chat", 51, "51.0 MB of images, audio and files.*takes 50 MB"),
        ("responses", 51, "51.0 MB of images, audio and files.*takes 50 MB"),
        ("messages", 33, "33.0 MB of images, audio and files.*takes 32 MB"),
    ],
)
def test_too_much_is_told_before_it_is_sent(wire: str, size: int, told: str) -> None:
    message = Message.user("Look", files=("a.pdf", PDF + bytes(size * 10**6)))
    with pytest.raises(ValueError, match=told):
        body_of(wire, message)


def test_too_large_an_image_is_told_to_anthropic_alone() -> None:
    message = Message.user("Look", images=[PNG + bytes(6 * 2**20)])
    with pytest.raises(
        ValueError, match=r"\['content'\]\[1\] has 6.3 MB, and .* takes 5.2 MB an image"
    ):
        body_of("messages", message)
    assert body_of("responses", message)


async def test_another_server_is_asked_whatever_it_may_take() -> None:
    """vLLM and the like take more than OpenAI does."""
    message = Message.user("Look", audio="https://x/a.mp3", files=["https://x/a.pdf"])
    async with ScriptedServer(answer("a")) as server:
        await client_for(server).stream(message)
        sent = server.requests[-1].json["messages"][0]["content"]
    assert [part["type"] for part in sent] == ["text", "audio_url", "file"]


async def test_a_model_that_thinks_is_asked_where_what_is_attached_can_be_said() -> None:
    """OpenAI's Responses take no audio."""
    for given, path in [({"audio": WAV}, "/chat/completions"), ({"files": PDF}, "/responses")]:
        client = LLMClient("gpt-5", api_key=KEY, printer=None)
        async with client.open_stream(Message.user("Look", **given)) as stream:
            assert stream.request.dialect == ("chat" if "chat" in path else "responses")
