"""What is given as an image, as audio or as a file: its bytes read at once, or its address."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from attrs import field, frozen

from lm_deluge.values.attachments.kinds import kind_named, kind_of
from lm_deluge.values.foreign import shown

__all__ = ["MOST_BYTES", "Attached", "attached", "listed"]

MOST_BYTES: Final = 100 * 1000 * 1000
"""No provider takes more within one request: Gemini, which takes most, 100 MB."""

_ACCEPTED: Final = "bytes, a path, or a URL (http, https, gs, data)"

#: An address; a Windows drive is one letter.
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)
_DATA_URL: Final = re.compile(
    r"data:(?P<kind>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*(?P<base64>;base64)?,(?P<data>.*)",
    re.DOTALL | re.IGNORECASE,
)
_MARKS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@frozen
class Attached:
    """What was given: ``data``, or a ``url`` that the provider is to fetch.

    ``kind``: its media type, ``None`` where nobody can tell. ``name``: the file's, ``None`` of bytes.
    """

    kind: str | None
    name: str | None = None
    data: bytes = field(default=b"", repr=False)
    url: str | None = None

    @property
    def encoded(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """The bytes in an address."""
        return f"data:{self.kind};base64,{self.encoded}"


def listed(given: Any, what: str, *, one: bool) -> list[Any]:
    """Return what is given as a list; ``TypeError`` for none. ``one``: whether one may stand alone."""
    if given is None:
        return []
    if isinstance(given, list):
        return given
    is_named = isinstance(given, tuple) and len(given) == 2 and _is_bytes(given[1])
    if isinstance(given, tuple) and not is_named:
        return list(given)
    is_one = is_named or isinstance(given, (str, os.PathLike)) or _is_bytes(given)
    if is_one and one:
        return [given]
    hint = f"; put the {what.removesuffix('s')} into a list" if is_one else ""
    raise TypeError(f"{what} must be a list of {what}, not {type(given).__name__}{hint}")


def attached(given: Any, where: str, *, reads_data: bool = True, named: bool = False) -> Attached:
    """Return what one thing is.

    ``reads_data``: whether the bytes in a data URL are taken out of it. ``named``: whether a name and bytes
    may be given as a pair, as HTTP clients have them.

    Raises ``TypeError`` for what is none, ``ValueError`` for an empty one, one that is too large or a data
    URL that is none, and ``OSError`` for a file that cannot be read.
    """
    if isinstance(given, str) and _URL.match(given) and not given.lower().startswith("file:"):
        return _from_url(given, where) if reads_data else Attached(None, url=given)
    if named and isinstance(given, tuple) and len(given) == 2:
        name, data = given
        if not isinstance(name, str) or not _is_bytes(data):
            kinds = f"({type(name).__name__}, {type(data).__name__})"
            raise TypeError(f"{where} must be a name and bytes, not {kinds}")
        return _from_bytes(bytes(data), where, name)
    if _is_bytes(given):
        return _from_bytes(bytes(given), where, None)
    if isinstance(given, (str, os.PathLike)):
        path = os.fsdecode(given)
        return _from_bytes(_read(path, where), where, Path(path).name)
    hint = "; a content part goes into the list of the content" if isinstance(given, dict) else ""
    accepted = f"{_ACCEPTED}, or a name and bytes" if named else _ACCEPTED
    raise TypeError(f"{where} must be {accepted}, not {type(given).__name__}{hint}")


def _is_bytes(value: object) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _from_url(url: str, where: str) -> Attached:
    if url[:5].lower() != "data:":
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or None
        return Attached(kind_named(name or ""), name, url=url)
    found = _DATA_URL.fullmatch(url)
    if found is None:
        raise ValueError(f"{where} is no data URL: {shown(url, 60)}")
    try:
        data = (
            base64.b64decode(found["data"], validate=True)
            if found["base64"]
            else unquote_to_bytes(found["data"])
        )
    except binascii.Error as error:
        raise ValueError(f"{where} is a data URL whose base64 is none ({error})") from None
    read = _from_bytes(data, where, None)
    return Attached(found["kind"] or read.kind, data=read.data)


def _from_bytes(data: bytes, where: str, name: str | None) -> Attached:
    if not data:
        raise ValueError(f"{where} is empty")
    _check_size(len(data), where)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            # A text, as editors and spreadsheets on Windows write it; models read UTF-8.
            try:
                data = data.decode(encoding).encode()
            except UnicodeError:
                break
    return Attached(kind_of(data, name), name, data)


def _read(path: str, where: str) -> bytes:
    if not path.strip():
        raise ValueError(f"{where} is an empty text, {path[:20]!r}; accepted are {_ACCEPTED}")
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - what follows may fail otherwise
    except ValueError as error:  # a null character
        raise ValueError(f"{where} is no path: {shown(path, 60)} ({error})") from error
    except OSError as error:
        what = {"i": "image file", "a": "audio file"}.get(where[0], "file")
        reason = f"{where} is no {what} that can be read ({error.strerror})"
        raise type(error)(error.errno, reason, path[:200]) from error
    with file:
        _check_size(os.fstat(file.fileno()).st_size, where)
        return file.read(MOST_BYTES + 1)


def _check_size(size: int, where: str) -> None:
    if size > MOST_BYTES:
        raise ValueError(
            f"{where} has {size / 1e6:.0f} MB, and no provider takes more than {MOST_BYTES // 10**6} MB in a "
            "request: upload it, and give its URL"
        )
