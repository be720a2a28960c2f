"""What the headers of a response say, whoever's API it is."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Final

__all__ = ["Caseless", "header_text", "request_id", "retry_after"]


class Caseless(Mapping[str, str]):
    """Headers by name, in whatever case of letters; of those that come twice the first."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in headers:
            self._values.setdefault(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values


def header_text(value: str) -> str:
    """Return a header's value without surrogates: aiohttp puts one for each byte that is no UTF-8."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


#: OpenAI and most others; Anthropic; Azure; Google; Amazon; Cloudflare before any of them.
_IDS: Final = (
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-goog-request-id",
    "x-amzn-requestid",
    "cf-ray",
)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the server logged the request."""
    for name in _IDS:
        if named := headers.get(name):
            return header_text(named)
    return None


#: Seconds, and milliseconds (RFC 9110, section 10.2.3: digits); some servers send fractions.
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait, from the three forms it may say so in.

    ``retry-after-ms`` (milliseconds), ``Retry-After`` in seconds, or as an HTTP date (RFC 9110,
    section 10.2.3). A date is one of the server's clock, and judged by the reply's own ``Date``; by
    the clock of this machine only where there is none. ``None`` where there is none or it makes no
    sense.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("Retry-After")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    moment = _moment(text)
    if moment is None:
        return None
    sent = _moment(headers.get("Date", ""))
    return max(0.0, moment - (sent if sent is not None else time.time()))


def _moment(text: str) -> float | None:
    """Return the seconds since the epoch of an HTTP date, ``None`` if it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:  # without a zone, or with "-0000": UTC all the same
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    # Python's own numbers are more than HTTP's: "1_0", "1e3", other digits than ASCII's.
    if _NUMBER.fullmatch(text.strip(" \t")) is None:
        return None
    value = float(text)
    return value if value < float("inf") else None
