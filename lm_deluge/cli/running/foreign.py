"""Messages in the words of others, as OpenAI's chat completions have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lm_deluge.values.foreign import type_name

__all__ = ["from_contents", "from_items", "from_pairs", "from_turns", "listed", "plain_tools"]

#: Who speaks, in files of conversations (ShareGPT and those made after it).
_SPEAKERS: Final = {
    "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "bard": "assistant", "bing": "assistant", "model": "assistant", "ai": "assistant",
    "system": "system", "developer": "developer",
}  # fmt: skip

_TEXTS: Final = ("input_text", "output_text", "text")


def listed(value: Any, name: str) -> list[dict[str, Any]]:
    """Return a list of objects; JSON text of one is read, as a cell of a table holds it.

    Raises ``TypeError`` or ``ValueError`` naming the column.
    """
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f'"{name}" begins like a list and is not JSON') from None
    if not isinstance(value, list):
        raise TypeError(f'"{name}" must be a list of messages, not {type_name(value)}')
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise TypeError(f"{name}[{index}] must be a message, not {type_name(item)}")
    return value


def from_pairs(value: Any, name: str) -> list[dict[str, Any]]:
    """Read ``{"from": "human", "value": "..."}``, ``{"role": ..., "content": ...}``; no other key counts."""
    made = []
    for index, said in enumerate(listed(value, name)):
        speaker = said.get("from", said.get("role", said.get("speaker")))
        role = _SPEAKERS.get(str(speaker).lower())
        if role is None:
            accepted = ", ".join(_SPEAKERS)
            raise ValueError(f"{name}[{index}] is from {speaker!r}; known are {accepted}")
        content = said.get("value", said.get("content", said.get("text")))
        if not isinstance(content, str | list):
            raise TypeError(f"{name}[{index}] must say a text, not {type_name(content)}")
        made.append({"role": role, "content": content})
    return made


def from_turns(system: Any, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the turns of Anthropic's Messages. What only they know stays as it is."""
    made: list[dict[str, Any]] = []
    if system:
        made.append({"role": "system", "content": _system_text(system)})
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list):
            made.append(dict(message))
            continue
        made += _turn(message, [part for part in content if isinstance(part, dict)])
    return made


def _system_text(system: Any) -> Any:
    if isinstance(system, list):
        return "\n\n".join(
            str(block.get("text", "")) for block in system if isinstance(block, dict)
        )
    return system


def _turn(message: Mapping[str, Any], content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the results of tools, a message each, then what else is said."""
    parts, calls = [], []
    for part in content:
        kind = part.get("type")
        if kind == "tool_result":
            yield {
                "role": "tool",
                "tool_call_id": part.get("tool_use_id"),
                "content": _result_text(part.get("content")),
            }
        elif kind == "tool_use":
            said = json.dumps(part.get("input") or {}, ensure_ascii=False)
            function = {"name": part.get("name"), "arguments": said}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind not in ("thinking", "redacted_thinking"):
            parts.append(_image(part) if kind == "image" else part)
    if parts or calls:
        told: dict[str, Any] = {"role": message.get("role"), "content": parts or None}
        yield {**told, "tool_calls": calls} if calls else told


def _result_text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _image(part: dict[str, Any]) -> dict[str, Any]:
    source = part.get("source")
    if not isinstance(source, dict):
        return part
    url: Any
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    else:
        url = source.get("url")
    return {"type": "image_url", "image_url": {"url": url}}


def from_items(instructions: Any, given: Any) -> list[dict[str, Any]]:
    """Read the input of OpenAI's Responses: a text, or items.

    Raises ``ValueError`` or ``TypeError`` for an input that is neither.
    """
    made: list[dict[str, Any]] = []
    if instructions:
        made.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        if not given.strip():
            raise ValueError("the body's input is empty")
        return [*made, {"role": "user", "content": given}]
    for item in listed(given, "input"):
        made += _item(item)
    return made


def _item(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = item.get("type", "message")
    if kind == "message":
        content = item.get("content")
        if isinstance(content, list):
            content = [_part(part) for part in content if isinstance(part, dict)]
        yield {"role": item.get("role"), "content": content}
    elif kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        yield {"role": "assistant", "content": None, "tool_calls": [call]}
    elif kind == "function_call_output":
        yield {
            "role": "tool",
            "tool_call_id": item.get("call_id"),
            "content": item.get("output"),
        }


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part.get("image_url"), **detail}}
    if kind == "input_file":
        return {"type": "file", "file": {key: part[key] for key in part if key != "type"}}
    return part


def from_contents(system: Any, given: Any) -> list[dict[str, Any]]:
    """Read the contents of Google's Gemini: texts and images."""
    made: list[dict[str, Any]] = []
    if isinstance(system, dict):
        made.append({"role": "system", "content": _gemini_text(system.get("parts"))})
    if isinstance(given, str):
        return [*made, {"role": "user", "content": given}]
    for index, content in enumerate(listed(given, "contents")):
        parts = content.get("parts")
        if not isinstance(parts, list):
            raise TypeError(f"contents[{index}]['parts'] must be a list, not {type_name(parts)}")
        role = "assistant" if content.get("role") == "model" else "user"
        said = [_gemini_part(part, index) for part in parts if isinstance(part, dict)]
        texts = [part["text"] for part in said if part["type"] == "text"]
        made.append({"role": role, "content": "".join(texts) if len(texts) == len(said) else said})
    return made


def _gemini_text(parts: Any) -> str:
    found = parts if isinstance(parts, list) else [parts]
    return "\n\n".join(str(part.get("text", "")) for part in found if isinstance(part, dict))


def _gemini_part(part: dict[str, Any], index: int) -> dict[str, Any]:
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    data = part.get("inlineData", part.get("inline_data"))
    if isinstance(data, dict):
        kind = data.get("mimeType", data.get("mime_type"))
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data.get('data')}"}}
    raise ValueError(f"contents[{index}] has a part that is no text and no data: {list(part)}")


def plain_tools(tools: Any) -> Any:
    """Return tools in the words of chat completions; what is no list of functions stays as it is."""
    if not isinstance(tools, list):
        return tools
    return [_tool(tool) if isinstance(tool, dict) else tool for tool in tools]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function of Responses (flat) or of Messages (``input_schema``) as chat nests it."""
    if "function" in tool or not isinstance(tool.get("name"), str):
        return tool
    if tool.get("type", "custom") not in ("function", "custom"):
        return tool
    schema = tool.get("parameters", tool.get("input_schema"))
    function = {"name": tool["name"], "description": tool.get("description"), "parameters": schema}
    said = {key: value for key, value in function.items() if value is not None}
    if tool.get("strict") is not None:
        said["strict"] = tool["strict"]
    return {"type": "function", "function": said}
