"""What a fault is to the simulator, and how its arguments are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.serving.received import ReceivedRequest

#: An error reply with a status, a message (``None``: the provider's own words) and headers in the shape of a
#: dialect.
ErrorReply = Callable[[int, str | None, Mapping[str, str]], Reply]
Parse = Callable[[Sequence[str]], Any]


@attrs.frozen(kw_only=True)
class FaultKind:
    """One entry of the table: ``early`` replaces the answer, ``late`` rearranges it."""

    parse: Parse
    early: Callable[[Any, ReceivedRequest, ErrorReply], Reply] | None = None
    late: Callable[[Any, SimulatedAnswer], Reply] | None = None
    streamed_only: bool = False


def nothing(args: Sequence[str]) -> None:
    """No argument."""
    if args:
        raise ValueError("takes no argument")


def pieces(default: int) -> Parse:
    """A number of pieces."""

    def parse(args: Sequence[str]) -> int:
        text = _only(args)
        if text is None:
            return default
        if not text.isdecimal():
            raise ValueError(f"not a number of pieces: {text!r}")
        return int(text)

    return parse


def seconds(default: float | None) -> Parse:
    """A number of seconds."""

    def parse(args: Sequence[str]) -> float | None:
        text = _only(args)
        return default if text is None else a_duration(text)

    return parse


def a_duration(text: str) -> float:
    """Seconds, finite and not negative. Raises `ValueError`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"not a number of seconds: {text!r}")
    return value


def text(default: str) -> Parse:
    """Any text; colons belong to it."""
    return lambda args: ":".join(args) or default


def _only(args: Sequence[str]) -> str | None:
    if len(args) > 1:
        raise ValueError("takes one argument at most")
    return args[0] if args else None
