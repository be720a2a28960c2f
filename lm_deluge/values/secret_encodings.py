"""The encodings that a secret can wear in a text, and how to look below them.

A text is looked at with its escapes decoded and in lower case; a secret is looked for as it is, in
base64 (wherever it stands in what was encoded) and in hexadecimal digits.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Unmasked", "encodings_of", "plain", "unmask"]

#: Escapes of URLs (also encoded twice), of JSON, Python and C (also in JSON within JSON), of HTML; and
#: what stands between two characters of a text that is UTF-16.
_ESCAPE: Final = re.compile(
    r"""%(?:25)*(?P<percent>[0-9A-Fa-f]{2})
      | \\+(?: u(?P<short>[0-9A-Fa-f]{4}) | U0000(?P<long>[0-9A-Fa-f]{4})
             | u\{0*(?P<braced>[0-9A-Fa-f]{1,5})\} | x(?P<byte>[0-9A-Fa-f]{2})
             | (?P<octal>[0-3][0-7]{2}) | (?P<control>[0abfnrtv]) | (?P<self>[^\w\s]) )
      | &(?:amp;)*(?: \#[xX]0*(?P<hex>[0-9A-Fa-f]{1,5}) | \#0*(?P<decimal>[0-9]{1,6})
                    | (?P<name>[A-Za-z]{2,8}(?=;)) );?
      | \0""",
    re.VERBOSE,
)

#: What every escape has, to tell at once that a text has none.
_MARKS: Final = "%\\&\0"

_BASE: Final = {"octal": 8, "decimal": 10}

#: Layers of escapes within escapes that are looked below.
_LAYERS: Final = 3


class Unmasked(NamedTuple):
    """A text without its escapes, in lower case; ``begins`` and ``ends``: where each of its characters
    is in the text as it came."""

    text: str
    begins: list[int]
    ends: list[int]

    def source(self, begin: int, end: int) -> tuple[int, int]:
        """Return where a part of it is in the text as it came."""
        return self.begins[begin], self.ends[end - 1]


def plain(text: str) -> str:
    """Return a text as it reads once its escapes are decoded, whatever the mixture of them, in lower case."""
    for _ in range(_LAYERS):
        if not _is_masked(text):
            break
        text = _ESCAPE.sub(_meaning, text)
    return _lower(text)


def unmask(text: str) -> Unmasked:
    """Return what ``plain`` returns, and where it is in the text as it came."""
    begins, ends = list(range(len(text))), list(range(1, len(text) + 1))
    for _ in range(_LAYERS):
        if not _is_masked(text):
            break
        parts: list[str] = []
        own_begins: list[int] = []
        own_ends: list[int] = []
        at = 0
        for found in _ESCAPE.finditer(text):
            meaning = _meaning(found)
            parts += (text[at : found.start()], meaning)
            own_begins += begins[at : found.start()]
            own_ends += ends[at : found.start()]
            at = found.end()
            own_begins += [begins[found.start()]] * len(meaning)
            own_ends += [ends[at - 1]] * len(meaning)
        text = "".join((*parts, text[at:]))
        begins, ends = own_begins + begins[at:], own_ends + ends[at:]
    return Unmasked(_lower(text), begins, ends)


def _is_masked(text: str) -> bool:
    return any(map(text.__contains__, _MARKS))


def _meaning(found: re.Match[str]) -> str:
    """Return the character that an escape stands for, none for what only divides."""
    kind = found.lastgroup
    if kind is None or kind == "control":
        return ""
    if kind == "self":
        return found["self"]
    if kind == "name":
        # Few texts have one: importing the package does not pay for the table of names.
        import html

        character = html.unescape(f"&{found['name']};")
        return character if len(character) == 1 else found[0]
    code = int(found[kind], _BASE.get(kind, 16))
    return chr(code) if code not in (0, 10, 13) and code <= sys.maxunicode else ""


def _lower(text: str) -> str:
    lowered = text.lower()
    # One character becomes two, of all there are: İ.
    return lowered if len(lowered) == len(text) else text.replace("\u0130", "i").lower()


def encodings_of(secret: str) -> Iterator[tuple[str, bool]]:
    """Yield the texts to look for, unmasked, and whether each reads as the secret itself."""
    data = secret.encode("utf-8", "surrogatepass")
    yield plain(secret), True
    if not secret.isascii():
        yield plain(data.decode("latin-1")), True  # bytes are looked at as Latin-1
    for before in range(3):
        # Those of the digits that depend on nothing but the secret, whatever stands around it.
        encoded = base64.b64encode(b"\0" * before + data)
        inner = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].decode()
        yield inner.lower(), False
        if "+" in inner or "/" in inner:
            yield inner.translate(_URL_SAFE).lower(), False
    yield data.hex(), False


_URL_SAFE: Final = str.maketrans("+/", "-_")
