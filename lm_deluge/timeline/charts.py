"""The report's charts: bokeh figures, ready to be put into a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, pi
from typing import Any

from lm_deluge.timeline.metrics import Group, Measured
from lm_deluge.timeline.numeric import Floats, np
from lm_deluge.timeline.sampling import Sample
from lm_deluge.timeline.values import Timeline

try:
    from bokeh.models import ColumnDataSource, HoverTool, Span
    from bokeh.plotting import figure
except ImportError as error:
    message = "the report's page needs bokeh: pip install 'lm_deluge[report]'"
    raise ImportError(message) from error

__all__ = ["STALL_COLOR", "color", "delivered", "gap_ecdf", "strips", "ttft_ecdf"]

# Told apart on white and on black, and by people who see few colours; red is for trouble alone.
_COLORS = ("#2f7de1", "#d9820b", "#0f9d8a", "#8a63d2", "#c2559d", "#6b8e23", "#1aa0c4", "#7a869a")
STALL_COLOR = "#e5383b"
_NEUTRAL = "#888888"

_CURVE_POINTS = 600
_SMALLEST_GAP = 0.001
_MOST_TICKS = 40_000
_TICKS_ACROSS = 1_500
_MOST_STALLS = 2_000
_TEXT_AROUND = 60

Figure = Any  # bokeh's figure class is made at import and no type


def color(position: int) -> str:
    """Return the colour of the group at this position."""
    return _COLORS[position % len(_COLORS)]


def _figure(x: str, y: str, **options: Any) -> Figure:
    plot = figure(
        height=320,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset",
        active_drag="box_zoom",
        active_scroll=None,
        x_axis_label=x,
        y_axis_label=y,
        min_border_right=20,
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.outline_line_color = None
    plot.background_fill_alpha = 0
    plot.border_fill_alpha = 0
    return plot


def _legend(plot: Figure, location: str) -> None:
    if plot.legend:
        plot.legend.location = location
        plot.legend.click_policy = "hide"
        plot.legend.background_fill_alpha = 0.7
        plot.legend.border_line_alpha = 0
        plot.legend.padding = 6
        plot.legend.spacing = 0


def ttft_ecdf(measured: Measured) -> Figure:
    """Share of streams that had begun to answer, over seconds; censored ones never do."""
    groups = measured.groups.values()
    far = max((_quantile(group.values("ttft"), 0.99) for group in groups), default=0.0)
    plot = _figure(
        "seconds since the request", "share of streams that began", y_range=(0, 1.02),
        x_range=(0, far * 1.15 or 1.0),
    )
    for position, group in enumerate(groups):
        values = group.values("ttft")
        x, y = _ecdf(values, group.streams)
        _curve(plot, x, y, group.name, position, "@y{0 %} had begun after @x{0.000} s")
    plot.yaxis.formatter.update(**{}) if False else None
    _legend(plot, "bottom_right")
    _percent_axis(plot)
    return plot


def gap_ecdf(measured: Measured) -> Figure:
    """Share of gaps no longer than so many seconds, on a logarithmic axis."""
    groups = measured.groups.values()
    longest = max((max(group.gaps, default=0.0) for group in groups), default=0.0)
    end = max(longest, measured.settings.stall) * 1.3
    plot = _figure(
        "seconds from one piece to the next", "share of gaps", y_range=(0, 1.02),
        x_axis_type="log", x_range=(_SMALLEST_GAP * 0.8, end),
    )
    for position, group in enumerate(groups):
        values = np.maximum(group.values("gap"), _SMALLEST_GAP)
        x, y = _ecdf(values, len(values))
        _curve(plot, x, y, group.name, position, "@y{0.0 %} of gaps within @x{0.000} s")
    plot.add_layout(
        Span(
            location=max(measured.settings.stall, _SMALLEST_GAP), dimension="height",
            line_color=STALL_COLOR, line_dash="dashed", line_width=1.5,
        )
    )
    _legend(plot, "top_left")
    _percent_axis(plot)
    return plot
