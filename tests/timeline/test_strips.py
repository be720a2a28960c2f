"""The chart of single streams: which are drawn, what is said of the choice, and that none falls off."""

from __future__ import annotations

import re
from typing import Any

from lm_deluge.timeline import Sample, Timeline, measure
from lm_deluge.timeline.report.strips import strips_part
from support.timelines import timeline


def drawn(*streams: Timeline) -> dict[str, Any]:
    sample = Sample()
    return strips_part(measure(streams, keep=sample.keep), sample)


def many(n: int, failed: int = 0, stalled: int = 0) -> list[Timeline]:
    """Streams of which some failed and others stalled."""
    made = [timeline([0.2, 0.3], stream=f"whole-{k}") for k in range(n - failed - stalled)]
    made += [
        timeline([0.2, 0.3], failed="E", ended=0.4, stream=f"failed-{k}") for k in range(failed)
    ]
    return made + [timeline([0.2, 2.0 + k / 100], stream=f"stalled-{k}") for k in range(stalled)]


def test_a_red_cross_is_for_what_broke_and_not_for_a_reader_who_left() -> None:
    part = drawn(
        timeline([0.5, 1.0]),
        timeline([0.5], failed="ConnectionLostError", phase="between_tokens"),
        timeline([], ended=1.0, failed="APITimeoutError"),
        timeline([0.5], failed="StreamCancelled", phase="between_tokens"),
        timeline([0.5], ending=None),
    )
    (block,) = part["strips"][0].blocks
    assert [row[4] for row in block.told["rows"]] == [
        "whole", "the reader left after some text", "no ending in the log",
        "the connection broke after some text (ConnectionLostError)",
        "no answer at all: the wait was too long (APITimeoutError)",
    ]  # fmt: skip
    assert [int(mark.top // block.pitch) for mark in block.broken] == [2, 3, 4]


def test_all_of_a_few_streams_are_drawn() -> None:
    (strip,) = drawn(*many(60, failed=3))["strips"]
    assert strip.chosen == "All 60 streams."
    assert [block.title for block in strip.blocks] == ["3 failed, 0 stalled"]


def test_rows_by_chance_keep_proportions_apart_from_the_worst_and_say_so() -> None:
    (strip,) = drawn(*many(1_000, failed=200, stalled=100))["strips"]
    assert strip.chosen == (
        "60 of 1,000 streams are drawn: 50 by chance, and the 10 others with the longest silences."
    )
    by_chance, worst = strip.blocks
    failed = [row[0] for row in by_chance.told["rows"] if row[0].startswith("failed")]
    stalled = [row[0] for row in by_chance.told["rows"] if row[0].startswith("stalled")]
    assert by_chance.title == (
        f"50 by chance: {len(failed)} failed (of all 20 %), {len(stalled)} stalled (of all 10 %)"
    )
    assert 4 <= len(failed) <= 17  # 20 % of 50, within 2.5 standard deviations
    assert worst.title == "The 10 others with the longest silences"
    assert {row[0].partition("-")[0] for row in worst.told["rows"]} == {"stalled"}


def test_the_axis_reaches_every_ending() -> None:
    part = drawn(*many(50), timeline([0.3], failed="E", ended=1.4), timeline([], ended=1.3))
    assert part["clipped"] == 0
    (block,) = part["strips"][0].blocks
    (mark,) = block.broken
    assert 0 < mark.left < 100
    assert re.findall(r"h(\d+)", block.bodies)


def test_an_outlier_leaves_the_axis_with_an_arrow_and_its_seconds() -> None:
    part = drawn(*many(50), timeline([0.3, 0.4], failed="E", ended=600.0))
    (block,) = part["strips"][0].blocks
    assert (part["clipped"], part["longest"]) == (1, "600 s")
    assert [mark.text for mark in block.beyond] == ["→ × 600 s"]
    assert [mark.left for mark in block.broken] == [100.0]


def test_neighbours_that_leave_the_axis_share_a_label() -> None:
    slow = [timeline([0.3], failed="E", ended=600.0 + k) for k in range(2)]
    part = drawn(*many(58), *slow)
    (block,) = part["strips"][0].blocks
    assert [mark.text for mark in block.beyond] == ["→ × 600 s to 601 s (2)"]


def test_pieces_that_cannot_be_told_apart_are_merged_and_it_is_said_how_close() -> None:
    dense = drawn(timeline([0.2 + k / 10_000 for k in range(90_000)]))
    assert dense["merged"] == "4.78 ms"
    (block,) = dense["strips"][0].blocks
    assert len(block.ticks) < 100
    assert drawn(timeline([0.2, 0.5, 0.9]))["merged"] == ""


def test_all_stalls_are_marked_and_the_text_of_the_longest_is_kept() -> None:
    stalling = [timeline([k * 2.0 for k in range(60)], stream=str(k)) for k in range(30)]
    (strip,) = drawn(*stalling)["strips"]
    (block,) = strip.blocks
    assert block.stalls.count("M") == 30 * 59
    assert len(block.told["stalls"]) == 1_001


def test_a_silent_group_and_one_that_begins_at_once_are_drawn() -> None:
    part = drawn(timeline([], ended=0.0, failed="E"), timeline([0.0], ended=0.0))
    assert len(part["strips"][0].blocks[0].told["rows"]) == 2
