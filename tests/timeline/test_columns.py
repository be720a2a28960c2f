"""A log measured by columns gives what its timelines give one by one, whatever is in the log."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.logs.record import (
    Line,
    complete_line,
    delta_line,
    encode,
    encode_lines,
    error_line,
    piece_line,
    retry_line,
    start_line,
    token_line,
    tool_call_line,
)
from lm_deluge.timeline import Settings, measure, parse_target, read_timelines
from support.roads import assert_same_on_both_roads
from support.timelines import streams

TEXTS = [
    " word",
    "",
    "é",
    'say "no"',
    "a\\b",
    "\n\t",
    "\u2028",
    "x" * 300,
    "\x01",
    "}",
    '","read":9',
    None,
]
IDS = ["s1", "01J8ZK3V6WQ5N9T2B7X4C1D0EF", "é", 'q"', "x" * 41, "1.5", ""]


@st.composite
def one_stream(draw: st.DrawFn, name: str) -> list[Line]:
    """The lines of a stream, all kinds of events among them."""
    lines: list[Line] = []
    if draw(st.integers(0, 5)):
        lines.append(
            start_line(
                name, model="m", at=draw(st.sampled_from(["2026-11-22T10:00:00+00:00", "?"])),
                base_url="http://h", tags={"variant": draw(st.sampled_from("AB"))}, prompt_chars=4,
            )
        )  # fmt: skip
    t, read, counts = 0.25, 0, {"token": 0, "reasoning": 0, "refusal": 0}
    for _ in range(draw(st.integers(0, 9))):
        t += draw(st.sampled_from([0.0, 0.000001, 0.04, 0.25, 1.0, 1.5, 123.456789]))
        read += draw(st.integers(0, 2))
        kind = draw(
            st.sampled_from(["token"] * 5 + ["reasoning", "refusal", "tool", "delta", "retry"])
        )
        if kind == "tool":
            lines.append(tool_call_line(name, t, index=0, name="f", length=3))
        elif kind == "delta":
            which = draw(st.sampled_from(["citation", "server_tool"]))
            lines.append(delta_line(name, t, kind=which, length=2))
        elif kind == "retry":
            lines.append(retry_line(name, t, error="RateLimitError", attempt=1, delay=0.1))
        else:
            text = draw(st.sampled_from(TEXTS))
            lines.append(
                piece_line(
                    kind, name, t, counts[kind], text, draw(st.sampled_from([read] * 4 + [None])),  # type: ignore[arg-type]
                    draw(st.sampled_from([None, 0.0, 0.00001, 0.3])),
                    draw(st.sampled_from([None, 0.0, 0.002, 1.5])),
                    draw(st.sampled_from([0, 0, 0, 1])), 5,
                )
            )  # fmt: skip
            counts[kind] += draw(st.sampled_from([1] * 9 + [3]))
    end = t + draw(st.sampled_from([0.0, 0.5, 2.0]))
    busy = draw(st.sampled_from([None, 0.5]))
    how = draw(st.sampled_from(["complete", "complete", "failed", "cancelled", None]))
    if how == "complete":
        usage = draw(
            st.sampled_from(
                [None, {"output_tokens": 12}, {"output_tokens": 9, "reasoning_tokens": 4}]
            )
        )
        lines.append(
            complete_line(
                name, end, model="m-1", finish_reason="stop", usage=usage,
                cost=draw(st.sampled_from([None, 0.25])), response_id=None,
                attempts=draw(st.integers(1, 2)), busy=busy,
            )
        )  # fmt: skip
    elif how is not None:
        error = "StreamCancelled" if how == "cancelled" else "ConnectionLostError"
        lines.append(
            error_line(
                name, end, error=error, phase="between_tokens", tokens=3, attempts=1, busy=busy
            )
        )
    return lines


NOISE = [b'"', b"\\", b"}", b"\x00", b"\xe9", b" ", b"9", b".", b"-", b"\r"]
FOREIGN = [b"", b"  ", b"half", b'{"v":1,"e":"token","s":"s1","t":0.', b"\xff\xfe", b"[1]", b"{}",
           b'{"v":2,"e":"token","s":"s1","t":1}', b'{"v":1,"e":"warning","s":"s1","t":1}',
           b'{"v":1,"e":"token","s":"s1","t":-1,"i":0}', b'{"v":1,"e":"token","s":"s1","t":01.5,"i":1}',
           b'{"v":1,"e":"note","s":"s1","t":1}', b'{"v":1,"e":"request","s":"s9","t":0.1}',
           b'{"v":1,"e":"reasoning","s":"s1","t":900,"i":0,"model":3}',
           b'{"t": 9.25, "s": "s1", "e": "token", "v": 1, "text": "spaced"}',
           b'{"v":1,"e":"token","s":"s1","t":1e3,"i":7,"text":"late","read":900}',
           b'{"v":1,"e":"token","s":"s1","t":1,"i":7,"text":"\\ud800","read":900}',
           b'{"v":1,"e":"token","s":"s1","t":800.5,"i":12345678901,"text":"x"}',
           b'{"v":1,"e":"token","s":"s1","t":800.5,"i":1,"text":"x","extra":1}',
           b'{"v":1,"e":"token","s":"s1","t":800.5,"i":1,"i":9,"text":"x"}',
           b'{"v":1,"e":"token","s":"s1","t":800.5,"i":1,"text":null,"read":null}',
           b'{"v":1,"e":"close","s":"s1","t":3}']  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Logs of interleaved streams, with lines repeated, lost, moved, damaged and added."""
    names = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=True))
    left = [encode_lines(draw(one_stream(name))).splitlines() for name in names]
    lines: list[bytes] = []
    while any(left):
        column = draw(st.sampled_from([column for column in left if column]))
        lines.append(column.pop(0))
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.integers(0, max(len(lines) - 1, 0)))
        what = draw(st.sampled_from(["twice", "drop", "move", "cut", "noise", "add", "add"]))
        if what == "add" or not lines:
            lines.insert(place, draw(st.sampled_from(FOREIGN)))
        elif what == "twice":
            lines.insert(draw(st.integers(0, len(lines))), lines[place])
        elif what == "drop":
            del lines[place]
        elif what == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
        elif what == "cut":
            lines[place] = lines[place][: draw(st.integers(0, 80))]
        else:
            at = draw(st.integers(0, max(len(lines[place]) - 1, 0)))
            noise = draw(
                st.sampled_from(
                    [b'"', b"\\", b"}", b"\x00", b"\xe9", b" ", b"9", b".", b"-", b"\r"]
                )
            )
            lines[place] = lines[place][:at] + noise + lines[place][at + draw(st.integers(0, 1)) :]
    cut = draw(st.integers(0, len(lines)))
    return [b"\n".join(lines[:cut]), b"\n".join(lines[cut:])]


