"""Requests of the AI SDK's ``useChat``: ``UIMessage`` lists, as a ``Conversation``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import frozen

from lm_deluge import Conversation, Message, ToolCall
from lm_deluge_plugins.relay.incoming.parts import (
    RequestBodyError,
    attachment,
    content_of,
    said_by_tool,
    text_part,
)

__all__ = ["UIRequest", "read_ui_request"]


class _UIMessage(msgspec.Struct, rename="camel"):
    role: str
    parts: list[dict[str, Any]]
    id: str = ""


class _UIBody(msgspec.Struct, rename="camel"):
    id: str
    messages: list[_UIMessage] | None = None
    message: _UIMessage | None = None
    trigger: str = "submit-message"
    message_id: str | None = None


@frozen(kw_only=True)
class UIRequest:
    """What ``useChat`` asked.

    ``chat_id``: the chat's, which the page made: a name, not a secret. ``conversation``: all that was said.
    ``trigger``: ``"submit-message"`` or ``"regenerate-message"``; ``message_id``: which is to be made anew.
    """

    chat_id: str
    conversation: Conversation
    trigger: str = "submit-message"
    message_id: str | None = None


def read_ui_request(
    body: bytes | str | Mapping[str, Any], *, take_system: bool = False
) -> UIRequest:
    """Read a request of ``useChat``: its JSON, or what that decodes to.

    ``take_system``: take system messages from the page, too; whoever has the page writes them. Reasoning and
    sources of earlier answers are left out; calls of tools go with their results, a call without one is
    left out. Raises ``ValueError`` (``RequestBodyError``), which says where the body is wrong.
    """
    try:
        raw = msgspec.json.decode(body) if isinstance(body, (bytes, str)) else body
        read = msgspec.convert(raw, _UIBody)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestBodyError(f"not a request of useChat: {error}") from None
    given = read.messages if read.messages is not None else [read.message] if read.message else []
    if not given:
        raise RequestBodyError(
            "a request of useChat has messages, or a message: this one has neither"
        )
    messages: list[Message] = []
    for at, message in enumerate(given):
        messages += _messages_of(message, f"messages[{at}]", take_system=take_system)
    return UIRequest(
        chat_id=read.id,
        conversation=Conversation(messages),
        trigger=read.trigger,
        message_id=read.message_id,
    )


def _messages_of(message: _UIMessage, where: str, *, take_system: bool) -> list[Message]:
    if message.role == "assistant":
        return _assistant(message, where)
    if message.role not in ("user", "system"):
        raise RequestBodyError(
            f"{where}.role must be user, assistant or system, not {message.role[:40]!r}"
        )
    if message.role == "system" and not take_system:
        raise RequestBodyError(
            f"{where} is a system message, which a page may not set unless take_system=True is given"
        )
    parts: list[dict[str, Any]] = []
    for at, part in enumerate(message.parts):
        found = _said(part, f"{where}.parts[{at}]")
        if found is not None:
            parts.append(found)
    return [Message(role=message.role, content=content_of(parts))] if parts else []


def _said(part: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    kind = _text(part, "type", where)
    if kind == "text":
        return text_part(_text(part, "text", where))
    if kind == "file":
        name = part.get("filename")
        media_type = _text(part, "mediaType", where)
        url = _text(part, "url", where)
        return attachment(media_type, url, name if isinstance(name, str) else None, where)
    return None


def _assistant(message: _UIMessage, where: str) -> list[Message]:
    """Return an answer's steps: what was said and called in each, then the results."""
    told: list[Message] = []
    texts: list[str] = []
    calls: list[ToolCall] = []
    results: list[Message] = []

    def end_step() -> None:
        text = "".join(texts)
        if text or calls:
            content = text or (None if calls else text)
            told.append(Message(role="assistant", content=content, tool_calls=list(calls)))
            told.extend(results)
        for each in (texts, calls, results):
            each.clear()

    for at, part in enumerate(message.parts):
        here = f"{where}.parts[{at}]"
        kind = _text(part, "type", here)
        if kind == "step-start":
            end_step()
        elif kind == "text":
            if results:  # what follows on results is another step, marked or not
                end_step()
            texts.append(_text(part, "text", here))
        elif kind == "dynamic-tool" or kind.startswith("tool-"):
            name = _text(part, "toolName", here) if kind == "dynamic-tool" else kind[5:]
            _add_call(part, name, here, calls, results)
    end_step()
    return told


def _add_call(
    part: Mapping[str, Any],
    name: str,
    where: str,
    calls: list[ToolCall],
    results: list[Message],
) -> None:
    state = part.get("state")
    if state not in ("output-available", "output-error"):
        return
    call_id = _text(part, "toolCallId", where)
    given = part.get("input", part.get("rawInput", {}))
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    said = part.get("output") if state == "output-available" else part.get("errorText", "error")
    calls.append(ToolCall(call_id, name, arguments))
    results.append(Message(role="tool", content=said_by_tool(said), tool_call_id=call_id))


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise RequestBodyError(f"{where}.{name} must be a string, not {type(value).__name__}")
    return value
