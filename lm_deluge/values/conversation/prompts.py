"""What may be given as a prompt, and the message dicts that it comes to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from lm_deluge.values.conversation.conversation import Conversation
from lm_deluge.values.conversation.message import Message, check_message
from lm_deluge.values.plain import plain_json

__all__ = ["Prompt", "to_messages"]

Prompt: TypeAlias = "str | Message | Conversation | Sequence[Message | Mapping[str, Any]]"
"""What may be given as a prompt; see `to_messages`."""

_ACCEPTED = "a str, a Message, a Conversation or a list of OpenAI message dicts"


def _refused(prompt: object) -> TypeError:
    hint = ""
    if isinstance(prompt, bytes | bytearray):
        hint = "; decode it first: prompt.decode()"
    elif inspect.isawaitable(prompt):
        if inspect.iscoroutine(prompt):
            # Python would warn that it was never awaited, on top of the error that says so.
            prompt.close()
        hint = "; await it first"
    elif prompt is None:
        hint = "; a function that returns nothing may have made it"
    elif isinstance(prompt, Mapping):
        hint = "; put the message into a list"
    return TypeError(f"the prompt must be {_ACCEPTED}, not {type(prompt).__name__}{hint}")


def to_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The OpenAI message dicts of a prompt; nothing of what was given is changed.

    Arguments:
        prompt: text (one user message), a `Message`, a `Conversation`, or a list of OpenAI message
            dicts, which pass verbatim, or of `Message`s.

    Raises:
        TypeError: anything else, content that is neither text nor a list of parts, or a value that
            JSON cannot hold.
        ValueError: an empty text, no messages, an unknown role, or text that is not Unicode.
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError("the prompt is empty")
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    elif isinstance(prompt, Message):
        messages = [prompt.to_openai()]
    elif isinstance(prompt, Conversation):
        messages = prompt.to_openai()
    elif isinstance(prompt, list | tuple):
        messages = []
        for index, item in enumerate(prompt):
            if isinstance(item, Message):
                messages.append(item.to_openai())
            else:
                check_message(item, f"messages[{index}]")
                messages.append(dict(item))
    else:
        raise _refused(prompt)
    if not messages:
        raise ValueError("the prompt has no messages")
    plain: list[dict[str, Any]] = plain_json(messages, "messages")
    return plain
