"""``lm-deluge report --watch``: the last minutes of logs that grow, shown again and again."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from lm_deluge.cli.reporting.keys import keys_heard
from lm_deluge.cli.terminal import make_console, wants_no_escapes
from lm_deluge.timeline.measures.wording import printable

if TYPE_CHECKING:
    from lm_deluge.cli.reporting.held import Standard
    from lm_deluge.timeline.following.recent import Recent
    from lm_deluge.timeline.measures.metrics import Measured

__all__ = ["LAST", "Duration", "check_live", "watch"]

LAST: Final = 300.0
"""Seconds: how far the live view looks back."""

_ON_TERMINAL: Final = 1.0
_IN_A_LOG: Final = 10.0
#: Looking takes at most this part of the time, however much ends in the window.
_BUSY: Final = 5

_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)\s*(s|m|min|h|d)?")
_UNITS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}


class Duration(click.types.FloatParamType):
    """A time above 0: ``90``, ``90s``, ``5m``, ``2h``; in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; raises ``click.BadParameter``."""
        match = _DURATION.fullmatch(str(value).strip())
        seconds = float(match[1]) * _UNITS[match[2]] if match is not None else 0.0
        if not seconds:
            self.fail(f"{value!r} is no time above 0, such as 90s, 5m or 2h", param, ctx)
        return seconds


def check_live(logs: Sequence[str], held: Standard) -> None:
    """Raise ``click.UsageError`` for what cannot be followed, and for rules that cannot be judged."""
    from lm_deluge.timeline.following.files import check_followed
    from lm_deluge.timeline.measures.budget.rules import judge_rules
    from lm_deluge.timeline.measures.metrics import measure

    try:
        for log in logs:
            check_followed(log)
        judge_rules(measure([], settings=held.settings), held.rules, measure([]))
    except (OSError, ValueError) as error:
        raise click.UsageError(printable(f"--watch: {error}")) from None


def watch(
    logs: Sequence[str],
    held: Standard,
    baseline: Measured | None,
    *,
    last: float,
    interval: float | None,
) -> list[str]:
    """Show the last seconds of the logs until ``q`` or Ctrl-C; return a line for each rule broken then.

    On a terminal one view that is drawn anew, else a line every ``interval`` seconds.
    """
    from lm_deluge.timeline.following.recent import Lookout
    from lm_deluge.timeline.following.streams import FollowedLog

    is_live = sys.stdout.isatty() and not wants_no_escapes()
    pause = interval or (_ON_TERMINAL if is_live else _IN_A_LOG)
    recent: Recent | None = None
    with closing(FollowedLog(logs, window=last)) as log, keys_heard() as wait:
        watcher = Lookout(log, held.settings, held.by, held.rules, baseline)
        with _view(watcher, last) if is_live else _lines() as show:
            try:
                while True:
                    began = time.monotonic()
                    log.poll()
                    recent = watcher.look(time.time())
                    show(recent)
                    took = time.monotonic() - began
                    if wait(max(pause, _BUSY * took)) in ("q", "Q"):
                        break
            except KeyboardInterrupt:
                pass
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                raise click.ClickException(f"cannot read the log: {error}") from None
    return [str(each.judged) for each in recent.broken] if recent is not None else []


@contextmanager
def _lines() -> Iterator[Callable[[Recent], None]]:
    from lm_deluge.cli.reporting.live_view import live_line

    def show(recent: Recent) -> None:
        click.echo(live_line(recent))

    yield show


@contextmanager
def _view(watcher: Any, last: float) -> Iterator[Callable[[Recent], None]]:
    from rich.live import Live

    from lm_deluge.cli.reporting.live_view import live_table
    from lm_deluge.timeline.measures.budget.rule_texts import MaxRegression

    left_out = 0
    if watcher.baseline is None:
        left_out = sum(isinstance(rule, MaxRegression) for rule in watcher.rules)
    with Live(console=make_console(), auto_refresh=False, vertical_overflow="ellipsis") as live:

        def show(recent: Recent) -> None:
            view = live_table(
                recent,
                window=last,
                kind=", ".join(watcher.by) or "model",
                rules=len(watcher.rules) - left_out,
                left_out=left_out,
            )
            live.update(view, refresh=True)

        yield show
