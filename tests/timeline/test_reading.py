"""Reading logs: whole, damaged, foreign, compressed, and from everywhere."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.logs.record import (
    encode,
    encode_lines,
    retry_line,
    token_line,
    tool_call_line,
)
from lm_deluge.timeline import Timeline, read_timelines
from lm_deluge.timeline.following.files import GrowingFiles
from support.programs import clean_environment
from support.timelines import stream_lines, write


def read(data: bytes, *, text: bool = True) -> tuple[list[Timeline], dict[str, tuple[int, str]]]:
    """Read bytes; return the timelines, and the skipped lines by reason with their first place."""
    file = io.BytesIO(data)
    file.name = "log"  # type: ignore[attr-defined]
    reader = read_timelines(file, text=text)
    timelines = list(reader)
    return timelines, {skip.reason: (skip.count, skip.first) for skip in reader.skipped}


def log(*streams: str) -> bytes:
    return b"".join(encode_lines(stream_lines(stream, [0.5, 0.75])) for stream in streams)


def test_all_that_was_written_comes_back() -> None:
    lines = stream_lines(
        "s", [0.5, 0.5, 0.75], tags={"variant": "B"}, reads=[3, 3, 5], pieces=["a", "é", "\n"],
        reasoning=[0.25], usage={"input_tokens": 9, "output_tokens": 6, "reasoning_tokens": 1},
        cost=0.5, ended=1.0, d=0.001, busy=0.002,
    )  # fmt: skip
    lines[1:1] = [retry_line("s", 0.1, error="RateLimitError", attempt=1, delay=0.05)]
    (timeline,), skipped = read(encode_lines(lines))
    assert skipped == {}
    assert timeline.stream == "s"
    assert (timeline.model, timeline.model_used, timeline.tags) == ("m", "m", {"variant": "B"})
    assert timeline.at == "2026-11-22T10:00:00+00:00"
    assert timeline.arrivals == [0.5, 0.5, 0.75]
    assert (list(timeline.slots), list(timeline.reads)) == ([0, 0, 1], [3, 5])
    assert list(timeline.lengths) == [1, 1, 1]
    assert timeline.texts == {0: "aé\n"}
    assert (timeline.ttft, timeline.ttfa, timeline.e2e) == (0.25, 0.5, 1.0)
    assert timeline.reasoning
    assert timeline.usage is not None
    assert (timeline.usage.input_tokens, timeline.usage.total_tokens) == (9, None)
    assert timeline.tokens_per_piece == pytest.approx(5 / 3)
    assert (timeline.cost, timeline.finish_reason, timeline.attempts) == (0.5, "stop", 1)
    assert list(timeline.lags) == [0.001] * 3
    assert list(timeline.busy) == [0.002] * 2


def test_a_content_free_log_gives_the_same_times_and_no_text() -> None:
    (whole,), _ = read(encode_lines(stream_lines("s", [0.5, 0.75])))
    (bare,), _ = read(encode_lines(stream_lines("s", [0.5, 0.75], text=False)))
    assert bare.texts is None
    assert bare.lengths == whole.lengths
    assert bare.gaps == whole.gaps


def test_text_can_be_dropped_while_reading() -> None:
    (timeline,), _ = read(log("s"), text=False)
    assert timeline.texts is None
    assert list(timeline.lengths) == [5, 5]


def test_interleaved_streams_do_not_mix() -> None:
    columns = [encode_lines(stream_lines(str(k), [k / 4, k / 2])).splitlines() for k in range(1, 9)]
    rows = [line for row in zip(*columns, strict=True) for line in row]
    timelines, skipped = read(b"\n".join(rows))
    assert skipped == {}
    assert {t.stream: t.arrivals for t in timelines} == {
        str(k): [k / 4, k / 2] for k in range(1, 9)
    }


def test_a_stream_is_handed_out_as_soon_as_its_ending_was_read() -> None:
    reader = read_timelines(io.BytesIO(log("first", "second")))
    assert next(reader).stream == "first"


def test_a_stream_without_ending_is_counted_and_kept() -> None:
    data = log("whole") + b"\n".join(log("killed").splitlines()[:2])
    reader = read_timelines(io.BytesIO(data))
    timelines = list(reader)
    assert [t.stream for t in timelines] == ["whole", "killed"]
    assert (timelines[1].ending, timelines[1].arrivals) == (None, [0.5])
    assert reader.unfinished == 1


def test_half_lines_foreign_lines_and_newer_versions_are_skipped_and_counted() -> None:
    lines = log("s").splitlines()
    data = b"\n".join([
        lines[0],
        lines[1][:30],                                  # 2: a killed process
        b"",                                            # 3: its successor begins with a newline
        lines[1],
        b"\xff\xfe{}",                                  # 5: not UTF-8
        b"[1, 2]",                                      # 6: JSON of somebody else
        b'{"v":1,"e":"token","s":"s"}',                 # 7: without a time
        b'{"v":1,"e":"token","s":"s","t":"soon"}',      # 8
        b'{"v":1,"e":"token","s":"s","t":-1}',          # 9
        b'{"v":1,"e":"warning","s":"s","t":1}',         # 10: no event of this version
        b'{"v":0,"e":"token","s":"s","t":0.6}',         # 11
        b'{"v":2,"e":"token","s":"s","t":1,"new":{}}',  # 12
        b'{"v":3,"e":["other"],"shape":1}',             # 13
        b'{"a":' + b"[" * 100_000,                      # 14
        *lines[2:],
    ])  # fmt: skip
    (timeline,), skipped = read(data)
    assert timeline.completed
    assert timeline.arrivals == [0.5, 0.75]
    assert skipped == {
        "not a line of a timeline log": (6, "log:6"),
        "half or damaged line": (3, "log:2"),
        "written by a newer version (schema above 1)": (2, "log:12"),
    }


def test_repeated_late_and_backward_lines_are_skipped_and_counted() -> None:
    start, first, second, end = log("s").splitlines()
    back = encode(token_line("s", 0.1, 1, "x", 2))
    data = b"\n".join([start, start, first, first, back, second, end, second, end, start])
    (timeline,), skipped = read(data)
    assert timeline.arrivals == [0.5, 0.75]
    assert skipped == {
        "after the ending of its stream": (3, "log:8"),
        "event seen before": (2, "log:2"),
        "time runs backwards within its stream": (1, "log:5"),
    }


def test_the_same_log_twice_is_one_log(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [stream_lines("s", [0.5])])
    assert len(list(read_timelines([path, str(path), tmp_path / "*.jsonl"]))) == 1


def test_missing_token_lines_are_counted() -> None:
    lines = encode_lines(stream_lines("s", [0.1, 0.2, 0.3, 0.4, 0.5])).splitlines()
    del lines[2:4]
    (timeline,), skipped = read(b"\n".join(lines))
    assert (timeline.lost, len(timeline), skipped) == (2, 3, {})


def test_a_log_that_lost_a_streams_beginning_keeps_the_rest() -> None:
    (timeline,), _ = read(b"\n".join(log("s").splitlines()[1:]))
    assert (timeline.model, timeline.model_used, timeline.at) == (None, "m", None)
    assert timeline.arrivals == [0.5, 0.75]


def test_a_stream_of_tool_calls_has_output_and_no_tokens() -> None:
    lines = stream_lines("s", [], ended=2.0)
    lines[1:1] = [tool_call_line("s", 0.5, index=0, name="f", length=3)]
    (timeline,), _ = read(encode_lines(lines))
    assert (timeline.ttft, timeline.ttfa, len(timeline)) == (0.5, None, 0)


@pytest.mark.parametrize(
    ("kind", "ttft"), [("server_tool", 0.2), ("citation", 0.5), ("tool_result", 0.5), ("new", 0.5)]
)
def test_only_a_servers_tool_is_output_among_the_other_deltas(kind: str, ttft: float) -> None:
    lines = encode_lines(stream_lines("s", [0.5])).splitlines()
    lines.insert(1, b'{"v":1,"e":"delta","s":"s","t":0.2,"kind":"%b","len":3}' % kind.encode())
    (timeline,), skipped = read(b"\n".join(lines))
    assert (skipped, timeline.ttft, timeline.reasoning) == ({}, ttft, False)


def test_what_a_proxy_and_a_browser_tell_is_read_past() -> None:
    aside = [
        b'{"v":1,"e":"request","s":"r","t":0.1,"model":"m","status":200,"wait":0.1,"bytes":9}',
        b'{"v":1,"e":"note","s":"s","t":0.2,"offset":3,"what":"?"}',
        b'{"v":1,"e":"seen","s":"s","t":9.9,"r":0,"i":[0,1],"arrived":[1,2],'
        b'"painted":[1.5,null],"hidden":false,"bound":0.01}',
    ]
    timelines, skipped = read(b"\n".join([*aside, *log("s").splitlines(), *aside]))
    assert (len(timelines), skipped) == (1, {})


def test_foreign_logs_without_index_read_and_lag_can_be_read() -> None:
    lines = [
        {"v": 1, "e": "start", "s": "s", "t": 0, "model": "m"},
        {"v": 1, "e": "token", "s": "s", "t": 1, "text": "a"},
        {"v": 1, "e": "token", "s": "s", "t": 2, "text": "b"},
        {"v": 1, "e": "complete", "s": "s", "t": 2},
    ]
    (timeline,), skipped = read("\n".join(map(json.dumps, lines)).encode())
    assert skipped == {}
    assert timeline.gaps == [1.0]
    assert (timeline.coalescing, timeline.handlers, timeline.usage) == (None, None, None)
    assert timeline.loop_lag is None


def test_several_choices_are_kept_apart() -> None:
    lines = stream_lines("s", [0.1, 0.2, 0.3, 0.4], pieces=["a", "X", "b", "Y"])
    for line in (lines[2], lines[4]):
        line.choice = 1  # type: ignore[attr-defined]
    (timeline,), _ = read(encode_lines(lines))
    assert timeline.texts == {0: "ab", 1: "XY"}
    assert list(timeline.choices) == [0, 1, 0, 1]


def test_long_answers_keep_their_text() -> None:
    pieces = [f"{k} " for k in range(5_000)]
    arrivals = [k / 1_000 for k in range(5_000)]
    (timeline,), _ = read(encode_lines(stream_lines("s", arrivals, pieces=pieces)))
    assert timeline.texts == {0: "".join(pieces)}


def test_blocks_cut_lines_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    data = log(*map(str, range(5))) + b"half"
    whole = [t.arrivals for t in read(data)[0]]
    for size in (1, 2, 3, 7, 64, 1000):
        monkeypatch.setattr("lm_deluge.timeline.log_files.CHUNK", size)
        timelines, skipped = read(data)
        assert [t.arrivals for t in timelines] == whole
        assert skipped == {"half or damaged line": (1, "log:21")}


def test_an_endless_line_costs_no_memory_and_the_next_keeps_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lm_deluge.timeline.log_files.CHUNK", 64)
    monkeypatch.setattr("lm_deluge.timeline.log_files._LONGEST_LINE", 1000)
    data = log("a") + b"x" * 5_000 + b"\nhalf\n" + log("b") + b"y" * 5_000
    timelines, skipped = read(data)
    assert [t.stream for t in timelines] == ["a", "b"]
    assert skipped == {
        "line longer than 64 MB": (2, "log:5"),
        "half or damaged line": (1, "log:6"),
    }


def test_compressed_logs_are_told_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(log("a", "b")))
    assert len(list(read_timelines(path))) == 2


def test_a_cut_compressed_log_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    noise = random.Random(1)
    many = [stream_lines(f"{noise.random()}", [0.5, noise.random() + 1]) for _ in range(2_000)]
    path.write_bytes(gzip.compress(b"".join(map(encode_lines, many)))[:-5_000])
    reader = read_timelines(path)
    assert len(list(reader)) > 1_000
    assert "compressed data damaged or cut" in {skip.reason for skip in reader.skipped}


def test_globs_pipes_and_standard_input(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", [stream_lines("b", [0.5])])
    write(tmp_path / "a.jsonl", [stream_lines("a", [0.5])])
    assert [t.stream for t in read_timelines(str(tmp_path / "*.jsonl"))] == ["a", "b"]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(gzip.compress(log("c")),))
    writer.start()
    assert [t.stream for t in read_timelines(fifo)] == ["c"]
    writer.join()
    program = "from lm_deluge.timeline import *; print([t.stream for t in read_timelines('-')])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=log("d"), capture_output=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == b"['d']"


def test_a_path_or_pattern_without_a_file_is_an_error_at_once(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.jsonl", str(tmp_path / "*.nothing")):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read_timelines(missing)


def test_an_empty_log_has_no_streams() -> None:
    assert read(b"") == ([], {})
    assert read(b"\n\n  \n") == ([], {})


@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=8)), max_size=20))
def test_any_damage_is_survived_and_every_line_is_accounted_for(
    damage: list[tuple[int, bytes]],
) -> None:
    data = bytearray(log(*map(str, range(6))))
    for place, noise in damage:
        at = place % len(data)
        data[at : at + len(noise)] = noise
    reader = read_timelines(io.BytesIO(bytes(data)))
    timelines = list(reader)
    assert reader.lines == sum(bool(line.strip()) for line in bytes(data).split(b"\n"))
    assert reader.skipped_lines <= reader.lines
    for timeline in timelines:
        assert len(timeline.gaps) >= len(timeline) - 1
        assert timeline.qoe() is None or 0 <= timeline.qoe() <= 1  # type: ignore[operator]


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(data: bytes) -> None:
    assert list(read_timelines(io.BytesIO(data))) == [], "a stream in bytes that name none"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_the_mark_before_a_text_of_windows_is_no_part_of_its_first_line(
    tmp_path: Path, bom: bytes
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(bom + encode_lines(stream_lines("one", [0.1, 0.2], model="first")))
    reader = read_timelines(log)
    assert [one.model for one in reader] == ["first"]
    assert reader.skipped_lines == 0
    followed = GrowingFiles([str(log)])
    assert followed.poll(0.0)[0].startswith(b'{"v":1,"e":"start"')
    followed.close()
