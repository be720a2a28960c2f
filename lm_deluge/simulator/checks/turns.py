"""Checks of the turns of a Messages request: roles, blocks, and calls with their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lm_deluge.simulator.checks.calls import check_claude_id, check_claude_name
from lm_deluge.simulator.checks.refusals import Refused

__all__ = ["blocks_in", "check_thoughts", "check_turns"]

# Blocks that clients send, each with the fields that must come with it; others go unchecked.
_BLOCKS: Final = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "thinking": ("signature", "thinking"),
    "redacted_thinking": ("data",),
}

#: Where an image or a document may come from, with the fields of each.
_SOURCES: Final = {
    "base64": ("media_type", "data"),
    "url": ("url",),
    "file": ("file_id",),
    "text": ("media_type", "data"),
    "content": ("content",),
}
_MEDIA: Final = {
    ("image", "base64"): ("image/jpeg", "image/png", "image/gif", "image/webp"),
    ("document", "base64"): ("application/pdf",),
    ("document", "text"): ("text/plain",),
}


def blocks_in(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a message's blocks; a text is one."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_turns(messages: Any) -> None:
    """Raises `Refused` (400) for messages that the real service would not take."""
    if not isinstance(messages, list):
        raise Refused(400, "messages: Input should be a valid list")
    if not messages:
        raise Refused(400, "messages: at least one message is required")
    for index, message in enumerate(messages):
        _check_turn(message, f"messages.{index}", is_last=index == len(messages) - 1)
    for index, message in enumerate(messages):
        before = messages[index - 1] if index else {"role": "user", "content": []}
        _check_results(message, before, index)
    _check_answered(messages)


def check_thoughts(
    messages: list[dict[str, Any]], seal: Callable[[str], str], *, required: bool
) -> None:
    """Raises `Refused` (400) for thinking that is not as it was sent, or missing before a call.

    ``seal`` returns the signature of a text; ``required``: whether thinking was asked for.
    """
    for index, message in enumerate(messages):
        for number, block in enumerate(blocks_in(message)):
            where = f"messages.{index}.content.{number}"
            if block.get("type") == "thinking" and block["signature"] != seal(block["thinking"]):
                raise Refused(400, f"{where}: Invalid `signature` in `thinking` block")
    if required and len(messages) > 1 and _ids(messages[-1], "tool_result", "tool_use_id"):
        first = blocks_in(messages[-2])[0]["type"]
        if first not in ("thinking", "redacted_thinking"):
            raise Refused(
                400,
                f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or "
                f"`redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final "
                "`assistant` message must start with a thinking block (preceeding the lastmost set "
                "of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks "
                "from previous turns. To avoid this requirement, disable `thinking`.",
            )


def _check_turn(message: Any, where: str, *, is_last: bool) -> None:
    if not isinstance(message, dict):
        raise Refused(400, f"{where}: Input should be a valid dictionary")
    for name in ("role", "content"):
        if message.get(name) is None:
            raise Refused(400, f"{where}.{name}: Field required")
    role, content = message["role"], message["content"]
    if role == "system":
        raise Refused(
            400,
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
            'parameter, not "system" as an input message role.',
        )
    if role not in ("user", "assistant"):
        raise Refused(400, f"{where}.role: Input should be 'user' or 'assistant'")
    if not isinstance(content, (str, list)):
        raise Refused(400, f"{where}.content: Input should be a valid list")
    if not content and not (is_last and role == "assistant"):
        raise Refused(
            400,
            f"{where}: all messages must have non-empty content except for the optional final "
            "assistant message",
        )
    if isinstance(content, list):
        for number, block in enumerate(content):
            _check_block(block, f"{where}.content.{number}", role)


def _check_block(block: Any, where: str, role: str) -> None:
    if not isinstance(block, dict):
        raise Refused(400, f"{where}: Input should be a valid dictionary")
    kind = block.get("type")
    if not isinstance(kind, str):
        raise Refused(400, f"{where}.type: Field required")
    for name in _BLOCKS.get(kind, ()):
        if block.get(name) is None:
            raise Refused(400, f"{where}.{kind}.{name}: Field required")
    if kind == "text" and not block["text"]:
        raise Refused(400, "messages: text content blocks must be non-empty")
    if kind in ("image", "document"):
        _check_source(kind, block["source"], f"{where}.{kind}.source")
    if kind == "tool_use":
        if role != "assistant":
            raise Refused(400, f"{where}: `tool_use` blocks can only be in `assistant` messages")
        check_claude_name(block["name"], f"{where}.tool_use.name")
        check_claude_id(block["id"], f"{where}.tool_use.id")
        if not isinstance(block["input"], dict):
            raise Refused(400, f"{where}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_result":
        if role != "user":
            raise Refused(400, f"{where}: `tool_result` blocks can only be in `user` messages")
        check_claude_id(block["tool_use_id"], f"{where}.tool_result.tool_use_id")


def _check_source(kind: str, source: Any, where: str) -> None:
    given = source.get("type") if isinstance(source, dict) else None
    if given not in _SOURCES:
        raise Refused(
            400,
            f"{where}: Input tag {given!r} found using 'type' does not match any of the expected tags: "
            f"{', '.join(map(repr, _SOURCES))}",
        )
    for name in _SOURCES[given]:
        if source.get(name) is None:
            raise Refused(400, f"{where}.{given}.{name}: Field required")
    media = source.get("media_type")
    known = _MEDIA.get((kind, given))
    if known is not None and media not in known:
        raise Refused(
            400, f"{where}.{given}.media_type: Input should be {' or '.join(map(repr, known))}"
        )


def _ids(message: dict[str, Any], kind: str, field: str) -> list[str]:
    return [block[field] for block in blocks_in(message) if block.get("type") == kind]


def _check_results(message: dict[str, Any], before: dict[str, Any], index: int) -> None:
    asked = _ids(before, "tool_use", "id")
    given = _ids(message, "tool_result", "tool_use_id")
    for number, block in enumerate(blocks_in(message)):
        if block.get("type") == "tool_result" and block["tool_use_id"] not in asked:
            raise Refused(
                400,
                f"messages.{index}.content.{number}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {block['tool_use_id']}. Each `tool_result` block must have "
                "a corresponding `tool_use` block in the previous message.",
            )
    left = [each for each in asked if each not in given]
    if left:
        raise _unanswered(index - 1, left)


def _check_answered(messages: list[dict[str, Any]]) -> None:
    if left := _ids(messages[-1], "tool_use", "id"):
        raise _unanswered(len(messages) - 1, left)


def _unanswered(index: int, left: list[str]) -> Refused:
    return Refused(
        400,
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(left)}. Each `tool_use` block must have a corresponding `tool_result` "
        "block in the next message.",
    )
