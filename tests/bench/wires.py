"""Answers of text in the wires that are not chat completions, and the least that reads each.

Their events are what the providers' recordings hold: the same fields, in the same order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["BARE", "BODIES"]

_WORD = " token"


def _event(kind: str, told: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **told}, separators=(',', ':'))}\n\n"


def _messages(tokens: int) -> bytes:
    """An answer of Anthropic's Messages."""
    usage = {"input_tokens": 12, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    delta = {"index": 0, "delta": {"type": "text_delta", "text": _WORD}}
    return "".join(
        [
            _event("message_start", {"message": message}),
            _event(
                "content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}
            ),
            _event("content_block_delta", delta) * tokens,
            _event("content_block_stop", {"index": 0}),
            _event(
                "message_delta",
                {
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": tokens},
                },
            ),
            _event("message_stop", {}),
        ]
    ).encode()


def _responses(tokens: int) -> bytes:
    """An answer of OpenAI's Responses."""
    response = {"id": "resp_01", "object": "response", "model": "gpt-5.5", "status": "in_progress"}
    item = {"id": "msg_01", "type": "message", "role": "assistant", "status": "in_progress"}
    place = {"item_id": "msg_01", "output_index": 0, "content_index": 0}
    text = _WORD * tokens
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    whole = {**item, "status": "completed", "content": [{**part, "text": text}]}
    usage = {"input_tokens": 12, "output_tokens": tokens, "total_tokens": 12 + tokens}
    told = [
        ("response.created", {"response": response}),
        ("response.in_progress", {"response": response}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}}),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        *(
            (
                "response.output_text.delta",
                {**place, "delta": _WORD, "logprobs": [], "obfuscation": "rVyb4tSgHq"},
            )
            for _ in range(tokens)
        ),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": {**part, "text": text}}),
        ("response.output_item.done", {"output_index": 0, "item": whole}),
        (
            "response.completed",
            {"response": {**response, "status": "completed", "output": [whole], "usage": usage}},
        ),
    ]
    return "".join(
        _event(kind, {"sequence_number": number, **fields})
        for number, (kind, fields) in enumerate(told)
    ).encode()


def _gemini(tokens: int) -> bytes:
    """An answer of Gemini's."""
    chunks = []
    for number in range(1, tokens + 1):
        candidate = {"content": {"parts": [{"text": _WORD}], "role": "model"}, "index": 0}
        if number == tokens:
            candidate["finishReason"] = "STOP"
        chunks.append(
            {
                "candidates": [candidate],
                "usageMetadata": {
                    "promptTokenCount": 12,
                    "candidatesTokenCount": number,
                    "totalTokenCount": 12 + number,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
                },
                "modelVersion": "gemini-3.8-flash",
                "responseId": "4HFfavXADZvkkdUP37mD6Q0",
            }
        )
    return "".join(
        f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n" for chunk in chunks
    ).encode()


#: Makes the body of an answer of so many tokens, by dialect.
BODIES: dict[str, Callable[[int], bytes]] = {
    "messages": _messages,
    "responses": _responses,
    "gemini": _gemini,
}


class _TextDelta(msgspec.Struct):
    text: str | None = None


class _MessagesEvent(msgspec.Struct):
    type: str
    delta: _TextDelta | None = None
    usage: dict[str, Any] | None = None


class _ResponsesEvent(msgspec.Struct):
    type: str
    delta: str | None = None


class _Content(msgspec.Struct):
    parts: list[_TextDelta] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    usage_metadata: dict[str, Any] | None = None


_decode_messages = msgspec.json.Decoder(_MessagesEvent).decode
_decode_responses = msgspec.json.Decoder(_ResponsesEvent).decode
_decode_gemini = msgspec.json.Decoder(_Chunk).decode


def _read_messages(data: bytes) -> int:
    count = 0
    for event in data.split(b"\n\n")[:-1]:
        told = _decode_messages(event[event.index(b"\ndata: ") + 7 :])
        if told.type == "content_block_delta" and told.delta is not None and told.delta.text:
            count += 1
    return count


def _read_responses(data: bytes) -> int:
    count = 0
    for event in data.split(b"\n\n")[:-1]:
        told = _decode_responses(event[event.index(b"\ndata: ") + 7 :])
        if told.type == "response.output_text.delta" and told.delta:
            count += 1
    return count


def _read_gemini(data: bytes) -> int:
    count = 0
    for event in data.split(b"\n\n")[:-1]:
        for candidate in _decode_gemini(event[6:]).candidates:
            if candidate.content is not None and candidate.content.parts[0].text:
                count += 1
    return count


#: The bare loop of each dialect: a split and a typed decode of a whole body; returns its tokens.
BARE: dict[str, Callable[[bytes], int]] = {
    "messages": _read_messages,
    "responses": _read_responses,
    "gemini": _read_gemini,
}
