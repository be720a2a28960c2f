"""The report's charts of whole groups: bokeh figures, ready to be put into a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.numeric import Floats, np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.report.drawing import (
    ColumnDataSource,
    HoverTool,
    NumeralTickFormatter,
    figure,
)
from lm_deluge.values.timeline import Timeline

__all__ = [
    "TROUBLE",
    "Figure",
    "color",
    "delivered",
    "empty_figure",
    "gap_ecdf",
    "ttft_ecdf",
]

# Told apart on white and on black, and by people who see few colours; red is for trouble alone.
_COLORS = ("#2f7de1", "#d9820b", "#0f9d8a", "#8a63d2", "#c2559d", "#6b8e23", "#1aa0c4", "#7a869a")
TROUBLE = "#e5383b"
_READER = "#888888"

_CURVE_POINTS = 600
_GRID_POINTS = 160
_LONGEST_LABEL = 40
_SMALLEST_GAP = 0.001
_GAP_TICKS = {
    0.001: "1 ms",
    0.01: "10 ms",
    0.1: "0.1 s",
    1.0: "1 s",
    10.0: "10 s",
    100.0: "100 s",
}

Figure = Any  # bokeh makes the class of its figures when it is imported


def color(position: int) -> str:
    """Return the colour of the group at this position."""
    return _COLORS[position % len(_COLORS)]


def empty_figure(x: str, y: str, height: int = 320, **options: Any) -> Figure:
    """Return a figure in the page's style: as wide as the page, no colours of its own."""
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset",
        active_drag="box_zoom",
        active_scroll=None,
        x_axis_label=x,
        y_axis_label=y,
        min_border_right=24,
        outline_line_color=None,
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    return plot


def ttft_ecdf(groups: Sequence[Group]) -> Figure:
    """Draw the share of streams that had begun to answer, over seconds; censored ones never do."""
    far = max((_quantile(group.values("ttft"), 0.99) for group in groups), default=0.0)
    plot = empty_figure(
        "seconds since the request",
        "streams that began",
        y_range=(0, 1.02),
        x_range=(0, far * 1.2 or 1.0),
    )
    for position, group in enumerate(groups):
        x, y = _ecdf(group.values("ttft"), group.streams)
        if len(x):  # to the edge, so that what never came can be seen
            x, y = np.append(x, max(far * 2, x[-1])), np.append(y, y[-1])
        _curve(plot, x, y, group.name, position, "@y{0.0 %} had begun after @x{0.000} s")
    return _finished(plot, "bottom_right")


def gap_ecdf(groups: Sequence[Group]) -> Figure:
    """Draw the share of gaps no longer than so many seconds, on a logarithmic axis."""
    stall = max(groups[0].settings.stall, _SMALLEST_GAP)
    longest = max((max(group.gaps, default=0.0) for group in groups), default=0.0)
    plot = empty_figure(
        "time from one piece to the next",
        "gaps",
        y_range=(0, 1.02),
        x_axis_type="log",
        x_range=(_SMALLEST_GAP * 0.8, max(longest, stall) * 1.3),
    )
    for position, group in enumerate(groups):
        gaps = np.maximum(group.values("gap"), _SMALLEST_GAP)
        x, y = _ecdf(gaps, len(gaps))
        _curve(plot, x, y, group.name, position, "@y{0.00 %} of gaps within @x{0.000} s")
    plot.vspan(x=[stall], line_color=TROUBLE, line_dash="dashed", line_width=1.5)
    plot.xaxis.ticker = list(_GAP_TICKS)
    plot.xaxis.major_label_overrides = dict(_GAP_TICKS)
    return _finished(plot, "top_left")


