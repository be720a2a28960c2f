"""What is kept of a server's JSON besides text: made harmless, measured, and joined over the chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lm_deluge.wire.surrogates import without_surrogates

__all__ = ["index_of", "join", "kept", "text_of", "text_or_none"]

#: The deepest nesting that is kept: what nests deeper breaks whoever writes it out again.
_MAX_DEPTH: Final = 100

#: The largest index that is believed; ``Arrivals`` keeps that of a choice in 32 bits.
_MAX_INDEX: Final = 2**31 - 1
_MAX_DIGITS: Final = 20

_TOO_DEEP: Final = "[nested too deeply to be kept]"

_encode = msgspec.json.Encoder().encode


def kept(value: Any) -> tuple[Any, int]:
    """Return a JSON value as it may be kept, and what it counts for in ``Limits.max_answer_chars``.

    Without lone surrogates, and a text in the place of one that is nested too deeply. It counts as many
    characters as its JSON text has bytes: keys, numbers and brackets take room, too.
    """
    try:
        text = _encode(value)
    except RecursionError:
        return _TOO_DEEP, len(_TOO_DEEP)
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        # A lone surrogate, or a number that only Python can hold.
        value = without_surrogates(value, frozenset())
        text = json.dumps(value).encode()
    if text.count(b"[") + text.count(b"{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        return _TOO_DEEP, len(_TOO_DEEP)
    return value, len(text)


def join(into: dict[str, Any], fields: Mapping[str, Any], *, grows: frozenset[str]) -> int:
    """Join fields of one more chunk to those of the chunks before; return by how much these grew.

    The last value that is not null wins; objects are joined key by key; a list goes on where the one
    before ended, unless it begins with all of that: then it is a longer copy. ``grows``: keys whose
    texts come in pieces.
    """
    size = 0
    for key, value in fields.items():
        if value is None:
            continue
        value, weight = kept(value)
        if key not in into:
            name, name_weight = kept(key)
            into[name] = value
            size += name_weight + weight
            continue
        known = into[key]
        if isinstance(known, dict) and isinstance(value, dict):
            size += join(known, value, grows=grows)
        elif isinstance(known, list) and isinstance(value, list) and value[: len(known)] != known:
            known.extend(value)
            size += weight
        elif key in grows and isinstance(known, str) and isinstance(value, str):
            into[key] = known + value
            size += weight
        elif known != value:
            into[key] = value
            size += weight - kept(known)[1]
    return size


def index_of(value: object) -> int | None:
    """Return an index, which may be written as ``1``, ``1.0`` or ``"1"``; ``None`` for what is none."""
    if isinstance(value, str):
        is_one = value.isascii() and value.isdigit() and len(value) < _MAX_DIGITS
    else:
        is_one = type(value) is int or (isinstance(value, float) and value.is_integer())
    if not is_one:
        return None
    index = int(value)  # type: ignore[call-overload]  # it is one
    return index if 0 <= index <= _MAX_INDEX else None


def text_of(value: Any) -> str:
    """Return a text without lone surrogates; of any other value its JSON."""
    if isinstance(value, str):
        return value if value.isascii() else str(without_surrogates(value))
    value, _ = kept(value)
    return value if isinstance(value, str) else json.dumps(value)


def text_or_none(value: object) -> str | None:
    """Return a field's text without lone surrogates; ``None`` for an empty one and for what is no text."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else str(without_surrogates(value))


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            item
            for container in level
            if isinstance(container, (dict, list))
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return depth