OPTIONS = Settings(
    stall=0.9, read_rate=3.0, expected_ttft=0.5,
    targets=(parse_target("ttft<=0.5"), parse_target("gap.p90<=1.2"), parse_target("rate>1")),
)  # fmt: skip


@settings(max_examples=30, deadline=None)  # many more below
@given(logs(), st.sampled_from([None, OPTIONS]), st.sampled_from(["variant", None]))
def test_columns_and_timelines_agree_on_any_log(
    parts: list[bytes], options: Settings | None, by: str | None
) -> None:
    assert_same_on_both_roads(*parts, by=by, settings=options)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(logs(), st.sampled_from([None, OPTIONS]), st.sampled_from([1, 7, 64, 300]))
def test_columns_and_timelines_agree_on_many_logs_however_they_are_cut(
    parts: list[bytes], options: Settings | None, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_deluge.timeline.log_files.CHUNK", size)
        patch.setattr("lm_deluge.timeline.columnar.collecting._WORTH", size)
        assert_same_on_both_roads(*parts, settings=options)


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_streams_that_are_measured_in_many_batches_are_measured_once(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("lm_deluge.timeline.log_files.CHUNK", max(size, 200))
    monkeypatch.setattr("lm_deluge.timeline.columnar.collecting._WORTH", size)
    columns = [encode_lines(lines).splitlines() for lines in streams(5, n=30)]
    numbers = random.Random(4)
    rows: list[bytes] = []
    while columns:
        column = numbers.choice(columns)
        rows.append(column.pop(0))
        columns = [column for column in columns if column]
    measured = assert_same_on_both_roads(b"\n".join(rows))
    assert sum(group.streams for group in measured.groups.values()) == 30
    assert sum(group.tokens for group in measured.groups.values()) == 600


def usual(**fields: Any) -> bytes:
    line = {"v": 1, "e": "token", "s": "s", "t": 0.5, "i": 0, "text": "x", "read": 1}
    return json.dumps({**line, **fields}, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_usual_lines_are_read_into_columns_and_no_others_are() -> None:
    from lm_deluge.timeline.columnar.lines import lines_of

    kept = [
        encode(token_line("s", 1.23, 17, " hello", 12, 1e-5, 0.25, 1)),
        encode(token_line("s", 0.0, 0, None, 12, None, None, 0, 5)),
        encode(piece_line("reasoning", "é" * 10, 123456.123456, 99, "\n", 3)),
        encode(piece_line("refusal", "r", 0.000035, 1, '"', 3)),
        usual(text="é"), usual(t=3), usual(d=0.5), usual(text='a "quoted" word'),
    ]  # fmt: skip
    others = [
        usual(text="\\"), usual(t=0.1234567891), usual(i=-1), usual(s="x" * 41), usual(more=1),
        usual(t="1"), usual(d=-0.5), usual(i=1.5), usual(v=2), usual(e="start"), usual()[:-1], b"",
        usual() + b" ", usual().replace(b":1,", b": 1,"), usual(text=None), usual(d=None),
    ]  # fmt: skip
    lines = lines_of(b"\n".join([*kept, *others]))
    assert lines.places.tolist() == list(range(len(kept)))
    assert [data for _, data in lines.others] == others
    assert lines.t.tolist() == [1.23, 0.0, 123456.123456, 0.000035, 0.5, 3.0, 0.5, 0.5]
    assert lines.i.tolist() == [17, 0, 99, 1, 0, 0, 0, 0]
    assert [lines.ids[k].decode() for k in lines.streams.tolist()] == ["s", "s", "é" * 10, "r"] + [
        "s"
    ] * 4


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=50), st.booleans())
def test_numbers_are_read_as_json_reads_them(numbers: list[float], rounded: bool) -> None:
    from lm_deluge.timeline.columnar.lines import lines_of

    if rounded:
        numbers = [round(number, 6) for number in numbers]
    data = [usual(t=number, i=place) for place, number in enumerate(numbers)]
    lines = lines_of(b"\n".join(data))
    assert [numbers[place] for place in lines.places.tolist()] == lines.t.tolist()
    if rounded and len(str(max(numbers))) < 15:
        assert len(lines.places) > 0 or min(numbers) < 1e-4


@pytest.mark.parametrize("n", [1, 300])
def test_many_streams_in_one_block_are_kept_apart_by_their_ids(n: int) -> None:
    data = b"\n".join(usual(s=f"{'x' * (k % 9)}{k}", t=float(k)) for k in range(n))
    reader = read_timelines(io.BytesIO(data + b"\n" + data))
    assert measure(reader).groups["(unknown model)"].streams == n
