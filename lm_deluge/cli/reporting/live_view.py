"""The last minutes of a log as a terminal shows them, and as one line of a log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lm_deluge.timeline.measures.wording import NOTHING, number, percent, printable, seconds

if TYPE_CHECKING:
    from lm_deluge.timeline.following.recent import BrokenNow, Recent, RecentGroup

__all__ = ["duration", "live_line", "live_table"]

_COLUMNS = (
    "running",
    "waiting",
    "ended",
    "TTFT p50",
    "p95",
    "stalls",
    "failed",
    "retries",
    "tok/s",
)
#: One more where browsers tell of it: when the first text is on the screen.
_ON_SCREEN = "screen p95"
_MOST_ROWS = 20
_MINUTE, _HOUR = 60, 3600


def live_table(
    recent: Recent, *, window: float, kind: str, rules: int, left_out: int
) -> RenderableType:
    """Return what a terminal shows.

    ``window``: seconds. ``kind``: what groups are. ``rules``: how many are judged, ``left_out``: how many
    are not, for want of a baseline.
    """
    title = Text(f"The last {duration(window)}", style="bold")
    title.append(f", at {_time(recent.now)}{_newest(recent)}", style="dim")
    parts: list[RenderableType] = [title, _groups(recent, kind)]
    if len(recent.groups) > _MOST_ROWS:
        parts.append(Text(f"{len(recent.groups) - _MOST_ROWS} more groups", style="dim"))
    if recent.errors:
        parts.append(Text("What broke", style="bold"))
        several = len(recent.groups) > 1
        for name, words, count in recent.errors:
            where = f"{name}: " if several else ""
            parts.append(Text(printable(f"  {where}{words}: {count} ×")))
    parts += _rules(recent, rules, left_out)
    parts.append(Text(_foot(recent), style="dim"))
    return Stack(*parts)


def live_line(recent: Recent) -> str:
    """Return the same on one line, for what is no terminal."""
    parts = [_words(group) for group in recent.groups] or [f"nothing yet{_newest(recent)}"]
    broken = [f"broken: {_broken(each, recent.now)}" for each in recent.broken]
    stamp = datetime.fromtimestamp(recent.now).astimezone().isoformat(timespec="seconds")
    return printable(f"{stamp} {' | '.join([*parts, *broken])}")


def duration(value: float) -> str:
    """Return seconds as ``45 s``, ``5 min`` or ``2 h 10 min``."""
    if value < _MINUTE:
        return f"{value:.0f} s"
    minutes = round(value / _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min"
    hours, rest = divmod(minutes, _MINUTE)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _groups(recent: Recent, kind: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(printable(kind)), overflow="fold", min_width=8)
    columns = (*_COLUMNS, *((_ON_SCREEN,) if (is_seen := _is_seen(recent)) else ()))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    shown = sorted(recent.groups, key=_size, reverse=True)[:_MOST_ROWS]
    for group in sorted(shown, key=lambda each: each.name):
        beside = [Text(_on_screen(group))] if is_seen else []
        table.add_row(Text(printable(group.name)), *_cells(group), *beside)
    if not shown:
        table.add_row(Text("no stream yet", style="dim"), *("" for _ in columns))
    return table


def _is_seen(recent: Recent) -> bool:
    return any(now.group is not None and now.group.way.is_told for now in recent.groups)


def _on_screen(now: RecentGroup) -> str:
    """Return when the first text is painted, at p95, of the streams that browsers told of."""
    told = now.group.summary().get("seen") if now.group is not None else None
    return NOTHING if told is None else seconds(told["ttfa"]["p95"])


def _size(group: RecentGroup) -> int:
    return group.running + (group.group.streams if group.group is not None else 0)


def _cells(now: RecentGroup) -> Iterator[Text]:
    yield Text(f"{now.running:,}")
    yield Text(f"{now.waiting:,}")
    if now.group is None:
        yield from (Text(NOTHING) for _ in range(5))
        yield Text(f"{now.retries:,}")
        yield Text(NOTHING)
        return
    summary = now.group.summary()
    yield Text(f"{now.group.streams:,}")
    yield Text(seconds(summary["ttft"]["p50"]))
    yield Text(seconds(summary["ttft"]["p95"]))
    stalls = summary["stalls"]["count"]
    yield Text(NOTHING if stalls is None else f"{stalls:,}", style="red" if stalls else "")
    failed = now.group.failed
    share = f" ({percent(failed / now.group.streams)})" if failed else ""
    yield Text(f"{failed:,}{share}", style="bold red" if failed else "")
    yield Text(f"{now.retries:,}")
    yield Text(number("rate.p50", summary["rate"]["p50"]).removesuffix(" tokens/s"))


def _rules(recent: Recent, rules: int, left_out: int) -> Iterator[Text]:
    if rules:
        held = rules - len(recent.broken)
        yield Text(f"Rules: {len(recent.broken)} broken, {held} not", style="bold")
    for each in recent.broken:
        yield Text(printable(f"  ✗ {_broken(each, recent.now)}"), style="red")
    if left_out:
        text = f"  {left_out} rule{'' if left_out == 1 else 's'} not judged: give --baseline, too"
        yield Text(text, style="dim")


def _broken(each: BrokenNow, now: float) -> str:
    return f"{each.judged}, since {_time(each.since)} ({duration(now - each.since)})"


def _words(now: RecentGroup) -> str:
    parts = [f"{now.running} running"]
    if now.longest_wait is not None:
        parts.append(f"{now.waiting} waiting for {seconds(now.longest_wait)}")
    if now.silent is not None:
        parts.append(f"silent for {seconds(now.silent)}")
    if now.group is not None:
        summary = now.group.summary()
        parts += [
            f"{now.group.streams} ended",
            f"{now.group.failed} failed",
            f"TTFT p50 {seconds(summary['ttft']['p50'])} p95 {seconds(summary['ttft']['p95'])}",
            f"{summary['stalls']['count'] or 0} stalls",
            f"rate {number('rate.p50', summary['rate']['p50'])}",
        ]
        if "seen" in summary:
            parts.append(f"on screen p95 {_on_screen(now)}")
    parts.append(f"{now.retries} retries")
    return f"{now.name}: {', '.join(parts)}"


def _foot(recent: Recent) -> str:
    waits = [group.longest_wait for group in recent.groups if group.longest_wait is not None]
    silences = [group.silent for group in recent.groups if group.silent is not None]
    silent = f"longest wait now {duration(max(waits))}; " if waits else ""
    silent += f"longest silence now {duration(max(silences))}; " if silences else ""
    files = f"{recent.files} file{'' if recent.files == 1 else 's'}"
    skipped = f", {recent.skipped:,} not understood" if recent.skipped else ""
    crowded = "; only the newest streams are measured" if recent.crowded else ""
    return f"{silent}{recent.lines:,} lines of {files}{skipped}{crowded}; q ends"


def _newest(recent: Recent) -> str:
    if recent.newest is None:
        return ", no line yet" if recent.files else ", no file yet"
    age = recent.now - recent.newest
    return f", last line {duration(age)} ago" if age >= 2 else ""


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S")
