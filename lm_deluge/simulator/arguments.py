"""The simulator's arguments, checked where they are given: each error names the argument and what is
accepted.

The checks are the simulator's own: it imports nothing of the library that it is there to test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from lm_deluge.simulator.faults.table import Fault
from lm_deluge.simulator.saying.pace import Gap
from lm_deluge.simulator.values import is_number, shown

__all__ = ["check_arguments", "naming"]

Check = Callable[[Any], bool]


def check_arguments(given: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` for an argument of a wrong type, ``ValueError`` for a value that makes no
    sense, alone or beside the others.
    """
    for name, value in given.items():
        accepted, is_kind, is_good = _RULES[name]
        if not is_kind(value):
            raise TypeError(f"{name} must be {accepted}, not {type(value).__name__}")
        if not is_good(value):
            raise ValueError(f"{name} must be {accepted}, not {shown(value)}")
    reply, raw, replay = given["reply"], given["raw"], given["replay"]
    if reply is not None and raw is not None:
        raise ValueError("reply and raw are two ways to say the same: give one")
    is_faulty = given["faults"] is not None and given["faults"] != ()
    if replay is not None and (reply is not None or raw is not None or is_faulty):
        raise ValueError("replay serves what was recorded: give no reply, raw or faults")
    if raw is not None and iter(raw) is raw:
        raise ValueError("raw must be repeatable (a list), not an iterator")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let errors of what reads an argument begin with the argument's name."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        if str(error).startswith(name):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from None


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _several(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes))


def _texts(value: Any) -> bool:
    return _several(value) and all(isinstance(each, str) for each in value)


def _calls(value: Any) -> bool:
    return _pairs(value) or (
        isinstance(value, (list, tuple)) and all(_pairs(each) and len(each) > 0 for each in value)
    )


def _pairs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(each, (list, tuple))
        and len(each) == 2
        and isinstance(each[0], str)
        and isinstance(each[1], (str, Mapping))
        for each in value
    )


def _steps(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _recording(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) or isinstance(
        getattr(value, "exchanges", None), (list, tuple)
    )


def _faults(value: Any) -> bool:
    if isinstance(value, (list, tuple, Mapping)):
        return all(each is None or isinstance(each, (str, Fault)) for each in value)
    return isinstance(value, (str, Fault)) or callable(value)


def _nonempty(value: Any) -> bool:
    return not isinstance(value, str) or value != ""


def _waits(value: Any) -> bool:
    return is_number(value) or isinstance(value, (str, Gap))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _any(_: Any) -> bool:
    return True


def _not_negative(value: Any) -> bool:
    return bool(value >= 0)


def _finite(value: Any) -> bool:
    # A float holds what is less than this: what is more is no number of seconds.
    return bool(0 <= value < 1e300)


#: What is accepted in words, whether the type is right, and whether the value is.
_RULES: Final[dict[str, tuple[str, Check, Check]]] = {
    "port": ("an integer from 0 to 65535", _integer, lambda value: 0 <= value <= 65535),
    "host": ("a str, not empty", _text, bool),
    "seed": ("an integer", _integer, _any),
    "text": (
        "a str, a list of str, a function of the request's body, or None",
        lambda value: (
            value is None
            or isinstance(value, str)
            or callable(value)
            or (_texts(value) and not isinstance(value, Mapping))
        ),
        _any,
    ),
    "tokens": ("an integer >= 0, or None", _or_none(_integer), _or_none(_not_negative)),
    "ttft": ("a number of seconds, a Gap or a text", _waits, _any),
    "gap": ("a number of seconds, a Gap or a text", _waits, _any),
    "jitter": ("in [0, 1)", is_number, lambda value: 0 <= value < 1),
    "usage": (
        "True, False or a mapping",
        lambda value: isinstance(value, (bool, Mapping)),
        _any,
    ),
    "reasoning": (
        "a text, a number of pieces >= 0, or None",
        _or_none(lambda value: isinstance(value, str) or _integer(value)),
        lambda value: not _integer(value) or value >= 0,
    ),
    "reasoning_field": ("a str, not empty", _text, bool),
    "refusal": ("a str or None", _or_none(_text), _any),
    "tool_calls": (
        "a list of pairs of a name and arguments, or of such lists, one a round, or None",
        _or_none(_calls),
        _any,
    ),
    "api_key": ("a str or None", _or_none(_text), _any),
    "models": ("a list of names, or None", _or_none(_texts), _any),
    "faults": (
        "a fault, a list, a mapping or a function of them, or None",
        _or_none(_faults),
        _any,
    ),
    "reply": ("a function of the request, or None", _or_none(callable), _any),
    "raw": ("a list of steps, or None", _or_none(_steps), _any),
    "replay": ("a recording or the path of one, or None", _or_none(_recording), _nonempty),
    "speed": (
        'a number above 0 or "max"',
        lambda value: isinstance(value, str) or is_number(value),
        lambda value: value == "max" if isinstance(value, str) else 0 < value < 1e300,
    ),
    "replay_by": (
        "'order', 'hash' or 'loop'",
        _text,
        lambda value: value in ("order", "hash", "loop"),
    ),
    "spacing": ("a number of seconds >= 0", is_number, _finite),
    "cors": (
        "True, '*' or origins like 'http://localhost:5173'",
        lambda value: isinstance(value, (bool, str)) or _several(value),
        _any,
    ),
    "keep_requests": ("an integer >= 0, or None", _or_none(_integer), _or_none(_not_negative)),
    "backlog": ("an integer >= 0", _integer, lambda value: 0 <= value < 2**31),
}
