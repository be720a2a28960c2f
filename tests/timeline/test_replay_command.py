"""``lm-deluge replay``: which streams, their text at its pace, what is told of them, what is refused."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from lm_deluge.cli.replaying.playing import Pace, play_beside, play_plain
from lm_deluge.timeline import read_timelines
from lm_deluge.timeline.replay.states import StreamReplay
from support.programs import Call, clean_environment
from support.timelines import stream_lines, timeline, write

HOSTILE = "\x1b[2J\x1b]0;owned\x07"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A is quick; B's streams are a whole one, one that stalls, one that breaks."""
    return write(
        tmp_path / "log.jsonl",
        [
            stream_lines("01A-one", [0.2, 0.3], tags={"variant": "A"}, pieces=["Quick", " answer\n"]),
            stream_lines("01B-two", [0.5, 0.6], tags={"variant": "B"}, pieces=["Whole", " one"]),
            stream_lines("01B-three", [0.5, 3.5], tags={"variant": "B"}, pieces=["Stall", "ed"]),
            stream_lines(
                "02-four", [0.4], tags={"variant": "B"}, pieces=["Bro"], ended=0.5,
                failed="ConnectionLostError", phase="between_tokens",
            ),
        ],
    )  # fmt: skip


@pytest.fixture
def replay(call: Call, log: Path) -> Call:
    """``replay(STREAM, …)`` shows streams of the log without waiting."""
    return partial(call, "replay", log, "--no-wait")


def test_a_piece_without_text_writes_nothing(call: Call, tmp_path: Path) -> None:
    pieces = ["a", "", "b", "", ""]
    lines = stream_lines("one", [0.1, 0.2, 0.3, 0.4, 0.5], pieces=pieces)
    done = call("replay", write(tmp_path / "empty.jsonl", [lines]), "one", "--no-wait")
    assert done.out == "ab"


def test_the_text_goes_out_exactly_and_the_figures_to_stderr(replay: Call) -> None:
    done = replay("01A-one")
    assert (done.code, done.out) == (0, "Quick answer\n")
    assert done.err == (
        "lm-deluge: 01A-one, m: first text after 0.2 s, no silence above 1 s, "
        "ended whole after 0.3 s\n"
    )
    assert replay("01B-two").out == "Whole one"


@pytest.mark.parametrize(
    ("word", "text"),
    [("02", "Bro"), ("worst", "Stalled"), ("broken", "Bro"), ("median", "Whole one")],
)
def test_a_stream_is_named_by_how_its_id_begins_or_by_what_it_is(
    replay: Call, word: str, text: str
) -> None:
    assert replay(word).out == text


def test_of_groups_each_has_its_own_and_one_can_be_named(replay: Call) -> None:
    done = replay("--by", "variant", "median")
    assert done.out == "Quick answer\nWhole one\n"
    assert "lm-deluge: A, median\n" in done.err
    assert replay("--by", "variant", "B:broken", "A:median").out == "Bro\nQuick answer\n"


def test_without_a_stream_all_are_listed(call: Call, log: Path) -> None:
    done = call("replay", log)
    rows = [" ".join(line.split()) for line in done.out.splitlines()]
    assert rows == [
        "stream model tags first text longest silence ending",
        "01A-one m variant=A 0.2 s 0.1 s ended whole after 0.3 s",
        "01B-two m variant=B 0.5 s 0.1 s ended whole after 0.6 s",
        "01B-three m variant=B 0.5 s 3.0 s ended whole after 3.5 s",
        "02-four m variant=B 0.4 s 0.1 s broke after 0.5 s: the connection broke after some text",
    ]


def test_a_log_from_standard_input_is_read_twice(call: Call, log: Path) -> None:
    done = call("replay", "-", "worst", "--no-wait", stdin=log.read_bytes())
    assert (done.code, done.out) == (0, "Stalled")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["01"], "3 streams begin with '01': 01A-one, 01B-two, 01B-three; say more of the id"),
        (["medain"], "no stream 'medain'; did you mean median?"),
        (["01B-thre3"], "did you mean 01B-three"),
        (["nothing-like-it"], "lm-deluge replay LOG lists them"),
        ([""], "no stream ''"),
        (["B:median"], "say with --by what makes groups"),
        (["--by", "variant", "C:median"], "there is no group 'C', but A, B"),
        (["--by", "variant", "A:broken"], "the group has no stream that broke"),
        (["--by", "varian", "median"], "no stream has the tag 'varian'; there are variant"),
        (["median"] * 5, "at most 4 streams"),
        (["median", "--speed", "2"], "--no-wait shows all text at once: there is no --speed"),
    ],
)
def test_what_names_no_stream_is_told_with_what_does(
    replay: Call, args: list[str], words: str
) -> None:
    done = replay(*args)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_options_and_files_that_make_no_sense_are_refused(
    call: Call, log: Path, tmp_path: Path
) -> None:
    for args, words in (
        ([log, log], "is a file and no stream"),
        ([log, "--speed", "2"], "--speed is for streams that are shown: name one, such as median"),
        ([log, "median", "--speed", "0"], "--speed"),
        ([log, "median", "--stall", "nan"], "--stall"),
        ([tmp_path / "none.jsonl"], "no such file"),
        ([__file__, "median"], "neither a timeline log nor a recording"),
    ):
        done = call("replay", *args)
        assert done.code == 2, args
        assert words in done.err


