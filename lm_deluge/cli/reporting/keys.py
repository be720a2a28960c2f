"""A key pressed at a terminal, heard while waiting, without a line's end."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["Wait", "keys_heard"]

Wait = Callable[[float], str]
"""Wait so many seconds at most; return the key that was pressed, ``""`` without one."""


def _only_wait(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextlib.contextmanager
def keys_heard() -> Iterator[Wait]:
    """Yield a function that waits for a key; where standard input is no terminal it only waits.

    Ctrl-C is ``KeyboardInterrupt`` as ever. The terminal is left as it was found.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield _only_wait
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield _only_wait
        return
    terminal = sys.stdin.fileno()

    def wait(seconds: float) -> str:
        if not select.select([terminal], [], [], seconds)[0]:
            return ""
        try:
            pressed = os.read(terminal, 1)
        except OSError:
            pressed = b""
        if not pressed:  # the terminal is gone, and there will be no key
            time.sleep(seconds)
        return pressed.decode("ascii", "replace")

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield wait
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
