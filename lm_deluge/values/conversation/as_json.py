"""A conversation as JSON text, and back: nothing of it is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from lm_deluge.values.conversation.message import Message, check_message
from lm_deluge.values.foreign import shown, type_name
from lm_deluge.values.plain import plain_json

__all__ = ["FORMAT", "VERSION", "messages_in", "text_of"]

FORMAT: Final = "lm_deluge.conversation"
"""What the text says of itself."""

VERSION: Final = 1
"""Of the form: what an older one cannot read has a higher number."""

#: Fields of a message that are texts.
_TEXTS: Final = ("tool_call_id", "name", "refusal")


def text_of(messages: list[Message], indent: int | None) -> str:
    """Return messages as JSON text; ``TypeError`` or ``ValueError`` names what JSON cannot hold."""
    plain = plain_json([message.to_openai() for message in messages], "messages")
    for index, message in enumerate(plain):
        _check(message, f"messages[{index}]")
    told = {"format": FORMAT, "version": VERSION, "messages": plain}
    return json.dumps(told, ensure_ascii=False, indent=indent)


def messages_in(text: str | bytes) -> list[Message]:
    """Return the messages in JSON text: what ``text_of`` wrote, a list of message dicts, or a dict of one.

    Raises ``TypeError`` for what is no text, ``ValueError`` naming the place of whatever is wrong in it.
    """
    data = _decoded(text)
    messages = data
    if isinstance(data, dict):
        _check_head(data)
        messages = data["messages"]
    if not isinstance(messages, list):
        raise ValueError(f"a conversation is a list of messages, not {type_name(messages)}")
    found = []
    for index, message in enumerate(plain_json(messages, "messages")):
        where = f"messages[{index}]"
        try:
            check_message(message, where)
        except TypeError as error:
            raise ValueError(str(error)) from None
        _check(message, where)
        found.append(Message.from_openai(message))
    return found


def _decoded(given: Any) -> Any:
    text = given
    if isinstance(given, (bytes, bytearray, memoryview)):
        try:
            text = bytes(given).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"text must be UTF-8: {shown(given, 60)} is not UTF-8 ({error})"
            ) from None
    if not isinstance(text, str):
        raise TypeError(f"text must be JSON text (str or bytes), not {type_name(given)}")
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("text nests too deeply to be a conversation") from None
    except ValueError as error:
        raise ValueError(
            f"text must be JSON, as to_json() writes it: {shown(given, 60)} is not JSON ({error})"
        ) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _check_head(data: Mapping[str, Any]) -> None:
    told, version = data.get("format", FORMAT), data.get("version", VERSION)
    if told != FORMAT:
        raise ValueError(f"'format' is {shown(told, 60)}, and that of a conversation {FORMAT!r}")
    if type(version) is not int or version < 1:
        raise ValueError(f"'version' must be a number from 1, not {shown(version, 60)}")
    if version > VERSION:
        raise ValueError(
            f"the conversation is of version {version}, and this lm_deluge reads up to {VERSION}: install "
            "a newer one"
        )
    if "messages" not in data:
        raise ValueError(f"the conversation has no 'messages'; it has {shown(list(data), 100)}")


def _check(message: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` for fields of a message that nothing could be made of."""
    for name in _TEXTS:
        value = message.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{where}[{name!r}] must be a str, not {type_name(value)}")
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise ValueError(f"{where}['tool_calls'] must be a list, not {type_name(calls)}")
    for at, call in enumerate(calls or ()):
        _check_call(call, f"{where}['tool_calls'][{at}]")
    call = message.get("function_call")
    if call is not None:
        _check_function(call, f"{where}['function_call']")


def _check_call(call: Any, where: str) -> None:
    if not isinstance(call, dict):
        raise ValueError(f"{where} must be a dict, not {type_name(call)}")
    known = call.get("id")
    if known is not None and not isinstance(known, str):
        raise ValueError(f"{where}['id'] must be a str, not {type_name(known)}")
    kind = call.get("type", "function")
    if kind in ("function", "custom"):
        _check_function(call.get(kind), f"{where}[{kind!r}]")


def _check_function(function: Any, where: str) -> None:
    if not isinstance(function, dict):
        raise ValueError(f"{where} must be a dict with a 'name', not {type_name(function)}")
    if not isinstance(function.get("name"), str):
        raise ValueError(f"{where}['name'] must be a str, not {type_name(function.get('name'))}")
