"""How JSON is written: what its signs are, and what texts mean that are written with escapes."""

from __future__ import annotations

import json
import re
from typing import Final

from attrs import frozen

from lm_deluge.wire.surrogates import join_surrogates

__all__ = [
    "END",
    "ITEM",
    "MEMBER",
    "NUMBER",
    "SPACE",
    "WORD",
    "WORDS",
    "Held",
    "decoded",
    "escaped",
    "run_of",
]

SPACE: Final = re.compile(r"[ \t\n\r]*")
WORD: Final = re.compile(r"[-+.0-9A-Za-z]*")
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>\.[0-9]+)?(?P<power>[eE][-+]?[0-9]+)?")
HEX: Final = re.compile(r"[0-9a-fA-F]{4}")

WORDS: Final = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip

#: A value that is over at once, with its name in an object and the comma after it: most are such.
SCALAR: Final = (
    r'(?:"(?P<text>[^"\\\x00-\x1f]*)"'
    r"|(?P<number>-?(?:0|[1-9][0-9]{0,17})(?P<real>\.[0-9]+)?)|(?P<word>true|false|null))"
)
OVER: Final = rf"(?:{SCALAR}[ \t\n\r]*(?:(?P<more>,)|(?=[\]}}]))|(?P<open>[\[{{]))"
ITEM: Final = re.compile(rf"[ \t\n\r]*{OVER}")
MEMBER: Final = re.compile(rf'[ \t\n\r]*"(?P<key>[^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*{OVER}')
END: Final = re.compile(r"[ \t\n\r]*(?P<end>[\]}])(?P<more>[ \t\n\r]*,)?")

#: Text with escapes that are whole, and the one that may be half of a character.
RUN: Final = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
HALF: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


@frozen
class Held:
    """What is left of a text until more of it is there."""

    rest: str


def run_of(text: str, at: int) -> str:
    """Return the characters of a text that are whole, as they are written."""
    run: str = RUN.match(text, at)[0]  # type: ignore[index]  # it matches nothing, too
    return run[:-6] if run[-6:-4] == "\\u" and HALF.search(run) else run


def decoded(run: str) -> str:
    """Return what characters mean that are written with escapes; half a pair is U+FFFD."""
    decoded: str = json.loads(f'"{run}"')
    return join_surrogates(decoded + " ")[0][:-1]


def escaped(text: str, at: int) -> tuple[str, int] | Held | None:
    """Return the character that is written at a backslash, and where it ends; ``None`` for none.

    Half a pair of surrogates that has no other half is U+FFFD.
    """
    if at + 1 == len(text):
        return Held(text[at:])
    if (simple := ESCAPES.get(text[at + 1])) is not None:
        return simple, at + 2
    if text[at + 1] != "u":
        return None
    if (found := HEX.match(text, at + 2)) is None:
        is_short = len(text) < at + 6 and re.fullmatch(r"[0-9a-fA-F]*", text[at + 2 :]) is not None
        return Held(text[at:]) if is_short else None
    first = int(found[0], 16)
    if not 0xD800 <= first <= 0xDFFF:
        return chr(first), at + 6
    if first >= 0xDC00:
        return "\N{REPLACEMENT CHARACTER}", at + 6
    following = text[at + 6 : at + 12]
    if len(following) < 6 and _MAY_BE_PAIRED.fullmatch(following) is not None:
        return Held(text[at:])
    if _PAIRED.fullmatch(following) is None:
        return "\N{REPLACEMENT CHARACTER}", at + 6
    second = int(following[2:], 16)
    return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)), at + 12


_PAIRED: Final = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_MAY_BE_PAIRED: Final = re.compile(r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?")
