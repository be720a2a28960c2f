"""What the provider's own tools do, and where a text is from, reaches ``on_delta``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lm_deluge import Delta
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from support import gemini, messages, responses

CITED = {"type": "web_search_result_location", "url": "https://example.com", "cited_text": "x"}
FOUND = [{"type": "web_search_result", "url": "https://example.com", "encrypted_content": "Eo"}]
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
NOTE = {"type": "url_citation", "url": "https://example.com", "start_index": 0, "end_index": 1}


def messages_body() -> bytes:
    search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": FOUND}

    def delta(index: int, **said: Any) -> bytes:
        return messages.event("content_block_delta", index=index, delta=said)

    def block(index: int, said: dict[str, Any], *deltas: bytes) -> bytes:
        start = messages.event("content_block_start", index=index, content_block=said)
        return start + b"".join(deltas) + messages.event("content_block_stop", index=index)

    return (
        messages.START
        + block(
            0,
            search,
            delta(0, type="input_json_delta", partial_json='{"query": '),
            delta(0, type="input_json_delta", partial_json='"日"}'),
        )
        + block(1, result)
        + block(
            2,
            {"type": "text", "text": "", "citations": []},
            delta(2, type="citations_delta", citation=CITED),
            delta(2, type="text_delta", text="Yes"),
        )
        + messages.ended()
        + messages.STOP
    )


def responses_body() -> bytes:
    event = responses.event
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Yes"}]}
    return (
        responses.START
        + event("response.output_item.added", output_index=0, item=SEARCH)
        + event("response.web_search_call.searching", output_index=0, item_id="ws_1")
        + event("response.output_item.done", output_index=0, item=SEARCH | {"status": "completed"})
        + event("response.output_item.added", output_index=1, item={"type": "message", "id": "m"})
        + responses.said("Yes", 1)
        + event("response.output_text.annotation.added", output_index=1, annotation=NOTE)
        + event("response.output_item.done", output_index=1, item=message)
        + responses.ended()
    )


CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
GROUND = {"webSearchQueries": ["x"]}


def gemini_body() -> bytes:
    return (
        gemini.chunk(CODE)
        + gemini.chunk(RESULT)
        + gemini.text("Yes", groundingMetadata=GROUND)
        + gemini.STOP
    )


def heard(make: Callable[[], Any], body: bytes, size: int) -> list[Delta]:
    answer = make()
    pieces = []
    for at in range(0, len(body), size):
        pieces += answer.feed(body[at : at + size], 0.5)
    pieces += answer.close(0.5)
    assert answer.error is None
    assert answer.choices()[0].completion == "Yes"
    assert not answer.choices()[0].tool_calls
    return [piece for piece in pieces if isinstance(piece, Delta)]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_messages_tell_of_the_servers_tools_and_of_citations(size: int) -> None:
    call, first, second, result, citation = heard(MessagesAnswer, messages_body(), size)
    assert {d.kind for d in (call, first, second, result)} == {"server_tool"}
    assert [(d.index, d.id, d.name) for d in (call, first, second)] == 3 * [
        (0, "srv_1", "web_search")
    ]
    assert first.text + second.text == '{"query": "日"}'
    assert (result.index, result.id) == (1, "srv_1")
    assert result.data is not None
    assert result.data["content"] == FOUND
    assert (citation.kind, citation.data) == ("citation", CITED)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_responses_tell_of_the_servers_tools_and_of_annotations(size: int) -> None:
    begun, done, citation = heard(ResponsesAnswer, responses_body(), size)
    assert [(d.kind, d.index, d.id, d.name) for d in (begun, done)] == 2 * [
        ("server_tool", 0, "ws_1", "web_search_call")
    ]
    assert [d.data["status"] for d in (begun, done) if d.data] == ["in_progress", "completed"]
    assert (citation.kind, citation.data) == ("citation", NOTE)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_gemini_tells_of_code_that_ran_and_of_sources(size: int) -> None:
    code, result, source = heard(GeminiAnswer, gemini_body(), size)
    assert [(d.kind, d.name, d.data) for d in (code, result)] == [
        ("server_tool", "executableCode", CODE),
        ("server_tool", "codeExecutionResult", RESULT),
    ]
    assert (source.kind, source.data) == ("citation", {"groundingMetadata": GROUND})


def test_a_citation_alone_is_no_output() -> None:
    answer = MessagesAnswer()
    start = messages.event("content_block_start", index=0, content_block={"type": "text"})
    delta = {"type": "citations_delta", "citation": CITED}
    cited = messages.event("content_block_delta", index=0, delta=delta)
    (piece,) = answer.feed(messages.START + start + cited, 0.5)
    assert isinstance(piece, Delta)
    assert not answer.has_output


def test_a_receiver_that_changes_what_it_hears_changes_nothing_that_goes_back() -> None:
    answer = MessagesAnswer()
    for piece in answer.feed(messages_body(), 0.5):
        if isinstance(piece, Delta) and piece.data:
            piece.data.clear()
    (choice,) = answer.choices()
    search, result, text = choice.extra["provider_content"]["content"]
    assert search["input"] == {"query": "日"}
    assert result["content"] == FOUND
    assert text["citations"] == [CITED]
