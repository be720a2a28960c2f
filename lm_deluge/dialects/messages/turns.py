"""A conversation in the words of Messages: OpenAI's message dicts in, the system's texts and turns out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.going_back import called_in, calls_in, content_of, object_asked

__all__ = ["calls_without_thinking", "turns_of"]

#: Kinds of parts that others alone know; the provider's own go as they are.
_OTHERS_PARTS: Final = frozenset({"input_audio", "audio_url", "video_url", "refusal"})

#: Kinds of blocks that hold what the model thought.
_THOUGHTS: Final = ("thinking", "redacted_thinking")


def turns_of(
    messages: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system's blocks of text, which stand beside the messages, and the turns.

    The results of a turn's calls are one message. Raises ``ValueError`` naming what cannot be said.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        role, where = message["role"], f"messages[{index}]"
        content = _content(message.get("content") or message.get("refusal"), where)
        if role == "tool":
            if not results:
                turns.append({"role": "user", "content": results})
            results.append(_result(message, content))
            continue
        results = []
        content = _cached(content, message)
        if role in ("system", "developer"):
            system += _texts(content, where)
        elif blocks := _as_it_came(message):
            turns.append({"role": role, "content": blocks})
        elif calls := message.get("tool_calls"):
            text = [{"type": "text", "text": content}] if isinstance(content, str) else content
            asked = [_call(call, where) for call in calls]
            turns.append({"role": role, "content": [*(text if content else []), *asked]})
        elif said := content if isinstance(content, str) else _without_last_thinking(content):
            turns.append({"role": role, "content": said})
    return [block for block in system if block["text"]], turns


def calls_without_thinking(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether results are sent of calls that no thinking came before: it cannot be begun then."""
    answers = called = False
    for turn in reversed(turns):
        blocks = turn["content"] if isinstance(turn["content"], list) else []
        kinds = {block.get("type") for block in blocks if isinstance(block, Mapping)}
        if turn["role"] == "assistant":
            if not answers or not kinds.isdisjoint(_THOUGHTS):
                return False
            called = True
        elif "tool_result" in kinds:
            answers = True
        elif called:
            # The calls before that are of an earlier turn; text after the results is none of its own.
            break
    return answers


def _as_it_came(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks of an answer of this provider, if the message still says what they do."""
    blocks = content_of(message)
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    if not blocks or text != (message.get("content") or ""):
        return []
    asked = [
        (block.get("id"), block.get("name"), block.get("input"))
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    called = calls_in(message)
    same = all(isinstance(arguments, dict) for _, _, arguments in called) and asked == called
    if not same:
        return []
    return _without_last_thinking([block for block in blocks if not _is_cut_thinking(block)])


def _without_last_thinking(content: list[Any]) -> list[Any]:
    """Return a turn's content without the thinking at its end, as of an answer cut before it said more.

    The API refuses a turn that ends so.
    """
    end = len(content)
    while end and isinstance(block := content[end - 1], Mapping) and _is_thought(block):
        end -= 1
    return content[:end]


def _is_thought(block: Mapping[str, Any]) -> bool:
    return block.get("type") in _THOUGHTS


def _is_cut_thinking(block: Mapping[str, Any]) -> bool:
    """Whether a block is thinking that was cut before it was signed; of servers that sign none is."""
    return block.get("type") == "thinking" and "signature" in block and not block["signature"]


def _call(call: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = called_in(call, where)
    if known.extra.get("type") == "custom":
        raise ValueError(f"{where} has a call of a custom tool, which the Messages API has none of")
    said = {"type": "tool_use", "id": known.id, "name": known.name}
    return {**said, "input": object_asked(known, where)}


def _result(message: Mapping[str, Any], content: str | list[Any]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
    }
    if content:
        result["content"] = content
    if message.get("is_error") is True:
        result["is_error"] = True
    return {**result, **_cache_in(message)}


def _cache_in(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message says of how far the prompt is kept; this API says it of blocks."""
    told = message.get("cache_control")
    return {} if told is None else {"cache_control": told}


def _cached(content: str | list[Any], message: Mapping[str, Any]) -> str | list[Any]:
    """Return a message's content whose last block says what the message does of how far it is kept."""
    told = _cache_in(message)
    if not told or not content:
        return content
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    last = blocks[-1]
    return [*blocks[:-1], {**told, **last} if isinstance(last, Mapping) else last]


def _content(content: Any, where: str) -> str | list[Any]:
    """Return a message's text, or its parts as this API has them."""
    if not isinstance(content, list):
        return content or ""
    return [_part(part, f"{where}['content'][{at}]") for at, part in enumerate(content)]


def _part(part: Any, where: str) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "image_url":
        from lm_deluge.dialects.messages.documents import image_source

        return {"type": "image", "source": image_source(part.get("image_url"), where)}
    if kind == "file":
        from lm_deluge.dialects.messages.documents import document_of

        return document_of(part, where)
    if kind in _OTHERS_PARTS:
        raise ValueError(
            f"{where} is of type {kind!r}, which the Messages API does not take: ask a model of another "
            "dialect, or give it as the provider has it"
        )
    return part


def _texts(content: str | list[Any], where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    for at, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            raise ValueError(f"{where}['content'][{at}] is no text, and a system message is text")
    return [dict(part) for part in content]
