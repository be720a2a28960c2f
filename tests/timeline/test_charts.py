"""The charts of groups: every event lies on their axes, and a curve that ends early says why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from lm_deluge.timeline import Group, Sample, Timeline, measure
from lm_deluge.timeline.report.axes import Axis, seconds_axis
from lm_deluge.timeline.report.charts import Chart, began, charts_part, delivered, silences
from support.timelines import timeline


def groups_of(*streams: Timeline, by: str | None = None) -> tuple[list[Group], Sample]:
    sample = Sample()
    measured = measure(streams, by=by, keep=sample.keep)
    return list(measured.groups.values()), sample


def numbers(path: str) -> list[tuple[int, int]]:
    """The corners of a path, in its units."""
    x = y = 0
    corners = []
    for letter, first, second in re.findall(r"([MLHV])(\d+)(?: (\d+))?", path):
        if letter == "H":
            x = int(first)
        elif letter == "V":
            y = int(first)
        else:
            x, y = int(first), int(second)
        corners.append((x, y))
    return corners


TAIL = [
    *(timeline([0.3 + k / 100, 0.5 + k / 100], stream=f"s{k}") for k in range(30)),
    timeline([30.0, 100.0], failed="E", ended=400.0),
    timeline([], failed="E", ended=600.0),
]


@pytest.mark.parametrize("streams", [TAIL[:30], TAIL, TAIL[-1:], TAIL[-2:], [timeline([0.0, 0.0])]])
def test_every_first_output_gap_and_ending_lies_on_the_axes(streams: Sequence[Timeline]) -> None:
    groups, sample = groups_of(*streams)
    for chart, name in ((began(groups), "ttft"), (silences(groups), "gap")):
        for value in groups[0].values(name):
            assert chart.x.low <= max(value, 0.001 if chart.x.is_log else 0) <= chart.x.high
    chart = delivered(groups, sample)
    assert all(
        chart.x.low <= stream.ending.t <= chart.x.high for stream in streams if stream.ending
    )
    for curve in chart.curves:
        assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in curve.breaks)
        assert all(0 <= x <= 2_000 and 0 <= y <= 1_000 for x, y in numbers(curve.line))


def test_a_tail_that_would_squash_the_rest_makes_the_axis_logarithmic() -> None:
    assert not seconds_axis(np.array([0.2, 0.3, 0.9])).is_log
    assert seconds_axis(np.array([0.2] * 20 + [30.0])).is_log
    groups, _ = groups_of(*TAIL)
    assert began(groups).x_label == "seconds since the request (logarithmic)"


@given(
    some.lists(some.floats(0, 1e5), min_size=1, max_size=40),
    some.sampled_from([None, True, False]),
)
def test_any_seconds_lie_inside_their_axis_and_have_ticks(
    values: list[float], log: bool | None
) -> None:
    axis = seconds_axis(np.array(values), log=log)
    assert axis.low < axis.high
    floor = axis.low if axis.is_log else 0.0
    assert all(floor <= max(value, floor) <= axis.high for value in values)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 9
    assert all(0 <= tick.at <= 100 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert not ticks[-1].is_minor


def test_a_curve_that_ends_below_all_streams_says_how_many_never_began() -> None:
    streams = [timeline([0.5, 0.6]), timeline([0.7]), timeline([], failed="E", ended=9.0)]
    chart = began(groups_of(*streams)[0])
    (curve,) = chart.curves
    assert curve.edge == "1 never began"
    assert "1 of 3 never began" in curve.note
    assert numbers(curve.line)[-1][1] == 1_000 - round(2 / 3 / 1.02 * 1_000)
    assert curve.tail.endswith("H2000")  # as far as the edge, where the label is
    assert "1 of 3 never began" in chart.label(chart.curves)


def test_labels_at_the_edge_lie_apart() -> None:
    streams = [
        timeline([0.5] if k % 3 else [], tags={"t": name}, failed=None if k % 3 else "E")
        for name in "ABCD"
        for k in range(9)
    ]
    heights = [label.height for label in began(groups_of(*streams, by="t")[0]).labels]
    assert len(heights) == 4
    assert all(after - before >= 8 for before, after in pairwise(heights))
    assert all(0 <= height <= 100 for height in heights)


def test_the_curve_rises_where_the_streams_began() -> None:
    groups, _ = groups_of(*(timeline([t]) for t in (0.1, 0.2, 0.2, 0.4)))
    chart = began(groups)
    corners = numbers(chart.curves[0].line)
    for t, share in ((0.1, 0.25), (0.2, 0.75), (0.4, 1.0)):
        at = round(float(chart.x.places([t])[0]) * 2_000)
        heights = [1_000 - y for x, y in corners if abs(x - at) <= 1]
        assert max(heights) == pytest.approx(share / 1.02 * 1_000, abs=1)


def middle_of(*streams: Timeline) -> float:
    """How many tokens the middle stream has delivered in the end."""
    groups, sample = groups_of(*streams)
    chart = delivered(groups, sample)
    height = 1 - numbers(chart.curves[0].line)[-1][1] / 1_000
    return chart.y.low + (chart.y.high - chart.y.low) * height


def test_who_failed_before_any_text_has_nothing_delivered() -> None:
    whole = timeline([0.1 * k for k in range(1, 11)])
    silent = timeline([], ended=9.0, failed="APITimeoutError", phase="first_token")
    assert middle_of(whole) == pytest.approx(10, abs=0.1)
    assert middle_of(whole, silent, silent) == 0


def test_who_called_a_tool_has_no_text_to_deliver() -> None:
    whole = timeline([0.1 * k for k in range(1, 11)])
    call = timeline([], ended=1.0, first_output=0.5)
    assert middle_of(whole, call, call) == pytest.approx(10, abs=0.1)


def test_the_readers_line_is_in_every_chart_of_delivery() -> None:
    for streams in (TAIL[:3], TAIL, [timeline([0.1])]):
        chart = delivered(*groups_of(*streams))
        assert chart.reader is not None
        corners = numbers(chart.reader[0])
        assert corners[-1][0] > corners[0][0]
        assert corners[0][1] > corners[-1][1]


def test_more_than_four_groups_get_a_chart_each_on_shared_axes() -> None:
    streams = [timeline([0.1 * (k % 7 + 1)], tags={"t": f"g{k % 7}"}) for k in range(70)]
    sample = Sample()
    part = charts_part(measure(streams, by="t", keep=sample.keep), sample)
    chart: Chart = part["plots"]["ttft"]
    assert not chart.is_together
    assert [curve.name for curve in chart.curves] == [f"g{k}" for k in range(7)]
    assert chart.context
    assert {curve.color for curve in chart.curves} == {"var(--accent)"}


def test_the_curve_of_a_large_group_is_no_larger_than_the_picture_needs() -> None:
    groups, _ = groups_of(*(timeline([0.1 + k / 5_000]) for k in range(5_000)))
    assert len(began(groups).curves[0].line) < 30_000


def test_ticks_are_round_and_within_the_axis() -> None:
    assert [tick.label for tick in Axis(0, 1.9).ticks()] == ["0", "0.5", "1", "1.5"]
    assert [tick.label for tick in Axis(0.0008, 13, is_log=True).ticks()] == [
        "1 ms", "10 ms", "0.1 s", "1 s", "10 s",
    ]  # fmt: skip
