"""The conversation in a request's body, whoever's wire it is, as OpenAI's message dicts.

It is what our own client would have been given, so that the same prompt has the same hash. What cannot be
told back (one system text or two, how a call's arguments were spaced) is taken for the usual.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["messages_in"]

Message = dict[str, Any]


def messages_in(dialect: str, body: Mapping[str, Any]) -> list[Message]:
    """Return the messages; what is none is left out."""
    if dialect == "responses":
        return list(_responses(body))
    if dialect == "messages":
        return list(_messages(body))
    if dialect == "gemini":
        return list(_gemini(body))
    return [dict(one) for one in _dicts(body.get("messages"))] or _plain(body.get("prompt"))


def _plain(prompt: Any) -> list[Message]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []


def _responses(body: Mapping[str, Any]) -> Iterator[Message]:
    if isinstance(told := body.get("instructions"), str):
        yield {"role": "system", "content": told}
    given = body.get("input")
    yield from _plain(given)
    said: Message | None = None
    for item in _dicts(given):
        kind = item.get("type", "message")
        if kind == "function_call":
            call = _call(item.get("call_id"), item.get("name"), item.get("arguments"))
            if said is None:
                said = {"role": "assistant"}
            said["tool_calls"] = [*said.get("tool_calls", ()), call]
            continue
        if said is not None:
            yield said
            said = None
        if kind == "function_call_output":
            content = _content(item.get("output"))
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": content}
        elif kind == "message" and isinstance(item.get("role"), str):
            message = {"role": item["role"], "content": _content(item.get("content"))}
            if item["role"] == "assistant":
                said = message
            else:
                yield message
    if said is not None:
        yield said


def _messages(body: Mapping[str, Any]) -> Iterator[Message]:
    if system := _content(body.get("system")):
        yield {"role": "system", "content": system}
    for turn in _dicts(body.get("messages")):
        role, content = turn.get("role"), turn.get("content")
        blocks = _dicts(content)
        for block in blocks:
            if block.get("type") == "tool_result":
                told = _content(block.get("content")) or None
                yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": told}
        calls = [
            _call(block.get("id"), block.get("name"), block.get("input"))
            for block in blocks
            if block.get("type") == "tool_use"
        ]
        said = [one for one in blocks if one.get("type") not in _NO_CONTENT]
        if said or calls or isinstance(content, str):
            shown = content if isinstance(content, str) else _content(said) or None
            yield {"role": role, "content": shown, "tool_calls": calls}


#: Blocks that are told elsewhere, or to nobody.
_NO_CONTENT = frozenset({"tool_result", "tool_use", "thinking", "redacted_thinking"})


def _gemini(body: Mapping[str, Any]) -> Iterator[Message]:
    system = body.get("systemInstruction", body.get("system_instruction"))
    if isinstance(system, Mapping) and (told := _parts(system.get("parts"))):
        yield {"role": "system", "content": told}
    contents = body.get("contents")
    for content in [contents] if isinstance(contents, Mapping) else _dicts(contents):
        role = "assistant" if content.get("role") == "model" else "user"
        parts = _dicts(content.get("parts"))
        for part in parts:
            if isinstance(result := part.get("functionResponse"), Mapping):
                known = result.get("id") or result.get("name")
                yield {"role": "tool", "tool_call_id": known, "content": _response(result)}
        calls = [
            _call(call.get("id") or call.get("name"), call.get("name"), call.get("args"))
            for part in parts
            if isinstance(call := part.get("functionCall"), Mapping)
        ]
        if (said := _parts(parts)) or calls:
            yield {"role": role, "content": said or None, "tool_calls": calls}


def _response(result: Mapping[str, Any]) -> str:
    told = result.get("response")
    if isinstance(told, Mapping) and list(told) == ["result"] and isinstance(told["result"], str):
        return told["result"]
    return _compact(told)


def _parts(parts: Any) -> Any:
    said = [
        part
        for part in _dicts(parts)
        if not part.get("thought") and part.keys().isdisjoint(("functionCall", "functionResponse"))
    ]
    return _content([{"type": "text", **one} if "text" in one else one for one in said])


def _content(content: Any) -> Any:
    """Return a content: as one text where it is text alone, else its parts in OpenAI's words."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in _dicts(content)]
    if all(part.get("type") == "text" and isinstance(part.get("text"), str) for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: Mapping[str, Any]) -> Message:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        return _image(part.get("image_url"))
    source = part.get("source")
    if kind == "image" and isinstance(source, Mapping):
        if source.get("type") == "base64":
            return _image(f"data:{source.get('media_type')};base64,{source.get('data')}")
        return _image(source.get("url"))
    if isinstance(data := part.get("inlineData"), Mapping):
        return _image(f"data:{data.get('mimeType')};base64,{data.get('data')}")
    if isinstance(data := part.get("fileData"), Mapping):
        return _image(data.get("fileUri"))
    return dict(part)


def _image(url: Any) -> Message:
    return {"type": "image_url", "image_url": {"url": url}}


def _call(known: Any, name: Any, arguments: Any) -> Message:
    told = arguments if isinstance(arguments, str) else _compact(arguments or {})
    return {"id": known, "type": "function", "function": {"name": name, "arguments": told}}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _dicts(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else ()
