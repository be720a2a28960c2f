"""A key, in every encoding that a server may say it in, and how to look for what is left of it."""

from __future__ import annotations

import base64
import html
import re
import traceback
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

from support.promises import check_hidden

KEY = "sk-Zq7/wX2+vB9=kL4mN8pR"

WORN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "percent, lower": lambda key: quote(key, safe="").lower(),
    "JSON": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "Basic": lambda key: base64.b64encode(f":{key}".encode()).decode(),
    "Basic of a user": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "HTML": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "without its end": lambda key: key[:-1],
    "without its beginning": lambda key: key[4:],
}


def unworn(text: str) -> Iterator[str]:
    """Yield a text as it is and in every way that it can be decoded."""
    yield text
    yield unquote(text)
    yield html.unescape(text)
    yield text.replace("\\\\", "\\").replace("\\/", "/")
    yield re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    for word in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for skipped in range(4):
            whole = word[skipped : skipped + (len(word) - skipped) // 4 * 4]
            yield base64.b64decode(whole.replace("-", "+").replace("_", "/")).decode("latin-1")


def assert_hidden(text: str, secret: str = KEY, *, run: int = 11) -> None:
    """No run of a secret, in no encoding, whatever is left of it is shorter than half."""
    for seen in unworn(text):
        check_hidden(seen, secret, run=run)


def texts_of(error: BaseException | None) -> str:
    """Everything that an error and its causes can show, but for what the model said."""
    shown = []
    while error is not None:
        fields = {name: value for name, value in vars(error).items() if name != "partial"}
        shown += traceback.format_exception(error)
        shown += [repr(error), str(error), repr(error.args), repr(fields)]
        shown.append(repr(getattr(error, "partial", None)))
        error = error.__cause__ or error.__context__
    return "\n".join(shown)
