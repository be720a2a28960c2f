"""Requests of AG-UI clients: ``RunAgentInput``, as a ``Conversation``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import field, frozen

from lm_deluge import Conversation, Message, ToolCall
from lm_deluge_plugins.relay.formats.ag_ui import AGUI
from lm_deluge_plugins.relay.incoming.parts import (
    RequestBodyError,
    attachment,
    content_of,
    said_by_tool,
    text_part,
)

__all__ = ["RunInput", "read_run_input"]


class _AGFunction(msgspec.Struct):
    name: str
    arguments: str = ""


class _AGCall(msgspec.Struct):
    id: str
    function: _AGFunction


class _AGMessage(msgspec.Struct, rename="camel"):
    role: str
    content: str | list[dict[str, Any]] | None = None
    id: str = ""
    tool_calls: list[_AGCall] | None = None
    tool_call_id: str | None = None
    error: str | None = None


class _AGSource(msgspec.Struct, rename="camel"):
    value: str
    type: str = "url"
    mime_type: str | None = None


class _AGTool(msgspec.Struct):
    name: str
    description: str = ""
    parameters: Any = None


class _RunAgentInput(msgspec.Struct, rename="camel"):
    thread_id: str
    run_id: str
    messages: list[dict[str, Any]]
    tools: list[_AGTool] | None = None
    state: Any = None
    forwarded_props: Any = None


@frozen(kw_only=True)
class RunInput:
    """What an AG-UI client asked.

    ``thread_id``, ``run_id``: the client's. ``conversation``: all that was said. ``tools``: what the model
    may call and the client runs, as ``open_stream(tools=...)`` takes them. ``state``,
    ``forwarded_props``: as they came.
    """

    thread_id: str
    run_id: str
    conversation: Conversation
    tools: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    state: Any = None
    forwarded_props: Any = None

    def encoder(self) -> AGUI:
        """Return the wire format that answers this run: ``respond(..., format=run.encoder())``."""
        return AGUI(self.thread_id, self.run_id)


def read_run_input(body: bytes | str | Mapping[str, Any], *, take_system: bool = False) -> RunInput:
    """Read a ``RunAgentInput``: its JSON, or what that decodes to.

    ``take_system``: take system and developer messages from the client, too; whoever has the page writes
    them. Reasoning and activities are left out. Raises ``ValueError`` (``RequestBodyError``), which says
    where the body is wrong.
    """
    try:
        raw = msgspec.json.decode(body) if isinstance(body, (bytes, str)) else body
        read = msgspec.convert(raw, _RunAgentInput)
        known = [msgspec.convert(each, _AGMessage) for each in read.messages if _is_said(each)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestBodyError(f"not a request of AG-UI: {error}") from None
    messages = [
        _message_of(message, f"messages[{at}]", take_system=take_system)
        for at, message in enumerate(known)
    ]
    return RunInput(
        thread_id=read.thread_id,
        run_id=read.run_id,
        conversation=Conversation(messages),
        tools=[_tool_of(tool) for tool in read.tools or ()],
        state=read.state,
        forwarded_props=read.forwarded_props,
    )


def _is_said(message: Mapping[str, Any]) -> bool:
    return message.get("role") not in ("reasoning", "activity")


def _message_of(message: _AGMessage, where: str, *, take_system: bool) -> Message:
    role = message.role
    if role in ("system", "developer"):
        if not take_system:
            raise RequestBodyError(
                f"{where} is a {role} message, which a page may not set unless take_system=True is given"
            )
        return Message(role=role, content=_content(message, where))
    if role == "user":
        return Message(role="user", content=_content(message, where))
    if role == "assistant":
        calls = [
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
        ]
        content = message.content if isinstance(message.content, str) else None
        return Message(
            role="assistant", content=content or (None if calls else ""), tool_calls=calls
        )
    if role == "tool":
        if message.tool_call_id is None:
            raise RequestBodyError(f"{where}.toolCallId is missing")
        said = message.error if message.error is not None else _content(message, where)
        return Message(role="tool", content=said_by_tool(said), tool_call_id=message.tool_call_id)
    raise RequestBodyError(f"{where}.role must be one of AG-UI's, not {role[:40]!r}")


def _content(message: _AGMessage, where: str) -> str | list[dict[str, Any]]:
    if not isinstance(message.content, list):
        return message.content or ""
    return content_of(
        [_part(part, f"{where}.content[{at}]") for at, part in enumerate(message.content)]
    )


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_part(part["text"])
    try:
        source = msgspec.convert(part.get("source"), _AGSource)
    except msgspec.ValidationError as error:
        raise RequestBodyError(f"{where} must be a text, or have a source: {error}") from None
    media_type = source.mime_type or f"{part.get('type')}/*"
    is_data = source.type == "data"
    url = f"data:{media_type};base64,{source.value}" if is_data else source.value
    return attachment(media_type, url, None, where)


def _tool_of(tool: _AGTool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}
