"""What of a conversation goes back to a provider as it came, and what another provider is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.calls import as_taken
from lm_deluge.values.addresses import endpoint_of
from lm_deluge.values.conversation import ToolCall

__all__ = [
    "CAME",
    "called_in",
    "calls_in",
    "content_of",
    "object_asked",
    "without_foreign",
]

#: The key of a message under which it stands, as ``Choice.content`` puts it there.
CAME: Final = "provider_content"

#: Fields of chat completions that only the server that sent them takes.
_OWN_FIELDS: Final = ("extra_content", "reasoning_details", "reasoning_content")

#: What every server knows of a call.
_CALL: Final = ("id", "type", "function", "custom")


def content_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what goes back in the provider's own words; nothing where the message has none."""
    came = message.get(CAME)
    content = came.get("content") if isinstance(came, Mapping) else None
    given = content if isinstance(content, list) else []
    return given if all(isinstance(item, dict) for item in given) else []


def calls_in(message: Mapping[str, Any]) -> list[tuple[str | None, str, Any]]:
    """Return the id, the name and the arguments of a message's calls; arguments that are no JSON as text."""
    found: list[tuple[str | None, str, Any]] = []
    for call in message.get("tool_calls") or ():
        known = ToolCall.from_openai(call)
        try:
            arguments = known.parsed()
        except ValueError:
            arguments = known.arguments
        found.append((known.id, known.name, arguments))
    return found


def called_in(call: Mapping[str, Any], where: str) -> ToolCall:
    """Return an entry of a message's ``tool_calls``; the error for what is none says where it stands."""
    try:
        return ToolCall.from_openai(call)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}['tool_calls']: {error}") from error


def object_asked(call: ToolCall, where: str) -> dict[str, Any]:
    """Return a call's arguments, where nothing but an object can be said; ``ValueError`` for others.

    Models write ``null`` where a function takes none.
    """
    try:
        arguments = call.parsed()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise ValueError(f"{where}: the arguments of {call.name!r} are no JSON object")
    return arguments


def _with_ids(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the messages with ids for the calls that their server gave none.

    Their results have none either, and answer them in order.
    """
    if all(call.get("id") for message in messages for call in _calls_of(message)):
        return messages
    told: list[Mapping[str, Any]] = []
    waiting: list[str] = []
    for at, message in enumerate(messages):
        calls = _calls_of(message)
        if calls:
            named = [
                call if call.get("id") else {**call, "id": f"call_{at}_{position}"}
                for position, call in enumerate(calls)
            ]
            waiting = [new["id"] for new, call in zip(named, calls, strict=True) if new is not call]
            told.append({**message, "tool_calls": named} if waiting else message)
        elif message["role"] == "tool" and not message.get("tool_call_id") and waiting:
            told.append({**message, "tool_call_id": waiting.pop(0)})
        else:
            told.append(message)
    return told


def without_foreign(
    messages: Sequence[Mapping[str, Any]],
    dialect: str,
    base_url: str | None,
    tools: Iterable[Any] = (),
) -> list[Mapping[str, Any]]:
    """Return the messages without what another provider alone can read.

    A message of the same dialect and endpoint stays as it is. Of the others stay text, function calls
    and their results; calls of other kinds, and what answers them, are nothing that can be said here.
    Calls that have no ids are given some: only chat completions are known to do without. Names and ids
    that the API would refuse are replaced; ``tools``: those of the request, whose names are taken.
    """
    if dialect != "chat":
        messages = _with_ids(messages)
    endpoint = endpoint_of(base_url)
    messages = as_taken(
        messages,
        dialect,
        endpoint,
        [
            _is_own(came, dialect, endpoint) if (came := message.get(CAME)) else None
            for message in messages
        ],
        tools,
    )
    told: list[Mapping[str, Any]] = []
    unsaid: set[str] = set()
    for message in messages:
        came = message.get(CAME)
        if came is None:
            known = message.get("tool_call_id") if message["role"] == "tool" else None
            if not isinstance(known, str) or known not in unsaid:
                told.append(message)
        elif _is_own(came, dialect, endpoint):
            told.append(message)
        elif message["role"] != "tool":
            unsaid |= _ids_in(message)
            plain = _plain(message)
            if plain.get("content") or plain.get("tool_calls") or plain.get("refusal"):
                told.append(plain)
    return told


def _is_own(came: object, dialect: str, endpoint: str) -> bool:
    return (
        isinstance(came, Mapping)
        and came.get("dialect") == dialect
        and came.get("endpoint") in (None, endpoint)
    )


def _ids_in(message: Mapping[str, Any]) -> set[str]:
    """Return the ids of what asks the client for something and is no function."""
    calls = [call.get("id") for call in _calls_of(message)]
    ids = [item.get(key) for item in content_of(message) for key in ("id", "call_id")]
    # As they came, they may be anything.
    return {known for known in ids if isinstance(known, str) and known not in calls}


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in message.items() if key not in (CAME, *_OWN_FIELDS)}
    if calls := _calls_of(message):
        plain["tool_calls"] = [
            {key: value for key, value in call.items() if key in _CALL} for call in calls
        ]
    return plain


def _calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
