"""The part of the page that replays streams: what it holds, in how many bytes, without harm."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from lm_deluge.timeline import Sample, Timeline, compare_all, measure
from lm_deluge.timeline.report.rendering import render
from lm_deluge.timeline.report.wanted import wanted_ids
from lm_deluge.timeline.report.watch import MOST_BYTES, watch_part
from lm_deluge.timeline.report.watched import watched_ids
from support.timelines import timeline

HOSTILE = "</script><script>window.hacked = 1</script><!--"


def part_of(lines: Sequence[Timeline], by: str | None = "variant") -> dict[str, Any]:
    sample = Sample()
    measured = measure(lines, by=by, keep=sample.keep)
    part = watch_part(measured, sample, colors={"A": "#123456"})
    assert part is not None
    return part


def data_of(part: dict[str, Any]) -> Any:
    return json.loads(str(part["data"]))


def line(stream: str, variant: str, *arrivals: float, **fields: Any) -> Timeline:
    return timeline(arrivals, stream=stream, tags={"variant": variant}, **fields)


def several() -> list[Timeline]:
    return [
        *(line(f"a{k}", "A", 0.5 + k / 10, 2.0 + k / 10) for k in range(5)),
        *(line(f"b{k}", "B", 0.3 + k / 10, 1.0, 1.5 + k / 10) for k in range(5)),
        line("b-stalls", "B", 0.9, 9.0),
        line("b-broke", "B", 0.5, ended=1.0, failed="ConnectionLostError"),
        line("a-left", "A", 0.5, ended=1.0, failed="StreamCancelled"),
    ]


def shown(data: Any, key: str) -> list[str]:
    (preset,) = [preset for preset in data["presets"] if preset["key"] == key]
    return [data["streams"][place]["id"] for place in preset["shown"]]


def test_of_each_group_there_are_the_median_the_worst_and_a_broken_one() -> None:
    part = part_of(several())
    data = data_of(part)
    assert shown(data, "median") == ["a2", "b2"]
    assert shown(data, "worst")[1] == "b-stalls"
    assert shown(data, "broken") == ["b-broke"]
    assert part["broken_note"] == "No answer of A broke."
    assert {stream["id"] for stream in data["streams"]} == {one.stream for one in several()}
    labels = {stream["id"]: stream["label"] for stream in data["streams"]}
    assert (labels["a-left"], labels["b-stalls"]) == (
        "cancelled",
        "longest silence, slow to begin",
    )
    assert data["groups"][0] == {"name": "A", "color": "#123456"}


def test_what_is_needed_for_the_picture_is_there_to_the_microsecond() -> None:
    (stream,) = data_of(
        part_of([line("s", "A", 0.1234567, 1.5, first_output=0.1, pieces=["a", "b"])])
    )["streams"]
    assert stream["gaps"] == [123457, 1376543]
    assert stream["texts"] == ["a", "b"]
    assert (stream["first"], stream["text"], stream["end"]) == (100000, 123457, 1500000)
    assert stream["stalls"] == [[123457, 1376543]]


def test_five_groups_show_the_four_largest_and_all_can_be_chosen() -> None:
    lines = [line(f"{v}{k}", v, 0.5, 1.0) for v in "ABCDE" for k in range(1 if v == "B" else 3)]
    part = part_of(lines)
    data = data_of(part)
    assert shown(data, "median") == ["A0", "C0", "D0", "E0"]
    assert "B0" in {stream["id"] for stream in data["streams"]}
    assert "the 4 largest of 5 groups" in part["groups_note"]


def test_long_answers_of_many_groups_stay_within_the_bytes_and_say_what_is_cut() -> None:
    pieces = ["жук " * 3] * 4_000
    lines = [
        line(f"{v}{k}", v, *(0.001 * i for i in range(4_000)), pieces=pieces)
        for v in "ABCDEFGHIJ"
        for k in range(3)
    ]
    data = part_of(lines)["data"]
    assert MOST_BYTES / 3 < len(data.encode("utf-8")) <= MOST_BYTES * 1.01
    streams = json.loads(str(data))["streams"]
    assert len(streams) >= 4
    assert all(stream["cut"] and "is not in this page" in stream["notes"][-1] for stream in streams)


def test_one_long_answer_is_shown_whole() -> None:
    lines = [line("s", "A", *(0.001 * k for k in range(3_000)), pieces=["word "] * 3_000)]
    (stream,) = data_of(part_of(lines))["streams"]
    assert not stream["cut"]
    assert len(stream["texts"]) == 3_000


def test_a_log_without_text_has_bars_and_says_so() -> None:
    (stream,) = data_of(part_of([line("s", "A", 0.1, 0.2, pieces=["abc", "d"], texts=None)]))[
        "streams"
    ]
    assert stream["lengths"] == [3, 1]
    assert "texts" not in stream
    assert "each bar is a piece" in stream["notes"][0]


def test_hostile_content_stays_data() -> None:
    line_of_it = timeline(
        [0.1, 0.2], pieces=[HOSTILE, "\ud83d"], stream=HOSTILE, model=HOSTILE,
        tags={"variant": HOSTILE}, failed=HOSTILE, phase=HOSTILE, ended=1.0,
    )  # fmt: skip
    part = part_of([line_of_it])
    html = render("watch.html", {"watch": part, "kind": "variant", "nonce": "n"})
    assert html.count("<script") == html.count("</script") == 1
    assert "<!--" not in html
    (stream,) = data_of(part)["streams"]
    assert stream["texts"] == [HOSTILE, "\ud83d"]
    html.encode("utf-8")


def test_every_stream_is_told_in_words_without_a_script() -> None:
    html = render("watch.html", {"watch": part_of(several()), "kind": "variant", "nonce": "n"})
    words = re.sub(r"<script.*", "", html, flags=re.DOTALL)
    assert (
        "First text after 0.9 s, one silence above 1 s (8.1 s), ended whole after 9.0 s." in words
    )
    assert words.count("<tr>") == len(several()) + 1


def test_one_that_broke_is_read_for_it_even_where_a_sample_has_none() -> None:
    lines = [line(f"s{k}", "A", 0.5, 1.0 + k / 1000) for k in range(900)]
    lines[700] = line("broke", "A", 0.5, ended=0.6, failed="ConnectionLostError")
    measured = measure(lines, by="variant")
    sample = Sample.of(measured)
    assert "broke" not in sample.ids
    wanted = wanted_ids(measured, None, compare_all(measured))
    assert set(watched_ids(measured, None, compare_all(measured))) == {"broke"}
    assert "broke" in wanted
    sample.fill(each for each in lines if each.stream in sample.ids | wanted)
    part = watch_part(measured, sample)
    assert part is not None
    assert shown(data_of(part), "broken") == ["broke"]


def test_beside_a_group_stands_what_it_was_in_the_baseline() -> None:
    now, before = Sample(), Sample()
    measured = measure(several(), by="variant", keep=now.keep)
    was = [line(f"old{k}", "A", 0.9, 3.0 + k / 10) for k in range(3)]
    old = measure([*was, line("gone", "Z", 0.5, 1.0)], by="variant", keep=before.keep)
    part = watch_part(measured, now, before=(old, before))
    assert part is not None
    data = data_of(part)
    assert [group["name"] for group in data["groups"]] == ["A, baseline", "A", "B"]
    assert shown(data, "median") == ["old1", "a2"]
    assert "b-broke" in {stream["id"] for stream in data["streams"]}


def test_where_no_stream_was_kept_nothing_is_shown() -> None:
    assert watch_part(measure([timeline([0.1])]), Sample()) is None
