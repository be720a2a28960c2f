"""Logs that grow, and what becomes of their files meanwhile: read to the last line, each once."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline import read_timelines
from lm_deluge.timeline.following import files as growing
from lm_deluge.timeline.following import streams as followed
from lm_deluge.timeline.following.files import GrowingFiles, check_followed
from lm_deluge.timeline.following.streams import FollowedLog
from support.timelines import stream_lines

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


@define
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


def lines_of(stream: str, begin: float = -10.0, **fields: Any) -> list[bytes]:
    """The lines of a stream that began so many seconds after noon."""
    fields = {"arrivals": [0.5, 0.6, 2.0], **fields}
    return encode_lines(stream_lines(stream, at=at(begin), **fields)).strip().split(b"\n")


def add(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[GrowingFiles]:
    files = GrowingFiles([str(tmp_path / "log")])
    yield files
    files.close()


def test_whole_lines_come_once_and_halves_when_they_are_whole(
    tmp_path: Path, files: GrowingFiles
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    assert files.poll(0) == [b"one"]
    assert files.poll(1) == []
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert files.poll(2) == [b"two", b"three"]


def test_a_file_may_come_later(tmp_path: Path, files: GrowingFiles) -> None:
    assert (files.poll(0), files.found) == ([], 0)
    add(tmp_path / "log", b"one")
    assert (files.poll(1), files.found) == ([b"one"], 1)


def test_a_log_that_is_rotated_loses_no_line(tmp_path: Path, files: GrowingFiles) -> None:
    path = tmp_path / "log"
    add(path, b"one")
    writer = path.open("ab")
    assert files.poll(0) == [b"one"]
    writer.write(b"two\n")
    writer.flush()
    path.rename(tmp_path / "log.1")
    add(path, b"four")
    writer.write(b"three\n")  # by whoever still has the old file
    writer.flush()
    assert sorted(files.poll(1)) == [b"four", b"three", b"two"]
    writer.write(b"late\n")
    writer.close()
    assert files.poll(30) == [b"late"]
    files.poll(30 + growing.KEPT + 1)
    assert files.found == 1


def test_a_pattern_does_not_read_what_was_rotated_again(tmp_path: Path) -> None:
    files = GrowingFiles([str(tmp_path / "log*")])
    add(tmp_path / "log", b"one")
    assert files.poll(0) == [b"one"]
    (tmp_path / "log").rename(tmp_path / "log.1")
    add(tmp_path / "log", b"two")
    assert files.poll(1) == [b"two"]
    files.close()


@pytest.mark.parametrize("more", [b"", b"much longer than it was before\n"])
def test_a_file_that_was_emptied_begins_anew(
    tmp_path: Path, files: GrowingFiles, more: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\nhalf a li")
    assert files.poll(0) == [b"first"]
    path.write_bytes(b"new\n" + more)
    assert files.poll(1) == [b"new", *more.splitlines()]


def test_of_a_long_file_the_end_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%04d\n" % number for number in range(100)))
    files = GrowingFiles([str(path)], backlog=12)
    assert files.poll(0) == [b"0098", b"0099"]
    files.close()


def test_a_line_without_an_end_is_passed_over(
    tmp_path: Path, files: GrowingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "LONGEST_LINE", 100)
    path = tmp_path / "log"
    path.write_bytes(b"x" * 200)
    assert files.poll(0) == []
    add(path, b"xxx", b"good")
    assert files.poll(1) == [b"good"]


def test_what_cannot_grow_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(b"{}\n"))
    os.mkfifo(tmp_path / "pipe")
    for source, why in (
        ("-", "standard input cannot be followed"),
        (str(tmp_path), "is no file that grows"),
        (str(tmp_path / "pipe"), "is no file that grows"),
        (str(packed), "is compressed, and cannot be followed"),
    ):
        with pytest.raises(ValueError, match=why):
            check_followed(source)
    check_followed(str(tmp_path / "later"))
    check_followed(str(tmp_path / "*.jsonl"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(path: Path, clock: Clock) -> Iterator[FollowedLog]:
    log = FollowedLog([str(path)], window=300, clock=clock)
    yield log
    log.close()


def test_a_stream_runs_until_its_ending_and_counts_for_the_window(
    path: Path, log: FollowedLog, clock: Clock
) -> None:
    start, *tokens, end = lines_of("a", begin=0)
    add(path, start)
    assert log.poll()
    clock.now = NOON + 0.4
    (running,) = log.running.values()
    assert (running.output, running.waited(clock())) == (None, pytest.approx(0.4))
    clock.now = NOON + 2
    add(path, *tokens)
    log.poll()
    assert running.output == pytest.approx(NOON + 2.0)
    add(path, end)
    log.poll()
    assert (list(log.running), [timeline.stream for timeline in log.ended]) == ([], ["a"])
    assert not log.poll()
    clock.now = NOON + 302.1
    log.poll()
    assert log.ended == []


def test_what_is_followed_is_what_reading_gives(path: Path, log: FollowedLog) -> None:
    whole = [
        line for k in range(6) for line in lines_of(str(k), failed="APIError" if k == 3 else None)
    ]
    content = b"\n".join([*whole, b'{"v":1,"e":"tok', b"nonsense", b""]) + b"\n"
    for cut in range(0, len(content), 97):
        with path.open("ab") as file:
            file.write(content[cut : cut + 97])
        log.poll()
    read = list(read_timelines(path, text=False))
    assert [(t.stream, t.gaps, t.ttft, t.ending) for t in log.ended] == [
        (t.stream, t.gaps, t.ttft, t.ending) for t in read
    ]
    assert log.skipped == 2


def test_an_old_log_has_nothing_to_say_of_the_last_minutes(path: Path, log: FollowedLog) -> None:
    add(path, *lines_of("old", begin=-4000))
    log.poll()
    assert (log.ended, list(log.running)) == ([], [])
    assert log.newest == pytest.approx(NOON - 3998)


def test_without_a_wall_clock_a_line_counts_when_it_comes(
    path: Path, log: FollowedLog, clock: Clock
) -> None:
    rows = [json.loads(line) for line in lines_of("a")]
    rows[0]["at"] = "some day"
    add(path, *(json.dumps(row).encode() for row in rows))
    log.poll()
    assert len(log.ended) == 1
    clock.now += 301
    log.poll()
    assert log.ended == []


def test_a_stream_whose_beginning_was_not_read_is_left_out(path: Path, log: FollowedLog) -> None:
    add(path, *lines_of("a")[1:])
    log.poll()
    assert (log.ended, list(log.running)) == ([], [])


def test_a_line_after_the_ending_begins_no_stream(path: Path, log: FollowedLog) -> None:
    add(path, *lines_of("a"))
    log.poll()
    add(path, *lines_of("a"))
    log.poll()
    assert (len(log.ended), list(log.running)) == (1, [])


def test_a_stream_that_nobody_ends_is_given_up(path: Path, log: FollowedLog, clock: Clock) -> None:
    add(path, *lines_of("a", begin=0)[:-1])
    log.poll()
    clock.now = NOON + 500
    log.poll()
    assert list(log.running) == ["a"]
    clock.now = NOON + 700
    log.poll()
    assert list(log.running) == []


def test_days_of_streams_stay_few_in_memory(
    path: Path, log: FollowedLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "MOST_RUNNING", 5)
    monkeypatch.setattr(followed, "_MOST_IDS", 7)
    for k in range(30):
        clock.now = NOON + k * 60
        add(path, *lines_of(f"done{k}", begin=k * 60 - 3), lines_of(f"open{k}", begin=k * 60)[0])
        log.poll()
    assert len(log.running) <= 5
    assert len(log._past) == 7
    assert len(log.ended) == 5  # of the last five minutes


def test_the_newest_are_kept_where_there_are_too_many(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "MOST_ENDED", 3)
    log = FollowedLog([str(path)], window=300, clock=clock)
    for k in range(5):
        add(path, *lines_of(str(k), begin=-30 + k))
    log.poll()
    assert [timeline.stream for timeline in log.ended] == ["2", "3", "4"]
    assert log.is_crowded
    clock.now += 400
    log.poll()
    assert not log.is_crowded
    log.close()
