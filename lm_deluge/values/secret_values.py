"""Which of the values that go with a request are secret: by the names they go under, and by their looks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = [
    "name_shown",
    "secrets_in_data",
    "secrets_in_headers",
    "secrets_in_query",
    "secrets_in_url",
]

#: Of a header, or of a parameter of a URL.
_NAME: Final = re.compile(
    r"key|token|secret|passw|pwd|auth|cookie|credential|sig(?:nature)?\b|session|jwt|bearer|code\b",
    re.IGNORECASE,
)

#: What keys and tokens begin with, whatever they go under.
_VALUE: Final = re.compile(
    r"(?:Bearer|Basic|Token)\s|sk-|xox[a-z]-|gh[a-z]_|AIza|eyJ", re.IGNORECASE
)

#: Between the scheme, the parameters and their values: ``Bearer x``, ``a=x; b=y``.
_BETWEEN: Final = re.compile(r"[\s,;]+")


#: The same of a field of a body, where more is called a key or a token that is no secret.
_FIELD: Final = re.compile(
    r"api[_-]?key|authorization|secret|passw(?:or)?d\b|(?:access|auth|bearer)[_-]?token|^token$|cookie",
    re.IGNORECASE,
)


def name_shown(name: str) -> str:
    """Return the name of a header or parameter for a message, unless it looks like a key in its place."""
    return "(hidden: it looks like a key)" if _VALUE.match(name) else repr(name[:60])


def secrets_in_data(value: object) -> Iterator[str]:
    """Yield the secret values of JSON data, by the names they go under; none of what holds itself."""
    try:
        yield from _in_data(value)
    except RecursionError:
        return


def _in_data(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str):
                if isinstance(name, str) and (_FIELD.search(name) or _VALUE.match(item)):
                    yield from _parts(item, pairs=False)
            else:
                yield from _in_data(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _in_data(item)


def secrets_in_headers(headers: Mapping[str, str], also: Iterable[str] = ()) -> Iterator[str]:
    """Yield the secret values of headers, each part of them. ``also``: further names that are secret."""
    named = {name.lower() for name in also}
    for name, value in headers.items():
        if name.lower() in named or _NAME.search(name) or _VALUE.match(value):
            yield from _parts(value, pairs="cookie" in name.lower())


def secrets_in_query(query: Mapping[str, str]) -> Iterator[str]:
    """Yield the secret values of a URL's parameters."""
    for name, value in query.items():
        if _NAME.search(name) or _VALUE.match(value):
            yield value


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield a URL's credentials, and as they are sent; of a malformed one all that may be some."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        yield url.rpartition("@")[0].rpartition("//")[2]
        return
    if user or password:
        yield password
        yield user
        pair = f"{user}:{password}"
        yield pair
        for encoding in ("utf-8", "latin-1"):
            yield base64.b64encode(pair.encode(encoding, "replace")).decode()


def _parts(value: str, *, pairs: bool) -> Iterator[str]:
    """Yield what a value is made of, without its scheme. ``pairs``: ``a=x`` holds ``x``, even alone."""
    words = _BETWEEN.split(value.strip())
    scheme = words[0].lower()
    if len(words) < 3 and not pairs:
        yield words[-1]
    for word in words[1:] if len(words) > 1 and "=" not in scheme else words:
        _, _, assigned = word.partition("=")
        # Equals signs at the end are base64's.
        yield assigned.strip('"') if assigned.strip("=") else word
    if scheme == "basic" and len(words) == 2:
        try:
            pair = base64.b64decode(words[1], validate=True).decode()
        except ValueError:
            return
        user, _, password = pair.partition(":")
        yield from (password, user, pair)
