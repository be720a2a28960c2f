"""Streams shown again at their pace: as text into a pipe, side by side on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lm_deluge.cli.terminal import harmless_on, make_console, notice, wants_no_escapes
from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.replay.pieces import ReplayedPiece
from lm_deluge.timeline.replay.states import ReplayState, StreamReplay, on_clock
from lm_deluge.timeline.replay.told import short, stream_told

__all__ = ["Pace", "figures", "play_beside", "play_plain", "plays_beside"]

_FRAME = 0.05  # seconds from picture to picture
_MOMENT = 1e-6  # seconds, less than any clock here tells apart
_STATE = 2  # lines for what a stream is at
_CONTROLS = 3  # lines of a terminal that no panel stands in
_BESIDE = 28  # cells that a panel needs to be read
_LONGEST_BAR = 12

_COLORS = ("blue", "yellow", "green", "magenta")
_STYLES = {"stalled": "bold yellow", "broke": "bold red", "whole": "green", "thinking": "cyan"}


@define
class Pace:
    """Waits as long as the log says: ``speed`` times as fast, or not at all (``waits``)."""

    speed: float = 1.0
    waits: bool = True
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    _begun: float | None = field(default=None, init=False)

    def begin(self) -> None:
        """Now is second 0 of what is shown."""
        self._begun = self.clock()

    @property
    def now(self) -> float:
        """Seconds of what is shown, since ``begin``."""
        assert self._begun is not None
        return (self.clock() - self._begun) * self.speed

    def until(self, seconds: float) -> None:
        """Wait for a second of what is shown."""
        if self.waits and (left := (seconds - self.now) / self.speed) > 0:
            self.sleep(left)


def figures(replay: StreamReplay) -> str:
    """Return a stream's figures on a line."""
    stream = replay.timeline.stream
    name = replay.name if replay.name.startswith(stream) else f"{replay.name} ({stream})"
    return printable(f"{name}: {stream_told(replay.timeline, replay.stall)}")


def shown_text(piece: ReplayedPiece) -> str:
    """Return a piece's text; from a log without texts, a bar of its length."""
    if piece.text is not None:
        return piece.text
    return "▬" * min(piece.length, _LONGEST_BAR) + " " if piece.length else ""


def play_plain(replays: Sequence[StreamReplay], pace: Pace) -> None:
    """Write one stream after the other to standard output, each piece at its time, and nothing else.

    Of several, a line on stderr says which begins; after each, one has its figures.
    """
    out = sys.stdout
    for replay in replays:
        if len(replays) > 1:
            notice(f"lm-deluge: {printable(replay.name)}")
        pace.begin()
        last = ""
        for piece in replay.answer.pieces:
            pace.until(piece.t)
            text = harmless_on(shown_text(piece), out)
            encoding = out.encoding or "utf-8"
            out.write(text.encode(encoding, "replace").decode(encoding))
            last = text or last
            out.flush()
        pace.until(replay.end)
        if (out.isatty() or len(replays) > 1) and last and not last.endswith("\n"):
            out.write("\n")
            out.flush()
        notice(f"lm-deluge: {figures(replay)}")


def plays_beside(console: Console, count: int) -> bool:
    """Say whether panels can be shown on it, and are wide enough."""
    return console.is_terminal and not wants_no_escapes() and console.width >= _BESIDE * count


def play_beside(
    replays: Sequence[StreamReplay], pace: Pace, console: Console | None = None
) -> None:
    """Show streams side by side on a terminal; their whole texts stay there in the end."""
    console = console or make_console()
    end = max(replay.end for replay in replays)
    width = console.width // len(replays) - 4
    tall = max(_height(replay, width, console) for replay in replays)
    tall = min(tall, max(1, console.height - _CONTROLS - _STATE - 2))
    pace.begin()
    if pace.waits:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while (now := pace.now) < end - _MOMENT:
                live.update(_picture(replays, now, end, console, tall), refresh=True)
                pace.until(min(now + _FRAME * pace.speed, end))
    console.print(_picture(replays, end, end, console))
    for replay in replays:
        notice(f"lm-deluge: {figures(replay)}")


def _picture(
    replays: Sequence[StreamReplay],
    now: float,
    end: float,
    console: Console,
    height: int | None = None,
) -> RenderableType:
    """Return what there is after ``now`` seconds; the last ``height`` lines of it, or all."""
    table = Table.grid(expand=True)
    for _ in replays:
        table.add_column(ratio=1)
    width = console.width // len(replays) - 4
    table.add_row(
        *(
            _panel(replay, now, _COLORS[place % len(_COLORS)], width, height, console)
            for place, replay in enumerate(replays)
        )
    )
    if height is None:
        return table
    return Group(table, Text(f"{on_clock(now)} of {short(end)}", style="dim"))


def _panel(
    replay: StreamReplay, now: float, color: str, width: int, height: int | None, console: Console
) -> Panel:
    pieces = replay.answer.pieces[: replay.answer.count_at(now)]
    text = Text(harmless_on("".join(map(shown_text, pieces)), sys.stdout))
    state = replay.state_at(now)
    if height is not None:
        lines = text.wrap(console, width)
        text = Text("\n").join(lines[-height:])
        text.append("\n" * max(0, height - len(lines)))
    return Panel(
        Group(text, _state_text(state)),
        title=Text(printable(replay.name), style="bold"),
        title_align="left",
        height=None if height is None else height + _STATE + 2,
        border_style="yellow" if state.kind == "stalled" else color,
    )


def _height(replay: StreamReplay, width: int, console: Console) -> int:
    """Return how many lines the whole text takes, so that panels do not grow while it comes."""
    text = Text("".join(map(shown_text, replay.answer.pieces)))
    return max(3, len(text.wrap(console, max(1, width))))


def _state_text(state: ReplayState) -> Text:
    return Text(printable(state.words), style=_STYLES.get(state.kind, ""))
