"""A conversation in the words of Gemini: OpenAI's message dicts in, the system's parts and contents out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.calls import UNSIGNED
from lm_deluge.dialects.going_back import called_in, calls_in, content_of, object_asked
from lm_deluge.values.conversation import ToolCall

__all__ = ["contents_of"]

#: Kinds of parts that are no text and that OpenAI, or vLLM, names.
_MEDIA: Final = frozenset({"image_url", "input_audio", "file", "audio_url", "video_url"})


def contents_of(
    messages: Sequence[Mapping[str, Any]], *, signs: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system's parts, which stand beside the contents, and the contents.

    The results of a turn's calls are one content. ``signs``: whether the model wants the first call of a
    turn to be signed. Raises ``ValueError`` naming what cannot be said.
    """
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    numbered: set[str] = set()
    for index, message in enumerate(messages):
        role, where = message["role"], f"messages[{index}]"
        if role == "tool":
            if not results:
                contents.append({"role": "user", "parts": results})
            result, media = _result(message, names, numbered, where)
            if media and signs:
                result["functionResponse"]["parts"] = media
            at = next(
                (at for at, each in enumerate(results) if "functionResponse" not in each), None
            )
            results.insert(len(results) if at is None else at, result)
            if not signs:
                # Earlier families are shown them beside the results.
                results += media
            continue
        results = []
        parts = _parts(message.get("content") or message.get("refusal"), where)
        if role in ("system", "developer"):
            system += parts
            continue
        came = _as_it_came(message)
        numbered |= {known for part in came if isinstance(known := _id_of(part), str)}
        for at, call in enumerate(message.get("tool_calls") or ()):
            known = called_in(call, where)
            names[known.id or ""] = known.name
            part = _call(known, where)
            if signs and not at:
                part.setdefault("thoughtSignature", UNSIGNED)
            parts.append(part)
        parts = came or parts
        if parts:
            contents.append({"role": "model" if role == "assistant" else "user", "parts": parts})
    return system, contents


def _as_it_came(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of an answer of this provider, if the message still says what they do."""
    parts = content_of(message)
    said = [part.get("text", "") for part in parts if part.get("thought") is not True]
    text = "".join(each for each in said if isinstance(each, str))
    if not parts or text != (message.get("content") or ""):
        return []
    asked = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
    called = [(name, arguments) for _, name, arguments in calls_in(message)]
    same = all(isinstance(arguments, dict) for _, arguments in called) and called == [
        (call.get("name"), call.get("args")) for call in asked
    ]
    return parts if same else []


def _id_of(part: Mapping[str, Any]) -> object:
    call = part.get("functionCall")
    return call.get("id") if isinstance(call, Mapping) else None


def _call(call: ToolCall, where: str) -> dict[str, Any]:
    if call.extra.get("type") == "custom":
        raise ValueError(f"{where} has a call of a custom tool, which the Gemini API has none of")
    asked = {"name": call.name, "args": object_asked(call, where)}
    part: dict[str, Any] = {"functionCall": asked}
    if (signature := call.extra.get("thoughtSignature")) is not None:
        part["thoughtSignature"] = signature
    return part


def _result(
    message: Mapping[str, Any], names: Mapping[str, str], numbered: set[str], where: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a tool's result: an object, as this API has it, with the name of the call that it is of.
    Beside it what of it is no text.

    ``numbered``: the ids that the server gave, by which it knows its calls.
    """
    asked = message.get("tool_call_id")
    name = names.get(asked) if isinstance(asked, str) else None
    if name is None:
        raise ValueError(
            f"{where} is the result of {asked!r}, and no message before it has that call"
        )
    content = message.get("content")
    media: list[dict[str, Any]] = []
    if isinstance(content, list):
        shown = [part for part in content if _kind_of(part) in _MEDIA]
        media = [_part(part, f"{where}['content']") for part in shown]
        content = [part for part in content if _kind_of(part) not in _MEDIA]
        content = "".join(
            _text(part, f"{where}['content'][{at}]") for at, part in enumerate(content)
        )
    try:
        told = json.loads(content or "")
    except (ValueError, RecursionError):
        told = None
    response = told if isinstance(told, dict) else {"result": content or ""}
    if message.get("is_error") is True:
        response = {"error": content or ""}
    given = {"id": asked} if asked in numbered else {}
    return {"functionResponse": {**given, "name": name, "response": response}}, media


def _kind_of(part: Any) -> object:
    return part.get("type") if isinstance(part, Mapping) else None


def _parts(content: Any, where: str) -> list[dict[str, Any]]:
    """Return a message's content as parts."""
    if isinstance(content, list):
        return [_part(part, f"{where}['content'][{at}]") for at, part in enumerate(content)]
    return [{"text": content}] if content else []


def _part(part: Any, where: str) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text":
        return {"text": _text(part, where)}
    if kind in _MEDIA:
        from lm_deluge.dialects.gemini.media import media_of

        return media_of(part, where)
    if kind == "refusal":
        raise ValueError(
            f"{where} is of type {kind!r}, which the dialect 'gemini' does not write: "
            "give it as the provider has it"
        )
    return part


def _text(part: Any, where: str) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(text, str):
        raise ValueError(f"{where} has no text")
    return text
