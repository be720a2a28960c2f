"""Whose key a request carries: what is one provider's must never reach another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from lm_deluge.models.providers import ANTHROPIC, GOOGLE, OPENAI, Provider
from lm_deluge.proxy.heads import HeaderField

__all__ = ["AZURE", "hinted", "key_owners"]

AZURE: Final = Provider("Azure", "", "", "")
"""Whose key stands in ``api-key``: everybody's endpoint there is another."""

#: Header fields in which only one provider takes a key.
_KEYS: Final[Mapping[bytes, Provider]] = {
    b"x-goog-api-key": GOOGLE,
    b"x-api-key": ANTHROPIC,
    b"api-key": AZURE,
}

#: Parameters of a query that are a key: Google alone takes one there.
_PARAMETERS: Final = frozenset({"key", "access_token"})

#: Header fields in which several take one, behind a scheme or among other words.
_ANYBODYS: Final = frozenset((b"authorization", b"sec-websocket-protocol"))

#: How the keys of each begin. OpenAI's oldest begin with `sk-` alone, and so do those of gateways.
_BEGINNINGS: Final = (
    (re.compile(r"sk-ant-"), ANTHROPIC),
    (re.compile(r"sk-(?:proj|svcacct|admin)-"), OPENAI),
    (re.compile(r"AIza|AQ\.|ya29\."), GOOGLE),
)

#: Header fields that are no key, and yet only of one provider's clients.
_HINTS: Final[Mapping[bytes, Provider]] = {
    b"anthropic-version": ANTHROPIC,
    b"anthropic-beta": ANTHROPIC,
    b"x-goog-user-project": GOOGLE,
    b"x-goog-api-client": GOOGLE,
}

_WORD: Final = re.compile(r"[^\s,;]+")


def key_owners(fields: Sequence[HeaderField], query: bytes) -> list[Provider]:
    """Return the providers whose keys a request carries, each once.

    How a key begins says more than where it stands; of one that says nothing at all nobody is returned.
    """
    found = {owner.name: owner for owner in _owners(fields, query.decode("latin-1"))}
    return list(found.values())


def hinted(fields: Sequence[HeaderField]) -> Provider | None:
    """Return whose client a request is of, by what it sends beside its key."""
    return next((_HINTS[field.name] for field in fields if field.name in _HINTS), None)


def _owners(fields: Sequence[HeaderField], query: str) -> Iterator[Provider]:
    for field in fields:
        owner = _KEYS.get(field.name)
        if not field.value or (owner is None and field.name not in _ANYBODYS):
            continue
        if owner := _owner_in(field.value.decode("latin-1")) or owner:
            yield owner
    for name, value in parse_qsl(query):
        if name in _PARAMETERS:
            yield _owner_in(value) or GOOGLE


def _owner_in(value: str) -> Provider | None:
    """Return whose key stands in a value, bare or behind a scheme."""
    for word in _WORD.findall(value):
        bare = word.removeprefix("openai-insecure-api-key.")
        for beginning, owner in _BEGINNINGS:
            if beginning.match(bare):
                return owner
    return None
