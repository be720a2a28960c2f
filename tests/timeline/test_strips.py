"""What the charts draw of streams that did not become whole."""

from __future__ import annotations

from bokeh.models import Scatter

from lm_deluge.timeline import Sample, Timeline, measure
from lm_deluge.timeline.report.charts import delivered
from lm_deluge.timeline.report.strips import draw_strips
from support.timelines import timeline


def crosses(*streams: Timeline) -> list[str]:
    """How the streams ended that have a red cross."""
    strips = draw_strips(
        streams, seen=len(streams), color="#000", stall=1.0, width=5.0, most_ticks=100
    )
    (drawn,) = [
        renderer.data_source.data
        for renderer in strips.plot.renderers
        if isinstance(renderer.glyph, Scatter) and renderer.glyph.marker == "x"
    ]
    return sorted(drawn["how"])


def test_a_red_cross_is_for_what_broke_and_not_for_a_reader_who_left() -> None:
    assert crosses(
        timeline([0.5, 1.0]),
        timeline([0.5], failed="ConnectionLostError", phase="between_tokens"),
        timeline([], ended=1.0, failed="APITimeoutError"),
        timeline([0.5], failed="StreamCancelled", phase="between_tokens"),
        timeline([0.5], ending=None),
    ) == [
        "no answer at all: the wait was too long (APITimeoutError)",
        "no ending in the log",
        "the connection broke after some text (ConnectionLostError)",
    ]


def middle_of(*streams: Timeline) -> float:
    """How many tokens the middle stream has delivered in the end."""
    sample = Sample()
    measured = measure(streams, keep=sample.keep)
    plot = delivered(list(measured.groups.values()), sample)
    (curve,) = [r.data_source.data for r in plot.renderers if "name" in r.data_source.data]
    return float(curve["y"][-1])


def test_who_failed_before_any_text_has_nothing_delivered() -> None:
    whole = timeline([0.1 * k for k in range(1, 11)])
    silent = timeline([], ended=9.0, failed="APITimeoutError", phase="first_token")
    assert middle_of(whole) == 10
    assert middle_of(whole, silent, silent) == 0


def test_who_called_a_tool_has_no_text_to_deliver() -> None:
    whole = timeline([0.1 * k for k in range(1, 11)])
    call = timeline([], ended=1.0, first_output=0.5)
    assert middle_of(whole, call, call) == 10
