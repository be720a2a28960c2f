"""How many tokens a prompt has: by tiktoken where it is installed, else by a rule of thumb."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from logging import INFO
from typing import Any, Final

from lm_deluge.values.conversation.message import Message
from lm_deluge.values.foreign import log, message_of, type_name
from lm_deluge.values.plain import plain_json

__all__ = ["TokenCount", "TokenCounter"]

#: Around each message, and before the answer (OpenAI's cookbook, "How to count tokens with tiktoken").
_MESSAGE: Final = 4
_ANSWER: Final = 3

#: Around each call, and each tool: what stands for their braces and keys.
_CALL: Final = 8

#: An image: most providers count 85 to 1,600, by its size and their own rule.
_IMAGE: Final = 1_000
_LOW_DETAIL: Final = 85

#: A page of a PDF, read as text and as an image (Anthropic: 1,500 to 3,000), and any other file.
_PAGE: Final = 2_000
_PAGES: Final = re.compile(rb"/Type\s*/Page[^s\w]")
_BYTES_OF_A_PAGE: Final = 100_000

#: A second of audio (Gemini: 32, OpenAI about 10), and its bytes where they do not tell: 128 kbit/s.
_SECOND: Final = 32
_BYTES_OF_A_SECOND: Final = 16_000

_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t\n\r\v\f"
_WIDE: Final = re.compile("[\u2e80-\uffff]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")

_PREFIX: Final = re.compile(r"(?:openai|openai-responses):")
_DATA: Final = re.compile(r"data:([\w.+/-]*)(?:;[\w.+-]+=[^;,]*)*;base64,")


class TokenCount(int):
    """A number of tokens. ``by``: what counted them, ``"tiktoken o200k_base"`` or ``"estimate"``."""

    by: str

    def __new__(cls, count: int, by: str) -> TokenCount:
        """``count`` tokens, as ``by`` counted them."""
        made = super().__new__(cls, count)
        made.by = by
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenCount, (int(self), self.by)


class TokenCounter:
    """Counts for one model. ``by``: how, as ``TokenCount.by`` says it."""

    def __init__(self, model: str | None) -> None:
        self.by, self._text = _way(model)

    def prompt(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> TokenCount:
        """Return the tokens of a whole prompt. ``tools``: as in OpenAI's API."""
        own = sum(self.message(message) for message in messages)
        return TokenCount(self.around(tools) + own, self.by)

    def around(self, tools: Sequence[Mapping[str, Any]] | None) -> int:
        """Return what a prompt has beside its messages."""
        if tools is not None and not isinstance(tools, (list, tuple)):
            raise TypeError(f"tools must be a list of dicts, not {type_name(tools)}")
        for at, tool in enumerate(tools or ()):
            if not isinstance(tool, Mapping):
                raise TypeError(f"tools[{at}] must be a dict, not {type_name(tool)}")
        told = plain_json(tools or [], "tools")
        dumped = (json.dumps(tool, ensure_ascii=False, separators=(",", ":")) for tool in told)
        return _ANSWER + sum(_CALL + self._text(text) for text in dumped)

    def message(self, message: Message) -> int:
        """Return the tokens of one message."""
        found = _MESSAGE + self._text(message.name or "") + self._text(message.refusal or "")
        for call in message.tool_calls:
            found += _CALL + self._text(call.name) + self._text(call.arguments)
        content = message.content
        if isinstance(content, list):
            return found + sum(self._part(part) for part in content)
        return found + self._text(content or "")

    def _part(self, part: Mapping[str, Any]) -> int:
        kind = part.get("type", "text")
        if isinstance(text := part.get("text"), str):
            return self._text(text)
        inner = part.get(kind) if isinstance(kind, str) else None
        told: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
        if kind == "image_url":
            return _LOW_DETAIL if told.get("detail") == "low" else _IMAGE
        if kind == "input_audio":
            return _of_audio(_bytes(told.get("data")))
        if kind == "file":
            return self._file(told.get("file_data"))
        # In a provider's own words.
        return _IMAGE

    def _file(self, given: object) -> int:
        if not isinstance(given, str):
            return _PAGE
        begins = _DATA.match(given)
        kind = begins[1] if begins is not None else ""
        data = _bytes(given[begins.end() :] if begins is not None else given)
        if kind.startswith("text/") or kind in ("application/json", "application/yaml"):
            return self._text(data.decode(errors="replace"))
        if kind.startswith("video/"):
            return math.ceil(len(data) / _BYTES_OF_A_SECOND / 8) * 10 * _SECOND
        pages = max(len(_PAGES.findall(data)), math.ceil(len(data) / _BYTES_OF_A_PAGE), 1)
        return pages * _PAGE


def _bytes(encoded: object) -> bytes:
    try:
        return base64.b64decode(encoded) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        return b""


def _of_audio(data: bytes) -> int:
    rate = int.from_bytes(data[28:32], "little") if data[8:12] == b"WAVE" else 0
    return max(1, math.ceil(len(data) / (rate or _BYTES_OF_A_SECOND) * _SECOND))


def _estimated(text: str) -> int:
    """Return about how many tokens a text has.

    Letters of ASCII and white space: 4.5 a token; digits and signs: 2. Of other scripts 2 letters, those of
    Chinese, Japanese and Korean 1, an emoji 2 tokens.
    """
    if not text:
        return 0
    ascii_ = text.encode("ascii", "ignore")
    signs = len(ascii_.translate(None, _LETTERS))
    found = (len(ascii_) - signs) / 4.5 + signs / 2
    if len(ascii_) != len(text):
        wide, astral = len(_WIDE.findall(text)), len(_ASTRAL.findall(text))
        found += (len(text) - len(ascii_) - wide - astral) / 2 + wide + 2 * astral
    return math.ceil(found)


def _way(model: str | None) -> tuple[str, Callable[[str], int]]:
    name = _encoding_name(_PREFIX.sub("", model or "", count=1))
    encode = None if name is None else _encoder(name)
    if encode is None:
        return "estimate", _estimated
    return f"tiktoken {name}", lambda text: len(encode(text)) if text else 0


def _encoding_name(model: str) -> str | None:
    """Return which of tiktoken's encodings is the model's, or nearest; ``None`` without tiktoken."""
    try:
        import tiktoken
    except ImportError:
        return None
    try:
        return tiktoken.encoding_name_for_model(model)
    except KeyError:
        return "o200k_base"


@functools.lru_cache(maxsize=8)
def _encoder(name: str) -> Callable[[str], list[int]] | None:
    import tiktoken

    try:
        encoding = tiktoken.get_encoding(name)
    except Exception as error:  # noqa: BLE001 - it asks the network for its tables, by whatever is installed
        log(INFO, "tokens are estimated: tiktoken has no tables (%s)", message_of(error, str))
        return None
    return functools.partial(encoding.encode, disallowed_special=())
