"""What a stream of an app is grouped by: the app's client, and what it says in a header or in the body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

__all__ = ["TAGS_HEADER", "client_of", "tags_in_body", "tags_in_header"]

TAGS_HEADER: Final = "x-lm-deluge-tags"
"""The header that the proxy takes off: ``variant=B,user="a, b",note=100%25``. Lower case."""

#: How user agents begin, and the client that they are of. The first that matches counts.
_CLIENTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"(?:async)?(?:azure)?openai/python\b", "openai-python"),
        (r"(?:azure)?openai/js\b", "openai-node"),
        (r"(?:azure)?openai/(\w+)", "openai-{}"),
        (r"(?:async)?anthropic\w*/python\b", "anthropic-python"),
        (r"anthropic\w*/js\b", "anthropic-node"),
        (r"anthropic\w*/(\w+)", "anthropic-{}"),
        (r"google-genai-sdk/.*\bgl-(\w+)", "google-genai-{}"),
        (r"claude-(?:cli|code)\b", "claude-code"),
        (r"codex[-_]", "codex"),
        (r"(?:.*\s)?ai-sdk/|ai/\d", "ai-sdk"),
        (r"python/\S+ aiohttp/", "aiohttp"),
        (r"mozilla/", "browser"),
    )
)

#: The name of a product (RFC 9110, section 10.1.5).
_PRODUCT: Final = re.compile(r"[\w.!#$%&'*+^`|~-]{1,64}")

_KEY: Final = re.compile(r"\s*([A-Za-z_][\w.-]{0,63})\s*=\s*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?=,|$)')

#: Tags that one header or body may have, and characters of a value.
_MOST: Final = 32
_LONGEST: Final = 512


def client_of(user_agent: str | None) -> str | None:
    """Return the client that a ``User-Agent`` names, without its version; ``None`` where it names none."""
    told = (user_agent or "").strip()
    for pattern, name in _CLIENTS:
        if found := pattern.match(told):
            return name.format(*(part.lower() for part in found.groups()))
    product = _PRODUCT.match(told)
    return product[0].lower() if product is not None else None


def tags_in_header(value: str) -> tuple[dict[str, str], list[str]]:
    """Return the tags of ``X-LM-Deluge-Tags``, and what was wrong with others, in words without content.

    ``key=value`` between commas. A value is percent-decoded, or stands in double quotes, in which a
    backslash makes the next character plain.
    """
    text = _as_utf8(value)
    tags: dict[str, str] = {}
    wrong: list[str] = []
    at = 0
    while at < len(text):
        end = text.find(",", at)
        end = len(text) if end < 0 else end
        key = _KEY.match(text, at)
        if key is None:
            if text[at:end].strip():
                wrong.append("one without a name and '='")
        elif text[key.end() : key.end() + 1] == '"':
            quoted = _QUOTED.match(text, key.end())
            if quoted is None:
                wrong.append("one whose quotes are not closed")
                end = len(text)
            else:
                tags[key[1]] = re.sub(r"\\(.)", r"\1", quoted[1])[:_LONGEST]
                end = quoted.end()
        else:
            tags[key[1]] = unquote(text[key.end() : end].strip())[:_LONGEST]
        at = end + 1
        if len(tags) + len(wrong) >= _MOST and text[at:].strip():
            wrong.append(f"more than {_MOST}")
            break
    return tags, wrong


def tags_in_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``metadata`` of a request's body, an entry a tag, and ``user``: texts, numbers and switches."""
    metadata = body.get("metadata")
    found = dict(metadata) if isinstance(metadata, Mapping) else {}
    if "user" in body:
        found["user"] = body["user"]
    kept = {
        str(key)[:64]: value[:_LONGEST] if isinstance(value, str) else value
        for key, value in found.items()
        if isinstance(value, (str, int, float, bool))
    }
    return dict(list(kept.items())[:_MOST])


def _as_utf8(value: str) -> str:
    """Return a header's value, whose bytes are read as Latin-1, as the UTF-8 that it may be."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