def delivered(groups: Sequence[Group], sample: Sample) -> Figure:
    """Draw tokens delivered over time, the middle of each group, against a reader's line.

    The median stream and the band from the 10th to the 90th percentile of the streams kept by
    chance. The line: a reader who begins at the expected TTFT and reads at the read rate.
    """
    settings = groups[0].settings
    kept = {group.name: _expected_text(sample.by_chance(group.name)) for group in groups}
    ends = np.array([s.times[-1] for streams in kept.values() for s in streams if len(s)])
    end = max(_quantile(ends, 0.9) * 1.05, settings.expected_ttft + 1)
    grid = np.linspace(0, end, _GRID_POINTS)
    plot = empty_figure("seconds since the request", "tokens delivered", x_range=(0, end))
    top = 1.0
    for position, (name, streams) in enumerate(kept.items()):
        if not streams:
            continue
        counts = np.array([_delivered(stream, grid) for stream in streams])
        low, middle, high = np.percentile(counts, (10, 50, 90), axis=0)
        top = max(top, float(high.max()))
        plot.varea(
            grid, low, high, fill_color=color(position), fill_alpha=0.16, legend_label=_label(name)
        )
        _curve(plot, grid, middle, name, position, "@y{0} tokens after @x{0.0} s")
    begin = settings.expected_ttft
    until = min(end, begin + top / settings.read_rate)
    line = plot.line(
        [begin, until],
        [0, (until - begin) * settings.read_rate],
        line_color=_READER,
        line_dash="dashed",
        line_width=2,
        legend_label=f"reader, {settings.read_rate:g} tokens/s",
    )
    line.level = "overlay"
    plot.y_range.start, plot.y_range.end = 0, top * 1.05
    return _finished(plot, "top_left", percent=False)


def _curve(plot: Figure, x: Floats, y: Floats, name: str, position: int, says: str) -> None:
    source = ColumnDataSource({"x": x.astype(np.float32), "y": y.astype(np.float32)})
    line = plot.line(
        "x",
        "y",
        source=source,
        line_color=color(position),
        line_width=2.5,
        legend_label=_label(name),
    )
    # The name goes in as data: a tooltip's template is HTML.
    source.data["name"] = np.full(len(x), name) if len(x) else []
    plot.add_tools(
        HoverTool(
            renderers=[line],
            tooltips=f"<div><b>@name</b><br>{says}</div>",
            line_policy="interp",
            visible=False,
        )
    )


def _finished(plot: Figure, legend: str, *, percent: bool = True) -> Figure:
    if plot.legend:
        plot.legend.location = legend
        plot.legend.click_policy = "hide"
        plot.legend.background_fill_alpha = 0.6
        plot.legend.border_line_alpha = 0
        plot.legend.spacing = 0
    if percent:
        plot.yaxis.formatter = NumeralTickFormatter(format="0 %")
    return plot


def _label(name: str) -> str:
    # Long names leave no room for the curves; "$$" would ask for a typesetting library.
    short = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
    return short.replace("$$", "$ $")


def _ecdf(values: Floats, total: int) -> tuple[Floats, Floats]:
    """Return points of the curve: all of them, or the quantiles of a large group."""
    n = len(values)
    if not n:
        return np.array([]), np.array([])
    if n > _CURVE_POINTS:
        # More points in the tail, which is what a reader looks for.
        shares = np.unique(np.concatenate([np.linspace(0, 1, 400), np.linspace(0.98, 1, 200)]))
        return np.quantile(values, shares), shares * n / total
    ordered = np.sort(values)
    steps = np.arange(1, n + 1) / total
    return np.repeat(ordered, 2), np.column_stack([np.append(0, steps[:-1]), steps]).ravel()


def _delivered(stream: Timeline, grid: Floats) -> Floats:
    weight = stream.tokens_per_piece
    pieces = np.searchsorted(np.array(stream.arrivals), grid, side="right")
    return np.asarray(pieces * (1.0 if weight is None else weight), dtype=np.float64)


def _expected_text(streams: Sequence[Timeline]) -> list[Timeline]:
    """Leave out who never had text to come; one that failed first stays at nothing."""
    return [stream for stream in streams if len(stream) or stream.failed]


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
