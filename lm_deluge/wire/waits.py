"""How long an error's body asks to wait: the fields and the words in which servers say so. No clock.

Imported when a first failure is told, not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["told_wait"]

#: The fields, by their letters alone, and how many seconds a bare number in them counts.
_FIELDS: Final = {
    "retryafter": 1.0,
    "retryaftersec": 1.0,
    "retryafterseconds": 1.0,
    "retryafterms": 0.001,
    "retryinseconds": 1.0,
    "retrydelay": 1.0,  # google.rpc.RetryInfo
    "quotaresetdelay": 1.0,
}

_LETTERS: Final = re.compile(r"[^a-z]+")

#: How deep is looked, and at how many values.
_NESTING: Final = 6
_MOST: Final = 200

#: The beginnings of units, and their seconds.
_UNITS: Final = {"mil": 0.001, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

#: Digits as JSON has them, in a text; and a number of seconds that nobody means.
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_TOO_LONG: Final = 1e12

#: A number and its unit: "1.2s", "20 ms", "2 days"; several follow each other in "6m0s".
_PART: Final = (
    r"([0-9]{1,9}(?:\.[0-9]{1,12})?)\s*"
    r"(milliseconds?|msecs?|ms|minutes?|mins?|seconds?|secs?|hours?|hrs?|days?|[smhd])(?![a-z])"
)
_PARTS: Final = re.compile(_PART, re.IGNORECASE)
_DURATION: Final = re.compile(rf"(?:{_PART}[\s,]*(?:and\s+)?)+", re.IGNORECASE)

#: "Please try again in 1.2s", "Please retry after 10 seconds", "Wait for 2 minutes".
_ASKS: Final = re.compile(
    r"\b(?:(?:try|trying)\s+again\s+(?:in|after)|retry(?:ing)?\s+(?:in|after)|wait(?:\s+for)?)\s+",
    re.IGNORECASE,
)

#: Characters of a message that are looked at.
_LOOK: Final = 10_000


def told_wait(body: object, message: str = "") -> float | None:
    """Return the seconds that an error asks to wait, ``None`` where neither body nor message says."""
    for key, value in _fields_of(body):
        if (unit := _FIELDS.get(_LETTERS.sub("", key.lower()))) is not None:
            seconds = _seconds_of(value, unit)
            if seconds is not None:
                return seconds
    for asks in _ASKS.finditer(message, 0, _LOOK):
        if (found := _DURATION.match(message, asks.end())) is not None:
            return _sum(found[0])
    return None


def _fields_of(body: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of an error wherever they stand in it, those of the outer objects first."""
    level: list[object] = [body]
    seen = 0
    for _ in range(_NESTING):
        inner: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                for key, held in value.items():
                    seen += 1
                    if seen > _MOST:
                        return
                    if isinstance(key, str):
                        yield key, held
                    inner.append(held)
            elif isinstance(value, list):
                inner += value[:_MOST]
        level = [value for value in inner if isinstance(value, (Mapping, list))]


def _seconds_of(value: Any, unit: float) -> float | None:
    """Return a field's value in seconds: a number, digits, a duration as JSON or as an object has it."""
    if isinstance(value, Mapping):  # google.protobuf.Duration, not as JSON
        parts = (_number(value.get("seconds")), _number(value.get("nanos")))
        told = [part for part in parts if part is not None]
        return (parts[0] or 0.0) + (parts[1] or 0.0) / 1e9 if told else None
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()) is not None:
        return _sum(value)
    number = _number(value)
    return None if number is None else number * unit


def _number(value: object) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) is not None:
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _TOO_LONG else None


def _sum(duration: str) -> float:
    """Return the seconds of a duration in parts."""
    return sum(
        float(number) * next(seconds for unit, seconds in _UNITS.items() if word.startswith(unit))
        for number, word in _PARTS.findall(duration.lower())
    )