def test_a_log_without_text_shows_bars(call: Call, tmp_path: Path) -> None:
    log = write(tmp_path / "l", [stream_lines("s", [0.1, 0.2], pieces=["four", "by"], text=False)])
    assert call("replay", log, "s", "--no-wait").out == "▬▬▬▬ ▬▬ "


def test_no_text_keeps_the_text_to_itself(replay: Call) -> None:
    assert replay("01B-two", "--no-text").out == "▬▬▬▬▬ ▬▬▬▬ "


class Clock:
    """Time that passes by sleeping alone; what was there at each sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, speed: float = 1.0) -> Pace:
        return Pace(speed, clock=lambda: self.now, sleep=self.sleep)


def test_pieces_come_when_they_came_and_the_ending_too(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    line = timeline([0.5, 0.5, 2.0], pieces=["a", "b", "c"], reads=[0, 0, 1], ended=3.0)
    play_plain([StreamReplay.of("s", line, 1.0)], clock.pace(2.0))
    assert clock.slept == pytest.approx([0.25, 0.75, 0.5])
    assert capsys.readouterr().out == "abc"


def screen(*lines: object, speed: float = 1.0) -> list[str]:
    """The pictures that a terminal of 60 cells shows, one after the other."""
    clock = Clock()
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=60, height=12, color_system=None, legacy_windows=False
    )
    play_beside(
        [StreamReplay.of(f"s{k}", line, 1.0) for k, line in enumerate(lines)],
        clock.pace(speed),
        console,
    )  # type: ignore[arg-type]
    return out.getvalue().split("╭─ s0")[1:]


def test_side_by_side_each_is_at_its_own_second() -> None:
    quick = timeline([0.2, 0.4], pieces=["Quick", " one"])
    slow = timeline([1.0, 3.0], pieces=["Slow", " one"], first_output=0.5, reasoning=True)
    pictures = screen(quick, slow)
    assert 61 <= len(pictures) <= 63  # 20 a second, and the last
    assert "Quick" in pictures[6]
    assert "one" not in pictures[6]
    assert "thinking … 0.2 s" in pictures[15]
    assert "✓ ended whole after 0.4 s" in pictures[15]
    assert "stalled, nothing comes …" in pictures[51]
    assert "│ 1.5 s" in pictures[51]
    assert "Slow one" in pictures[-1]


def test_a_long_text_is_shown_from_its_end_and_whole_at_last() -> None:
    words = [f"word{k:03d} " for k in range(200)]
    pictures = screen(timeline([k / 10 for k in range(200)], pieces=words), speed=10)
    assert "word000" not in pictures[-2]
    assert all(picture.count("\n") <= 12 for picture in pictures[:-1])
    assert all(word.strip() in pictures[-1] for word in words)


def test_what_a_model_wrote_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    hostile = timeline([0.1], pieces=[HOSTILE], failed=HOSTILE, phase=HOSTILE, stream=HOSTILE)
    (*_, last) = screen(hostile)
    assert "\x1b[2J" not in last
    assert "\x07" not in last
    play_plain([StreamReplay.of(HOSTILE, hostile, 1.0)], Pace(waits=False))
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_it_cleanly(log: Path) -> None:
    command = [sys.executable, "-m", "lm_deluge", "replay", str(log), "01B-three"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"Stall"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_the_log_is_not_changed_and_a_recorded_stream_is_the_one_in_the_log(
    replay: Call, log: Path
) -> None:
    before = log.read_bytes()
    (line,) = read_timelines(log, only=["01B-three"])
    assert replay("01B-three").out == (line.texts or {})[0]
    assert log.read_bytes() == before


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<svg"), ("A.GIF", b"GIF89a")])
def test_an_animation_is_written_and_written_over(
    call: Call, log: Path, tmp_path: Path, name: str, begins: bytes
) -> None:
    out = tmp_path / name
    for _ in range(2):
        done = call("replay", log, "--by", "variant", "A:median", "worst", "--out", out)
        assert (done.code, done.out) == (0, "")
        assert out.read_bytes().startswith(begins)
        assert f"lm-deluge: the picture is in {out} (" in done.err


def test_no_animation_goes_where_something_else_is(call: Call, log: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.svg"
    notes.write_text("my notes")
    logged = log.rename(tmp_path / "log.gif")
    for out, words in (
        (notes, "exists and is no SVG; it is not overwritten"),
        (tmp_path / "a.png", ".png; pictures are .svg and .gif"),
        (tmp_path / "a", "no suffix; pictures are .svg and .gif"),
        (tmp_path / "nowhere" / "a.svg", "there is no directory"),
        (logged, "exists and is no GIF"),
    ):
        done = call("replay", logged, "median", "--out", out)
        assert done.code == 2, out
        assert words in done.err
    assert notes.read_text() == "my notes"
    for args, words in (
        (["--out", tmp_path / "a.svg"], "--out is for streams that are shown: name one"),
        (["median", "--width", "500"], "--width is the width of an animation"),
        (["median", "--no-wait", "--out", tmp_path / "a.svg"], "there is no animation of it"),
        (["median", "--width", "10", "--out", tmp_path / "a.svg"], "--width"),
    ):
        done = call("replay", logged, *args)
        assert done.code == 2, args
        assert words in done.err
    assert not (tmp_path / "a.svg").exists()
