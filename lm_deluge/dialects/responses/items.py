"""A conversation in the words of Responses: OpenAI's message dicts in, instructions and items out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.asked import url_of
from lm_deluge.dialects.attached import file_in
from lm_deluge.dialects.going_back import called_in, content_of
from lm_deluge.values.conversation import ToolCall

__all__ = ["items_of"]

_SYSTEM: Final = ("system", "developer")

#: The calls that a text answers.
_TEXT_ANSWERS: Final = ("function_call", "custom_tool_call", "local_shell_call")

#: Kinds of parts that others alone know, and who does.
_NOT_HERE: Final = {
    "input_audio": "ask a model whose dialect is 'chat'",
    "audio_url": "ask a 'gemini:…'",
    "video_url": "ask a 'gemini:…'",
}


def items_of(
    messages: Sequence[Mapping[str, Any]], *, thinks: bool = True
) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the instructions, which are the system's texts before anything else, and the items.

    ``thinks``: whether the model takes reasoning, which others refuse.

    Raises ``ValueError`` naming what cannot be said.
    """
    told = next((at for at, one in enumerate(messages) if one["role"] not in _SYSTEM), 0)
    system = [
        text for at, one in enumerate(messages[:told]) for text in _texts(one, f"messages[{at}]")
    ]
    items: list[dict[str, Any]] = []
    # Of calls that are no functions: their types.
    kinds: dict[str | None, str] = {}
    for index, message in enumerate(messages[told:], told):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            items += content_of(message) or [_result(message, where, kinds)]
            continue
        if came := _as_it_came(message, thinks=thinks):
            kinds |= _kinds_of(came)
            items += came
            continue
        items += _message(message, where)
        for call in message.get("tool_calls") or ():
            items.append(_call(called_in(call, where), kinds))
    return "\n\n".join(text for text in system if text) or None, items


def _message(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the item of a message's content: none where it has none."""
    role = message["role"]
    content: Any = _content(message.get("content"), where, role=role)
    if not content and role == "assistant" and message.get("refusal"):
        content = [{"type": "refusal", "refusal": message["refusal"]}]
    return [{"role": role, "content": content}] if content else []


def _as_it_came(message: Mapping[str, Any], *, thinks: bool) -> list[dict[str, Any]]:
    """Return the items of an answer of this provider, if the message still says what they do.

    Reasoning that nothing follows, as a cut leaves it, is refused.

    Reasoning that is neither encrypted nor told is known by its id alone, where the server keeps answers,
    which it is told not to; so it stays away, and the other ids with it, which would ask for it.
    """
    items = content_of(message)
    if not items or "".join(_texts_of(items)) != (
        message.get("content") or message.get("refusal") or ""
    ):
        return []
    asked = [
        (item.get("call_id"), item.get("name"), item.get("arguments") or "{}")
        for item in items
        if item.get("type") == "function_call"
    ]
    called = [ToolCall.from_openai(call) for call in message.get("tool_calls") or ()]
    if asked != [(call.id, call.name, call.arguments or "{}") for call in called]:
        return []
    items = _without_last_thoughts(items)
    told = [item for item in items if not _is_reasoning(item) or (thinks and _is_told(item))]
    if len(told) == len(items):
        return items
    return [{key: item[key] for key in item if key != "id" or _is_named(item)} for item in told]


def _kinds_of(items: Sequence[Mapping[str, Any]]) -> dict[str | None, str]:
    """Return the types of calls by what answers name them by."""
    found: dict[str | None, str] = {}
    for item in items:
        known = item.get("call_id") or item.get("id")
        if isinstance(known, str):
            found[known] = str(item.get("type"))
    return found


def _is_reasoning(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "reasoning"


def _is_told(item: Mapping[str, Any]) -> bool:
    """Whether reasoning stands in its item, and is not kept elsewhere."""
    return bool(item.get("encrypted_content") or item.get("content"))


def _without_last_thoughts(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = next((at for at in range(len(items), 0, -1) if not _is_reasoning(items[at - 1])), 0)
    return items[:last]


def _is_named(item: Mapping[str, Any]) -> bool:
    """Whether an item needs its id, because nothing else names it."""
    return item.get("type") not in ("message", "function_call", "custom_tool_call")


def _texts_of(items: Sequence[Mapping[str, Any]]) -> list[str]:
    found: list[str] = []
    for item in items:
        parts = item.get("content") if item.get("type") == "message" else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                said = part.get("text") or part.get("refusal")
                found.append(said if isinstance(said, str) else "")
    return found


def _call(call: ToolCall, kinds: dict[str | None, str]) -> dict[str, Any]:
    if call.extra.get("type") == "custom":
        kinds[call.id] = "custom_tool_call"
        said = {"type": "custom_tool_call", "call_id": call.id, "name": call.name}
        return {**said, "input": call.arguments}
    said = {"type": "function_call", "call_id": call.id, "name": call.name}
    return {**said, "arguments": call.arguments or "{}"}


def _result(
    message: Mapping[str, Any], where: str, kinds: Mapping[str | None, str]
) -> dict[str, Any]:
    known = message.get("tool_call_id")
    kind = kinds.get(known, "function_call")
    if kind not in _TEXT_ANSWERS:
        raise ValueError(
            f"{where} is the result of a {kind!r}, which is no text: say it with "
            "response.other_calls[...].answer({...}), in the provider's words"
        )
    output = _content(message.get("content"), where, role="user")
    return {"type": f"{kind}_output", "call_id": known, "output": output}


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
    if kind == "file":
        file = file_in(part, where)
        # A name goes with data alone.
        return {"type": "input_file"} | {
            key: file[key] for key in file if key != "filename" or "file_data" in file
        }
    if kind in _NOT_HERE:
        raise ValueError(
            f"{where} is of type {kind!r}, which the Responses API has none of: {_NOT_HERE[kind]}"
        )
    return part


def _image(image: Any, where: str) -> dict[str, Any]:
    detail = image.get("detail") if isinstance(image, Mapping) else None
    # OpenAI's types ask for it; "auto" is what the API does without.
    return {"image_url": url_of(image, where), "detail": detail or "auto"}


def _texts(message: Mapping[str, Any], where: str) -> list[str]:
    content = message.get("content") or ""
    if isinstance(content, str):
        return [content]
    for at, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            raise ValueError(f"{where}['content'][{at}] is no text, and a system message is text")
    return [part["text"] for part in content]
