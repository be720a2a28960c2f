"""A conversation in the words of Responses: OpenAI's message dicts in, instructions and items out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.asked import url_of
from lm_deluge.values.conversation import ToolCall

__all__ = ["items_of"]

_SYSTEM: Final = ("system", "developer")

#: Kinds of parts that OpenAI names for chat only.
_NOT_HERE: Final = frozenset({"input_audio"})


def items_of(messages: Sequence[Mapping[str, Any]]) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the instructions, which are the system's texts before anything else, and the items.

    Raises ``ValueError`` naming what cannot be said.
    """
    told = next((at for at, one in enumerate(messages) if one["role"] not in _SYSTEM), 0)
    system = [
        text for at, one in enumerate(messages[:told]) for text in _texts(one, f"messages[{at}]")
    ]
    items: list[dict[str, Any]] = []
    customs: set[str | None] = set()
    for index, message in enumerate(messages[told:], told):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            items.append(_result(message, where, customs))
            continue
        items += _message(message, where)
        for call in message.get("tool_calls") or ():
            items.append(_call(ToolCall.from_openai(call), customs))
    return "\n\n".join(text for text in system if text) or None, items


def _message(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the item of a message's content: none where it has none."""
    role = message["role"]
    content: Any = _content(message.get("content"), where, role=role)
    if not content and role == "assistant" and message.get("refusal"):
        content = [{"type": "refusal", "refusal": message["refusal"]}]
    return [{"role": role, "content": content}] if content else []


def _call(call: ToolCall, customs: set[str | None]) -> dict[str, Any]:
    if call.extra.get("type") == "custom":
        customs.add(call.id)
        said = {"type": "custom_tool_call", "call_id": call.id, "name": call.name}
        return {**said, "input": call.arguments}
    said = {"type": "function_call", "call_id": call.id, "name": call.name}
    return {**said, "arguments": call.arguments or "{}"}


def _result(message: Mapping[str, Any], where: str, customs: set[str | None]) -> dict[str, Any]:
    known = message.get("tool_call_id")
    kind = "custom_tool_call_output" if known in customs else "function_call_output"
    output = _content(message.get("content"), where, role="user")
    return {"type": kind, "call_id": known, "output": output}


def _content(content: Any, where: str, *, role: str) -> str | list[Any]:
    """Return a message's text, or its parts as this API has them."""
    if not isinstance(content, list):
        return content or ""
    return [_part(part, f"{where}['content'][{at}]", role) for at, part in enumerate(content)]


def _part(part: Any, where: str, role: str) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text":
        text = "output_text" if role == "assistant" else "input_text"
        return {**part, "type": text}
    if kind == "image_url":
        return {"type": "input_image", **_image(part.get("image_url"), where)}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return {"type": "input_file", **part["file"]}
    if kind in _NOT_HERE:
        raise ValueError(
            f"{where} is of type {kind!r}, which the Responses API has none of: "
            "ask a model whose dialect is 'chat'"
        )
    return part


def _image(image: Any, where: str) -> dict[str, Any]:
    detail = image.get("detail") if isinstance(image, Mapping) else None
    return {"image_url": url_of(image, where), **({} if detail is None else {"detail": detail})}


def _texts(message: Mapping[str, Any], where: str) -> list[str]:
    content = message.get("content") or ""
    if isinstance(content, str):
        return [content]
    for at, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            raise ValueError(f"{where}['content'][{at}] is no text, and a system message is text")
    return [part["text"] for part in content]
