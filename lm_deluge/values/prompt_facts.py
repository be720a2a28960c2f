"""What a stream and its log tell of the prompt: its length, how it begins, and which one it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from lm_deluge.values.redaction import Redactor

__all__ = ["BEGINNING", "PromptFacts", "prompt_hash"]

BEGINNING: Final = 200
"""Characters of the last user message that are told, at most."""

#: Characters beyond them that are looked at, for the rest of a secret at the cut.
_BEYOND: Final = 4096

#: Bytes of the hash; it is written as twice as many hex digits.
_DIGEST: Final = 8

#: What a provider's cache is told, and no part of what the model is.
_BESIDE: Final = frozenset({"cache_control"})


class PromptFacts:
    """Facts of a prompt, each worked out when it is first asked for.

    ``messages``: OpenAI message dicts, which nobody changes. They are let go of once everything is known.
    """

    __slots__ = ("_begins", "_chars", "_hash", "_messages")

    def __init__(self, messages: Sequence[Mapping[str, Any]] = ()) -> None:
        self._messages: Sequence[Mapping[str, Any]] | None = messages
        self._chars: int | None = None
        self._hash: str | None = None
        self._begins: str | None = None

    @property
    def chars(self) -> int:
        """Characters of text in all messages."""
        messages = self._messages
        if self._chars is None and messages is not None:
            self._chars = sum(len(text) for message in messages for text in _texts(message))
            self._let_go()
        return self._chars or 0

    @property
    def hash(self) -> str:
        """``prompt_hash`` of the messages. Takes a millisecond for a megabyte; from any thread."""
        messages = self._messages
        if self._hash is None and messages is not None:
            self._hash = prompt_hash(messages)
            self._let_go()
        return self._hash or ""

    def begins(self, redactor: Redactor) -> str:
        """Return up to 200 characters of the last user message, without secrets.

        Of the last message with text, where no user's has any; ``""`` without text.
        """
        messages = self._messages
        if self._begins is None and messages is not None:
            text = _last_text(messages)[: BEGINNING + _BEYOND]
            self._begins = redactor.text(text)[:BEGINNING]
            self._let_go()
        return self._begins or ""

    def _let_go(self) -> None:
        if None not in (self._chars, self._hash, self._begins):
            self._messages = None


def prompt_hash(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return 16 hex digits that are the same for the same conversation, whoever is asked, and how.

    BLAKE2b (8 bytes) of a canonical form, docs/design/metrics.md: every value with its kind and length,
    dicts by sorted key. One text part and a plain text are the same, ``developer`` is ``system``, null is
    absent, tool calls are numbered in the place of their ids, and ``cache_control`` is left out.
    """
    digest = blake2b(digest_size=_DIGEST)
    ids: dict[str, str] = {}
    for message in messages:
        for piece in _canonical(_message(message, ids)):
            digest.update(piece)
    return digest.hexdigest()


def _message(message: Mapping[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    told = dict(message)
    if told.get("role") == "developer":
        told["role"] = "system"
    content = told.get("content")
    if isinstance(content, list) and content and all(map(_is_text, content)):
        told["content"] = "".join(part["text"] for part in content)
    calls = told.get("tool_calls")
    if isinstance(calls, list):
        told["tool_calls"] = [
            {**call, "id": _numbered(call["id"], ids)}
            if isinstance(call, Mapping) and isinstance(call.get("id"), str)
            else call
            for call in calls
        ]
    if isinstance(told.get("tool_call_id"), str):
        told["tool_call_id"] = _numbered(told["tool_call_id"], ids)
    return told


def _numbered(given: str, ids: dict[str, str]) -> str:
    """Return the call's number in the place of an id that each provider makes up."""
    return ids.setdefault(given, str(len(ids)))


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and part.get("type", "text") == "text"
        and isinstance(part.get("text"), str)
        and part.keys() <= {"type", "text", *_BESIDE}
    )


def _canonical(value: Any) -> Iterator[bytes]:
    """Yield a value of JSON's as bytes: a letter for its kind, its length, a colon, what is in it."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        yield b"s%d:" % len(data)
        yield data
    elif isinstance(value, Mapping):
        kept = {
            str(key): item
            for key, item in value.items()
            if item is not None and item != [] and key not in _BESIDE
        }
        yield b"d%d:" % len(kept)
        for key in sorted(kept):
            yield from _canonical(key)
            yield from _canonical(kept[key])
    elif isinstance(value, (list, tuple)):
        yield b"l%d:" % len(value)
        for item in value:
            yield from _canonical(item)
    else:
        text = {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))
        yield b"v%d:%s" % (len(text), text.encode())


def _last_text(messages: Sequence[Mapping[str, Any]]) -> str:
    last = ""
    for message in reversed(messages):
        text = "".join(_texts(message))
        if text.strip():
            if message.get("role") == "user":
                return text
            last = last or text
    return last


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]
