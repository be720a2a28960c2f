"""How far a run is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final

from attrs import define
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from lm_deluge.cli.terminal import harmless_on, is_dumb, make_console, notice, wants_no_escapes

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Counts", "RunProgress"]

#: Seconds between two lines where stderr is no terminal.
_INTERVAL: Final = 10.0


@define
class Counts:
    """``total``: answers wanted in this run; ``skipped``: those that were complete before it.

    ``cost``: US dollars of those whose price is known, ``None`` if none is. ``tokens``: of the answers.
    """

    total: int
    skipped: int = 0
    done: int = 0
    failed: int = 0
    tokens: int = 0
    cost: float | None = None

    @property
    def ended(self) -> int:
        """Answers that are over, whole or not."""
        return self.done + self.failed

    def words(self, seconds: float) -> str:
        """Return the counts in a line; ``seconds``: since the run began."""
        rate = self.ended / seconds if seconds > 0 else 0.0
        parts = [f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min", f"{self.failed} failed"]
        if self.tokens:
            parts.append(f"{self.tokens:,} tokens")
        if self.cost is not None:
            parts.append(f"${self.cost:.4f}")
        return " · ".join(parts)


class RunProgress:
    """Shows ``counts`` on stderr: ``with RunProgress(counts) as progress: ... progress.update()``.

    A bar on a terminal; one line written over and over where ``NO_COLOR`` wants no escape sequences;
    lines now and then where nothing can be written over, and into pipes and files.
    """

    def __init__(self, counts: Counts, *, quiet: bool) -> None:
        self._counts = counts
        self._begun = self._told = monotonic()
        self._quiet = quiet
        self._bar: Progress | None = None
        self._line: _ProgressLine | None = None
        if quiet or sys.stderr is None or not sys.stderr.isatty() or is_dumb():
            return
        if wants_no_escapes():
            self._line = _ProgressLine()
            return
        self._bar = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            console=make_console(stderr=True),
            redirect_stdout=False,  # what is written there is to be read by programs
        )
        self._task = self._bar.add_task("", total=counts.total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self.update()
            self._bar.stop()
        elif self._line is not None:
            self._line.show(self._words(monotonic()))
            self._line.end()

    def update(self) -> None:
        """Show what has changed."""
        counts, now = self._counts, monotonic()
        if self._bar is not None:
            words = counts.words(now - self._begun)
            self._bar.update(self._task, completed=counts.ended, description=words)
        elif self._line is not None:
            self._line.show(self._words(now))
        elif not self._quiet and now - self._told >= _INTERVAL:
            self._told = now
            self.say(self._words(now))

    def say(self, text: str) -> None:
        """Tell a line, above the bar if there is one."""
        if self._bar is not None:
            self._above(self._bar, f"lm-deluge: {text}")
            return
        if self._line is not None:
            self._line.clear()
        notice(f"lm-deluge: {text}")

    def write(self, text: str) -> None:
        """Write whole lines to standard output; on a terminal they stand above the bar."""
        on_terminal = sys.stdout.isatty()
        if self._bar is not None and on_terminal:
            self._above(self._bar, text.removesuffix("\n"))
            return
        if self._line is not None and on_terminal:
            self._line.clear()
        sys.stdout.write(harmless_on(text, sys.stdout))
        sys.stdout.flush()

    def last(self) -> None:
        """Tell what became of it all."""
        counts, seconds = self._counts, monotonic() - self._begun
        if not self._quiet:
            skipped = f", {counts.skipped} were complete before" if counts.skipped else ""
            self.say(
                f"{counts.done} of {counts.total} answers in {seconds:.1f} s{skipped} "
                f"({counts.words(seconds)})"
            )

    @staticmethod
    def _above(bar: Progress, text: str) -> None:
        bar.console.print(Text(harmless_on(text, sys.stderr)), soft_wrap=True)

    def _words(self, now: float) -> str:
        counts, seconds = self._counts, now - self._begun
        left = (counts.total - counts.ended) * seconds / counts.ended if counts.ended else None
        eta = f" · {left:.0f} s left" if left is not None else ""
        return f"{counts.ended}/{counts.total} · {counts.words(seconds)}{eta}"


class _ProgressLine:
    """One line of a terminal that is written over, by carriage returns alone."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str) -> None:
        """Put another text in the place of the one that stands there."""
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self._text:
            sys.stderr.write("\r" + text + " " * (len(self._text) - len(text)))
            sys.stderr.flush()
            self._text = text

    def clear(self) -> None:
        """Leave nothing there."""
        if self._text:
            sys.stderr.write("\r" + " " * len(self._text) + "\r")
            sys.stderr.flush()
            self._text = ""

    def end(self) -> None:
        """Leave what stands there, and go on below it."""
        if self._text:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._text = ""
