"""How a stream ends, by what came of asking: one table.

``heard``: the one signal. ``settled``: how its ``async`` handlers and the rest of the body are waited
for after it. ``raised``: where what came goes on to.

========== =========== ========= =========
came       heard       settled   raised
========== =========== ========= =========
answer     on_complete patiently nowhere
failure    on_error    patiently nowhere
broken     on_error    patiently nowhere
cancelled  on_error    hurriedly the task
exit       on_error    hurriedly the waiter
closed     on_error    never     at once
========== =========== ========= =========

``answer``: a whole one. ``failure``: a ``StreamError``. ``broken``: any other ``Exception``, a mistake of
ours. ``cancelled``: a ``CancelledError`` from outside, or a ``BaseException`` that nobody knows.
``exit``: ``KeyboardInterrupt`` and ``SystemExit``, which out of the task would stop the event loop under
everybody else. ``closed``: the event loop is gone, so nothing can be waited for. No I/O.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal, NamedTuple, TypeAlias

from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.values.response import APIResponse

__all__ = ["ENDINGS", "Came", "Way", "ending_of"]

Came: TypeAlias = Literal["answer", "failure", "broken", "cancelled", "exit", "closed"]


class Way(NamedTuple):
    """A row of the table."""

    heard: Literal["on_complete", "on_error"]
    settled: Literal["patiently", "hurriedly", "never"]
    raised: Literal["nowhere", "the task", "the waiter", "at once"]


ENDINGS: Final[dict[Came, Way]] = {
    "answer": Way("on_complete", "patiently", "nowhere"),
    "failure": Way("on_error", "patiently", "nowhere"),
    "broken": Way("on_error", "patiently", "nowhere"),
    "cancelled": Way("on_error", "hurriedly", "the task"),
    "exit": Way("on_error", "hurriedly", "the waiter"),
    "closed": Way("on_error", "never", "at once"),
}


def ending_of(
    kind: Came, came: APIResponse | BaseException, stopped: StreamError | None
) -> APIResponse | StreamError:
    """Return what the one signal carries. ``stopped``: the error of a ``stop`` that came before."""
    if isinstance(came, APIResponse | StreamError):
        return came
    name = type(came).__name__
    if kind == "broken":
        ending = StreamError(f"internal error: {name}: {came}")
        ending.__cause__ = came
        return ending
    if kind == "closed":
        return stopped or StreamCancelled("its event loop was closed")
    if isinstance(came, asyncio.CancelledError):
        return stopped or StreamCancelled("its task was cancelled")
    return StreamCancelled(f"{name} was raised")
