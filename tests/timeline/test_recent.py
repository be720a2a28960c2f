"""The last minutes: figures, errors in words, and since when a rule is broken."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lm_deluge.cli.reporting.live_view import duration, live_line, live_table
from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline import Settings, measure, parse_budget
from lm_deluge.timeline.following.recent import Lookout, Recent
from lm_deluge.timeline.following.streams import FollowedLog
from support.timelines import stream_lines, timeline

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()

RULES = """
[[rule]]
name = "first text"
when = "ttft.p95>0.8"
why = "people leave"

[[rule]]
when = "failed>1"
group = "B"

[[rule]]
max_regression = "ttft.p50=10%"
"""


class Following:
    """A log that is written and looked at by a clock that the test turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOON
        self.log = FollowedLog([str(path)], window=300, clock=lambda: self.now)
        rules = parse_budget(RULES).rules
        self.watcher = Lookout(self.log, Settings(), ("variant",), rules)

    def write(
        self, stream: str, begin: float, group: str, arrivals: list[float], **fields: Any
    ) -> None:
        at = datetime.fromtimestamp(NOON + begin, UTC).isoformat()
        cut = fields.pop("cut", None)
        lines = stream_lines(stream, arrivals, at=at, tags={"variant": group}, **fields)[:cut]
        with self.path.open("ab") as file:
            file.write(encode_lines(lines))

    def look(self, seconds: float) -> Recent:
        self.now = NOON + seconds
        self.log.poll()
        return self.watcher.look(self.now)


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    following = Following(tmp_path / "log")
    yield following
    following.log.close()


def drawn(recent: Recent, width: int = 100) -> str:
    console = Console(width=width, color_system=None, file=io.StringIO())
    console.print(live_table(recent, window=300, kind="variant", rules=2, left_out=1))
    shown = console.file
    assert isinstance(shown, io.StringIO)
    return shown.getvalue()


def test_groups_tell_who_runs_waits_and_ended(following: Following) -> None:
    following.write("a", -5, "A", [0.5, 0.6, 2.0])
    following.write(
        "b", -9, "B", [0.5], failed="ConnectionLostError", phase="between_tokens", ended=0.9
    )
    following.write("waits", -3, "B", [], cut=1)
    following.write("speaks", -4, "B", [0.5, 0.6], cut=3)
    recent = following.look(0)
    a, b = recent.groups
    assert (a.name, a.running, a.waiting, a.longest_wait, a.silent) == ("A", 0, 0, None, None)
    assert (b.running, b.waiting, round(b.longest_wait or 0, 3)) == (2, 1, 3.0)
    assert round(b.silent or 0, 3) == 3.4
    assert b.group is not None
    assert (b.group.streams, b.group.failed) == (1, 1)
    assert recent.errors == (("B", "the connection broke after some text", 1),)
    shown = drawn(recent)
    for text in ("the last 5 min", "B: the connection broke after some text: 1 ×", "longest wait now 3 s",
                 "1 (100 %)", "longest silence now 3 s", "Rules: 0 broken, 2 not",
                 "1 rule not judged: give --baseline, too"):  # fmt: skip
        assert text.lower() in shown.lower(), text
    assert "B: 2 running, 1 waiting for 3.00 s, silent for 3.40 s, 1 ended, 1 failed" in live_line(
        recent
    )


def test_a_rule_is_broken_since_it_broke_and_not_once_it_holds(following: Following) -> None:
    assert following.look(0).broken == ()  # nothing to judge by: a live view waits
    following.write("slow", 1, "A", [2.0, 2.1])
    (broken,) = following.look(10).broken
    assert (broken.judged.called, broken.since) == ("first text (ttft.p95>0.8)", NOON + 10)
    following.write("slow2", 20, "A", [2.0, 2.1])
    again = following.look(130)
    assert again.broken[0].since == NOON + 10
    assert "first text (ttft.p95>0.8): A: 2 s (2 streams) (people leave), since" in live_line(again)
    assert "(2 min)" in live_line(again)
    assert following.look(500).broken == ()
    following.write("slow3", 505, "A", [2.0])
    assert following.look(510).broken[0].since == NOON + 510


def test_a_regression_is_judged_where_there_is_a_baseline(following: Following) -> None:
    before = [timeline([0.2, 0.3], tags={"variant": "A"}) for _ in range(5)]
    following.watcher.baseline = measure(before, by="variant")
    following.write("a", -5, "A", [0.5, 0.6])
    following.write("b", -5, "C", [0.5, 0.6])  # which the baseline has not
    (broken,) = following.look(0).broken
    assert [str(problem).split(" (")[0] for problem in broken.judged.problems] == [
        "A: 0.2 s -> 0.5 s"
    ]


def test_what_a_log_says_cannot_steer_the_terminal(following: Following) -> None:
    following.write("a", -5, "\x1b[2Jevil[red]\n", [0.5])
    recent = following.look(0)
    for shown in (drawn(recent), live_line(recent)):
        assert "\x1b" not in shown
        assert "\ufffd[2Jevil[red]" in shown
    assert "\n" not in live_line(recent)


def test_the_view_fits_a_narrow_terminal_and_many_groups(following: Following) -> None:
    for k in range(30):
        following.write(str(k), -5, f"a group with a long name {k}", [0.5, 3.0])
    shown = drawn(following.look(0), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "10 more groups" in shown
    assert "a group" in shown


def test_nothing_yet_is_said(following: Following) -> None:
    recent = following.look(0)
    assert "no file yet" in drawn(recent)
    assert "nothing yet, no file yet" in live_line(recent)


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(value) for value in (5, 59, 300, 3600, 7800)] == [
        "5 s", "59 s", "5 min", "1 h", "2 h 10 min",
    ]  # fmt: skip
