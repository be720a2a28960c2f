"""Providers' APIs, a folder each, and the table that has them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lm_deluge.dialects.chat import CHAT
from lm_deluge.dialects.dialect import Dialect

__all__ = ["DIALECTS", "dialect_named"]


def _messages() -> Dialect:
    from lm_deluge.dialects.messages import MESSAGES

    return MESSAGES


def _gemini() -> Dialect:
    from lm_deluge.dialects.gemini import GEMINI

    return GEMINI


def _responses() -> Dialect:
    from lm_deluge.dialects.responses import RESPONSES

    return RESPONSES


#: Those of ours that are imported when they are first asked for: most programs speak one.
_OURS: Final[dict[str, Callable[[], Dialect]]] = {
    "messages": _messages,
    "gemini": _gemini,
    "responses": _responses,
}

#: What is given in the place of a dialect: the words of prefixes and of providers.
_MEANT: Final = {
    "openai": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "claude": "messages",
    "google": "gemini",
}

#: Those in use, by the name that a model's registration and a recording give.
DIALECTS: Final[dict[str, Dialect]] = {CHAT.name: CHAT}


def dialect_named(name: str) -> Dialect:
    """Return the dialect of that name: ours, or else one that another package has as an entry point.

    Raises ``ValueError`` where there is none, ``ImportError`` for a package's that cannot be used.
    """
    if (dialect := DIALECTS.get(name)) is None:
        dialect = DIALECTS[name] = _OURS[name]() if name in _OURS else _installed(name)
    return dialect


def _installed(name: str) -> Dialect:
    from lm_deluge.dialects.installed import GROUP, installed_dialect

    dialect = installed_dialect(name)
    if dialect is None:
        known = " or ".join(map(repr, dict.fromkeys((*DIALECTS, *_OURS))))
        meant = _MEANT.get(name.lower(), name.lower())
        perhaps = f"; did you mean {meant!r}?" if meant in (*DIALECTS, *_OURS) else ""
        message = f"dialect must be {known}, or an entry point of {GROUP}, not {name!r}{perhaps}"
        raise ValueError(message)
    return dialect
