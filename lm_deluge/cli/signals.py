"""Signals of the operating system, heard in the event loop, as far as a platform lets them be."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["heard"]


@contextlib.contextmanager
def heard(number: int, call: Callable[[], object]) -> Iterator[None]:
    """Let the running event loop call a function at every signal of that number.

    Where the loop takes no signals (Windows), Python's own handler passes them on to it.
    """
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:
        before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))
        try:
            yield
        finally:
            signal.signal(number, before)
    else:
        try:
            yield
        finally:
            loop.remove_signal_handler(number)
