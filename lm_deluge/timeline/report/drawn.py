"""The charts of the page: which groups and streams are drawn, and what is said of it."""

from __future__ import annotations

from typing import Any

from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.report.charts import color, delivered, gap_ecdf, ttft_ecdf
from lm_deluge.timeline.report.drawing import Document, Markup, Resources, components
from lm_deluge.timeline.report.strips import draw_strips

__all__ = ["charts_part"]

_MOST_GROUPS = 8  # as many as there are colours
_MOST_TICKS = 80_000


def charts_part(measured: Measured, sample: Sample) -> dict[str, Any]:
    """Return what templates/charts.html and templates/strips.html show, and the scripts for it."""
    groups = sorted(measured.groups.values(), key=lambda group: -group.streams)[:_MOST_GROUPS]
    groups.sort(key=lambda group: group.name)
    kept = {group.name: sample.all(group.name) for group in groups}
    ends = [last_moment(stream) for streams in kept.values() for stream in streams]
    width = float(np.quantile(ends, 0.95)) * 1.05 if ends else 1.0
    strips = [
        draw_strips(
            kept[group.name],
            seen=group.streams,
            color=color(position),
            stall=measured.settings.stall,
            width=width or 1.0,
            most_ticks=_MOST_TICKS // len(groups),
        )
        for position, group in enumerate(groups)
    ]
    plots = [ttft_ecdf(groups), gap_ecdf(groups), delivered(groups, sample)]
    plots += [strip.plot for strip in strips]
    document = Document()
    with document.models.freeze():  # without it, bokeh looks through all plots for each of them
        for plot in plots:
            document.add_root(plot)
    script, divs = components(plots, wrap_script=False)
    divs = [Markup(div) for div in divs]
    drawn = sum(len(sample.by_chance(group.name)) for group in groups)
    streams = sum(group.streams for group in groups)
    return {
        "plots": dict(zip(("ttft", "gap", "delivered"), divs, strict=False)),
        "plot_count": len(plots),
        "groups_note": ""
        if len(groups) == len(measured.groups)
        else f"The charts show the {len(groups)} largest of {len(measured.groups):,} groups.",
        "delivered_note": ""
        if drawn >= streams
        else f"From {drawn:,} of {streams:,} streams, taken by chance.",
        "colors": {group.name: color(position) for position, group in enumerate(groups)},
        "strips": [
            {
                "name": group.name,
                "color": color(position),
                "plot": div,
                "left_out": strip.left_out,
            }
            for position, (group, strip, div) in enumerate(
                zip(groups, strips, divs[3:], strict=True)
            )
        ],
        # bokeh escapes the data in its script; the rest is its own code.
        "script": Markup(script),
        "libraries": [
            Markup(code) for code in Resources(mode="inline", components=["bokeh"]).js_raw
        ],
    }
