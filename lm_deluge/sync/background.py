"""The one event loop of ``lm_deluge.sync``, in a thread of its own, started when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final

from lm_deluge.http.sessions import close_sockets_of
from lm_deluge.values.locking import LOCK

__all__ = ["LEFT_BEHIND", "LoopThread", "background", "is_left_behind", "running_background"]

#: Seconds that the end of the program waits for streams that run and for their handlers.
_EXIT: Final = 3.0


#: What is said of a stream in a child of the process that it runs in.
LEFT_BEHIND: Final = (
    "this stream runs in the parent process, which was forked: open another one here"
)


class LoopThread:
    """An event loop in a daemon thread.

    ``loop``: the loop. ``is_over``: it wakes nobody any more, because the program ends, or because this
    is a child of the process that it runs in.
    """

    def __init__(self) -> None:
        self.loop: Final = asyncio.new_event_loop()
        self.is_over = False
        self._is_left_behind = False
        self._is_closing = False
        self._thread: Final = threading.Thread(target=self._run, name="lm_deluge.sync", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self.loop.close()
            raise

    @property
    def is_here(self) -> bool:
        """Whether this code runs in its thread."""
        return threading.get_ident() == self._thread.ident

    def check(self) -> None:
        """Raise ``RuntimeError`` where this code would wait for ever: for the thread that it runs in, or
        for one that a fork left behind.

        At the end of the program it does not return in any other thread than the main one: those that
        are left then are daemons, and what they would say is noise.
        """
        if self.is_here:
            raise RuntimeError(
                "lm_deluge.sync was called in its own background thread, which runs the handlers: it would "
                "wait for itself. In a handler, use the async lm_deluge.LLMClient in an async method, "
                "end a stream by its cancel(), or call lm_deluge.sync in a thread of your own"
            )
        if self._is_left_behind:
            raise RuntimeError(LEFT_BEHIND)
        if self.is_over:
            if threading.current_thread() is threading.main_thread():
                raise RuntimeError("the program is ending: its streams have been ended")
            threading.Event().wait()

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Let its thread call a function, with this code's context variables; returns at once."""
        self.loop.call_soon_threadsafe(function, *arguments, context=copy_context())

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._is_closing:
            # A task lets KeyboardInterrupt and SystemExit out of the loop, and so does a stream that
            # a handler ended by them and nobody waits for. Those who wait have them raised.
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                self.loop.run_forever()

    def leave_behind(self) -> None:
        """Know that this is a child of the process that it runs in, and let go of its connections."""
        self.is_over = self._is_left_behind = True
        close_sockets_of(self.loop)

    def end(self) -> None:
        """End all streams and the thread; in a few seconds at most. Who waits for one goes on waiting."""
        self.is_over = True
        ended = threading.Event()
        self.loop.call_soon_threadsafe(self._begin_to_end, ended)
        ended.wait(_EXIT)
        self._is_closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_EXIT)
        if not self._thread.is_alive():
            self.loop.close()

    def _begin_to_end(self, ended: threading.Event) -> None:
        ending = self.loop.create_task(_end_of(self.loop))
        ending.add_done_callback(lambda _: ended.set())


async def _end_of(loop: asyncio.AbstractEventLoop) -> None:
    """End a loop as ``asyncio.run`` does: its tasks first, then its generators."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()


_background: LoopThread | None = None

#: Those of parent processes: what were collected here might still touch what is the parent's.
_of_parents: Final[list[LoopThread]] = []


def background() -> LoopThread:
    """Return the process's, started if need be, to a thread that may wait for it.

    Raises ``RuntimeError`` in its own thread, and when the program has ended its streams.
    """
    global _background
    thread = _background
    if thread is None:
        with LOCK:
            if _background is None:
                _background = LoopThread()
            thread = _background
    if thread.is_over or thread.is_here:
        thread.check()
    return thread


def running_background() -> LoopThread | None:
    """Return the process's if it was started."""
    return _background


def is_left_behind(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether an event loop is of the thread of a parent process."""
    return any(thread.loop is loop for thread in _of_parents)


def _forget_in_child() -> None:
    """After a fork there is no thread any more; the child starts its own."""
    global _background
    if _background is not None:
        _background.leave_behind()
        _of_parents.append(_background)
        _background = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _end_at_exit() -> None:
    if _background is not None and not _background.is_over:
        _background.end()


# What runs at exit runs in the reverse order. Loggers of streams flush by finalizers of weakref, which has
# to have registered itself by now: after the last ending has been told.
weakref.finalize(LoopThread, _end_at_exit).detach()
atexit.register(_end_at_exit)
