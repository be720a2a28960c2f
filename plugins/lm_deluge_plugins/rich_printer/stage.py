"""Who draws on a terminal: one answer at a time, in the order in which they began to speak."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from lm_deluge_plugins.rich_printer.drawing import DrawnLine
from lm_deluge_plugins.rich_printer.region import Region
from lm_deluge_plugins.terminals import size_of, writable

__all__ = ["Stage", "stage_of"]

#: Windows so narrow that no border fits are drawn for this many columns, and what is over is cut.
_NARROWEST: Final = 8


class Stage:
    """A terminal. ``file`` returns it: a stage does not keep it alive."""

    def __init__(self, file: Callable[[], Any]) -> None:
        self.lock = threading.RLock()
        self._file_of = file
        self._live: Sequence[DrawnLine] = ()
        self._region = Region()
        self._queue: list[Callable[[], bool]] = []

    @property
    def _file(self) -> Any:
        return self._file_of()

    @property
    def width(self) -> int:
        """Columns to draw in."""
        return max(_NARROWEST, size_of(self._file)[0])

    @property
    def height(self) -> int:
        """Lines of the window."""
        return size_of(self._file)[1]

    def enter(self, play: Callable[[], bool]) -> None:
        """Queue up; ``play`` draws when it is its turn, and says whether it is over."""
        with self.lock:
            self._queue.append(play)

    def step(self, play: Callable[[], bool]) -> None:
        """Let ``play`` draw, if it is its turn; and those that waited for its end."""
        with self.lock:
            if not self._queue or self._queue[0] is not play:
                return
            try:
                over = play()
            except BaseException:
                self.leave(play)
                raise
            if over:
                self.leave(play)

    def leave(self, play: Callable[[], bool]) -> None:
        """Make room for the next; a failure of theirs is theirs, and told by their own next step."""
        with self.lock:
            if play in self._queue:
                self._queue.remove(play)
        if self._queue:
            self.step(self._queue[0])

    def show(self, done: Sequence[DrawnLine], live: Sequence[DrawnLine]) -> None:
        """Write lines for good, and below them some that may change."""
        with self.lock:
            self._live = live
            self._write(self._region.show(done, live, *size_of(self._file)))

    @contextmanager
    def aside(self) -> Generator[None]:
        """Take off what may change, so that something else can be written there; then put it below."""
        with self.lock:
            self._write(self._region.clear(*size_of(self._file)))
            try:
                yield
            finally:
                self._write(self._region.show((), self._live, *size_of(self._file)))

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self._file.write(text)
        except UnicodeEncodeError:
            self._file.write(writable(text, getattr(self._file, "encoding", None)))
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()


_stages: WeakKeyDictionary[Any, Stage] = WeakKeyDictionary()


def stage_of(file: Any) -> Stage:
    """Return the one stage of a file; a new one of a file that cannot be told from others."""
    try:
        stage = _stages.get(file)
        if stage is None:
            stage = _stages[file] = Stage(ref(file))
    except TypeError:
        stage = Stage(lambda: file)
    return stage
