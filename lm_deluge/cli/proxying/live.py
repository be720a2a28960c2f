"""The streams that run: a line each on a terminal, a line for each that ended elsewhere."""

from __future__ import annotations

import sys
from collections import Counter, deque
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final

from attrs import define
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lm_deluge import APIResponse, Delta, Stream, StreamHandler, Token
from lm_deluge.cli.terminal import harmless_on, make_console, notice, wants_no_escapes
from lm_deluge.errors import StreamCancelled, StreamError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LiveStreams"]

#: How often a second the terminal is written: each time costs the streams a few milliseconds of a core.
_RATE: Final = 4

#: Lines of a terminal that are not the table's: its head, the counts, and the cursor's.
_BESIDE: Final = 4

_KEPT: Final = 200


@define(eq=False)
class _Row:
    """A stream. ``began``: by ``perf_counter``; the other moments are seconds from then.

    ``gap``: the longest between two pieces so far.
    """

    model: str
    began: float
    first: float | None = None
    last: float = 0.0
    pieces: int = 0
    gap: float = 0.0
    ending: str = ""

    def heard(self, arrived: float) -> None:
        """A piece of output came."""
        if self.first is None:
            self.first = arrived
        else:
            self.gap = max(self.gap, arrived - self.last)
        self.last = arrived
        self.pieces += 1

    def cells(self, now: float) -> tuple[str, str, str, str, str]:
        """Return model, waited, pieces, longest gap and ending; while it runs, the present wait counts."""
        since = now - self.began
        waited = since if self.first is None and not self.ending else self.first
        gap = self.gap
        if self.first is not None and not self.ending:
            gap = max(gap, since - self.last)
        return (
            self.model,
            "–" if waited is None else f"{waited:.2f} s",
            f"{self.pieces:,}",
            f"{gap:.2f} s" if self.pieces else "–",
            self.ending or "…",
        )


class LiveStreams(StreamHandler):
    """A handler that shows what it hears on stderr: ``with LiveStreams(quiet=False) as view:``.

    On a terminal a table that stays in its place, the streams that run first; elsewhere, and where no escape
    sequences are wanted, a line for each that ended.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._running: dict[str, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=_KEPT)
        self.counts: Counter[str] = Counter()
        self._live: Live | None = None
        terminal = sys.stderr is not None and sys.stderr.isatty() and not wants_no_escapes()
        if terminal and not quiet:
            self._live = Live(
                get_renderable=self.table,
                console=make_console(stderr=True),
                refresh_per_second=_RATE,
                redirect_stdout=False,
                vertical_overflow="crop",
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def running(self) -> int:
        """How many streams run."""
        return len(self._running)

    # -- what it hears

    def on_start(self, stream: Stream) -> None:
        """A line more."""
        self._running[stream.id] = _Row(stream.model, perf_counter())

    def on_token(self, stream: Stream, token: Token) -> None:
        """A piece of the answer."""
        if (row := self._running.get(stream.id)) is not None:
            row.heard(token.arrived)

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """A piece of anything else that the model made."""
        if (row := self._running.get(stream.id)) is not None:
            row.heard(delta.arrived)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        """It is whole."""
        self._end(stream, "whole", response.finish_reason or "whole")

    def on_error(self, stream: Stream, error: StreamError) -> None:
        """It is not."""
        left = isinstance(error, StreamCancelled)
        self._end(stream, "left" if left else "failed", type(error).__name__)

    def on_request(self, request: object) -> None:
        """A request that does not stream."""
        self.counts["others"] += 1

    def _end(self, stream: Stream, kind: str, ending: str) -> None:
        self.counts[kind] += 1
        row = self._running.pop(stream.id, None)
        if row is None:
            return
        row.ending = ending
        self._ended.append(row)
        if self._live is None and not self._quiet:
            model, waited, pieces, gap, _ = row.cells(perf_counter())
            notice(f"{model:.60}  waited {waited}  {pieces} pieces  longest gap {gap}  {ending}")

    # -- what it shows

    def summary(self) -> str:
        """Return the counts in words."""
        counts = self.counts
        total = counts["whole"] + counts["failed"] + counts["left"]
        words = [f"{total:,} stream{'' if total == 1 else 's'} ended"]
        words += [f"{counts[kind]:,} {kind}" for kind in ("failed", "left") if counts[kind]]
        if counts["others"]:
            words.append(
                f"{counts['others']:,} other request{'' if counts['others'] == 1 else 's'}"
            )
        return " · ".join(words)

    def table(self) -> RenderableType:
        """Return what fits on the terminal: the streams that run, then the latest that ended."""
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
        table.add_column("model", ratio=3, no_wrap=True, overflow="ellipsis")
        for name in ("waited", "pieces", "longest gap"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("ending", ratio=2, no_wrap=True, overflow="ellipsis")
        now = perf_counter()
        room = max(1, make_console(stderr=True).height - _BESIDE)
        running, ended = list(self._running.values()), list(self._ended)
        shown = running[:room]
        for row in shown:
            table.add_row(*map(_text, row.cells(now)))
        if (left := room - len(shown)) > 0:
            for row in reversed(ended[-left:]):
                table.add_row(*map(_text, row.cells(now)), style="dim")
        more = f" · {len(running) - room:,} more are not shown" if len(running) > room else ""
        counts = Text(f"{len(running):,} running · {self.summary()}{more}", style="bold")
        return Group(counts, table) if shown or ended else counts


def _text(cell: str) -> Text:
    """What an app sent may be shown and not obeyed."""
    return Text(harmless_on(cell, sys.stderr))
