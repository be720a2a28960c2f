"""What the page asks, read as what anybody could have sent."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from attrs import frozen

from lm_deluge import Conversation, Message

__all__ = ["MOST_BYTES", "PageQuestion", "read_asked"]

#: Bytes of a request.
MOST_BYTES: Final = 4 << 20

_MOST_MESSAGES: Final = 2_000


@frozen
class PageQuestion:
    """A model's name as the page knows it, and the conversation so far; its last message is the user's."""

    model: str
    conversation: Conversation


def read_asked(body: bytes, system: str | None = None) -> PageQuestion:
    """Read ``{"model": NAME, "messages": [{"role": "user" | "assistant", "content": TEXT}, …]}``.

    ``system``: the system message that goes first. Raises ``ValueError`` that says what is wrong where.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the request is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"the request must be an object, not {_kind(value)}")
    model, messages = value.get("model"), value.get("messages")
    if not isinstance(model, str):
        raise ValueError(f"model must be a name, not {_kind(model)}")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list with at least one message")
    if len(messages) > _MOST_MESSAGES:
        raise ValueError(f"messages: {len(messages):,}; at most {_MOST_MESSAGES:,} are taken")
    conversation = Conversation()
    if system is not None:
        conversation.add(Message.system(system))
    for at, message in enumerate(messages):
        conversation.add(_message(message, f"messages[{at}]"))
    if conversation.messages[-1].role != "user":
        raise ValueError("the last message must be the user's")
    return PageQuestion(model, conversation)


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object, not {_kind(value)}")
    role, content = value.get("role"), value.get("content")
    if role not in ("user", "assistant"):
        raise ValueError(f"{where}: role must be user or assistant, not {str(role)[:40]!r}")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"{where}: content must be text that is not empty")
    return Message.user(content) if role == "user" else Message.ai(content)


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
