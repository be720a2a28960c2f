"""The report's charts of whole groups, as plain data: axes that reach every event, and curves.

With up to four groups their curves share one chart; of more, each has a small one on shared axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from lm_deluge.timeline.measures.groups import Group, last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import Floats, np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.wording import seconds
from lm_deluge.timeline.replay.scene import COLORS
from lm_deluge.timeline.report.axes import SMALLEST, Axis, linear, seconds_axis, spread
from lm_deluge.timeline.report.curves import HIGH, SHARES_HIGH, WIDE, area, counts_at, line, steps
from lm_deluge.timeline.report.tables import largest
from lm_deluge.values.timeline import Timeline

__all__ = [
    "TOGETHER",
    "TROUBLE",
    "Chart",
    "Curve",
    "began",
    "charts_part",
    "color",
    "delivered",
    "drawn_groups",
    "silences",
]

# Told apart on white and on black, and by people who see few colours; red is for trouble alone.
_COLORS = (*COLORS, "#c2559d", "#6b8e23", "#1aa0c4", "#7a869a")
TROUBLE = "#e5383b"

TOGETHER = 4
"""So many groups are told apart in one chart; more get small ones."""
SHOWN = 12
"""So many small charts are open, the others folded."""
_MOST = 120
_GRID_POINTS = 160
_MOST_BREAKS = 60
_SMALL = 400  # steps across a small chart
_APART = 8.0  # percent of the height, from label to label


@frozen
class Curve:
    """One group's curve. ``line``, ``band`` and ``tail`` are paths; ``note`` says what it shows.

    ``breaks``: percent from the left and from the top where streams broke. ``edge``: what is said
    at its end, at ``height`` percent from the bottom.
    """

    name: str
    color: str
    line: str
    note: str
    said: str
    band: str = ""
    tail: str = ""
    breaks: tuple[tuple[float, float], ...] = ()
    edge: str = ""
    height: float = 0.0


@frozen
class Chart:
    """Axes and curves of one measure. ``context`` is the path of all groups together.

    ``limit``: percent from the left of a dashed line, and its name. ``reader``: the path of the
    reader's line, and its name. ``reads``: what the script says of a point, percent or tokens.
    """

    key: str
    x: Axis
    y: Axis
    x_label: str
    y_label: str
    reads: str
    curves: tuple[Curve, ...]
    context: str = ""
    limit: tuple[float, str] | None = None
    reader: tuple[str, str] | None = None

    @property
    def is_together(self) -> bool:
        """Whether the curves share one chart."""
        return len(self.curves) <= TOGETHER

    @property
    def has_edge(self) -> bool:
        """Whether anything is said at the right edge."""
        return any(curve.edge for curve in self.curves)

    @property
    def labels(self) -> list[Curve]:
        """What is said at the edge, from the bottom up, far enough apart to be read."""
        said = sorted((curve for curve in self.curves if curve.edge), key=lambda c: c.height)
        heights = spread([curve.height for curve in said], _APART)
        return [evolve(curve, height=at) for curve, at in zip(said, heights, strict=True)]

    @property
    def grid(self) -> str:
        """The path of the grid's lines."""
        across = [f"M0 {HIGH - round(tick.at * HIGH / 100)}h{WIDE}" for tick in self.y_ticks]
        return "".join([*across, *(f"M{round(t.at * WIDE / 100)} 0v{HIGH}" for t in self.x_ticks)])

    @property
    def x_ticks(self) -> list[Any]:
        return self.x.ticks(7 if self.is_together else 3)

    @property
    def y_ticks(self) -> list[Any]:
        if self.reads == "share":
            percents = Axis(self.y.low * 100, self.y.high * 100)
            return percents.ticks(5 if self.is_together else 2, unit=" %")
        return self.y.ticks(5 if self.is_together else 2)

    def label(self, curves: Sequence[Curve]) -> str:
        """Return the chart in words, for who does not see it."""
        said = "; ".join(f"{curve.name}: {curve.said}" for curve in curves)
        return f"{self.y_label} over {self.x_label}. {said}."


def color(position: int) -> str:
    """Return the colour of the group at this position."""
    return _COLORS[position % len(_COLORS)]


def drawn_groups(measured: Measured) -> tuple[list[Group], list[Group]]:
    """Return the groups whose charts are open, the largest, and those whose charts are folded."""
    shown = largest(measured, SHOWN)
    names = {group.name for group in shown}
    return shown, [group for group in largest(measured, _MOST) if group.name not in names]


def charts_part(measured: Measured, sample: Sample) -> dict[str, Any]:
    """Return what templates/charts.html shows."""
    shown, folded = drawn_groups(measured)
    groups = shown + folded
    everyone = list(measured.groups.values())
    drawn = sum(len(sample.by_chance(group.name)) for group in groups)
    streams = sum(group.streams for group in groups)
    together = len(groups) <= TOGETHER
    return {
        "together": together,
        "plots": {
            "ttft": began(groups, everyone),
            "gap": silences(groups, everyone),
            "delivered": delivered(groups, sample),
        },
        "shown": len(shown),
        "folded": len(folded),
        "groups_note": _groups_note(len(shown), len(folded), len(everyone)),
        "delivered_note": ""
        if drawn >= streams
        else f"From {drawn:,} of {streams:,} streams, taken by chance.",
        "colors": {g.name: color(k) for k, g in enumerate(groups)} if together else {},
    }


def _groups_note(shown: int, folded: int, all_groups: int) -> str:
    if shown + folded < all_groups:
        return (
            f"Of {all_groups:,} groups the {shown + folded} largest have charts, the {shown} largest "
            "of them open; all are in the tables."
        )
    if folded:
        return f"The {shown} largest of {all_groups:,} groups; the other {folded} are folded below."
    return ""


def began(groups: Sequence[Group], everyone: Sequence[Group] = ()) -> Chart:
    """Draw the share of streams that had begun to answer, over seconds; some never do."""
    x = seconds_axis(_pooled(groups, "ttft"))
    curves = []
    for position, group in enumerate(groups):
        values = group.values("ttft")
        never = group.streams - len(values)
        summary = group.summary()["ttft"]
        why = f"{never:,} of {group.streams:,} never began" if never else ""
        half = f"median {seconds(summary['p50'])}, p95 {seconds(summary['p95'])}"
        note = ", ".join(part for part in (half if len(values) else "", why) if part)
        end = len(values) / group.streams
        curves.append(
            Curve(
                group.name,
                _own(position, groups),
                steps(values, group.streams, x, width=_steps_across(groups)),
                note,
                note,
                tail=_tail(values, end, x),
                edge=f"{never:,} never began" if never else "",
                height=round(end / SHARES_HIGH * 100, 1),
            )
        )
    return Chart(
        "ttft",
        x,
        Axis(0, SHARES_HIGH),
        _since(x),
        "streams that began",
        "share",
        tuple(curves),
        context=_context(groups, everyone, "ttft", x),
    )


def silences(groups: Sequence[Group], everyone: Sequence[Group] = ()) -> Chart:
    """Draw the share of gaps no longer than so many seconds, on a logarithmic axis."""
    stall = max(groups[0].settings.stall, SMALLEST)
    pooled = np.append(_pooled(groups, "gap"), [SMALLEST, stall])
    x = seconds_axis(pooled, log=True)
    curves = []
    for position, group in enumerate(groups):
        gaps = group.values("gap")
        long = int((gaps > group.settings.stall).sum())
        note = "no second piece in any stream"
        if len(gaps):
            note = f"p95 {seconds(group.summary()['gap']['p95'])}, longest {seconds(gaps.max())}"
        stalls = f"{long:,} of {len(gaps):,} gaps {'is a stall' if long == 1 else 'are stalls'}"
        curves.append(
            Curve(
                group.name,
                _own(position, groups),
                steps(gaps, len(gaps), x, width=_steps_across(groups)),
                note,
                f"{note}, {stalls}" if len(gaps) else note,
                tail=_tail(gaps, 1.0, x),
            )
        )
    return Chart(
        "gap",
        x,
        Axis(0, SHARES_HIGH),
        "time from one piece to the next (logarithmic)",
        "gaps",
        "share",
        tuple(curves),
        context=_context(groups, everyone, "gap", x),
        limit=(x.percent(stall), f"stall: {seconds(groups[0].settings.stall)}"),
    )


def delivered(groups: Sequence[Group], sample: Sample) -> Chart:
    """Draw tokens delivered over time, the middle of each group, against a reader's line.

    The median stream and the band from the 10th to the 90th percentile of the streams kept by
    chance, and where streams broke. The line: a reader who begins at the expected TTFT and reads at
    the read rate.
    """
    settings = groups[0].settings
    kept = [_expected_text(sample.by_chance(group.name)) for group in groups]
    ends = [last_moment(stream) for streams in kept for stream in streams]
    firsts = [stream.times[0] for streams in kept for stream in streams if len(stream)]
    x = seconds_axis(np.array(ends))
    if x.is_log:
        x = seconds_axis(np.array(ends + firsts), log=True)
    x = x if x.high > settings.expected_ttft * 1.2 else linear(settings.expected_ttft * 1.5)
    points = x.grid(_GRID_POINTS if len(groups) <= TOGETHER else _GRID_POINTS // 3)
    counts = [
        np.array([counts_at(stream, points) for stream in streams]) if streams else None
        for streams in kept
    ]
    bands = [np.percentile(c, (10, 50, 90), axis=0) if c is not None else None for c in counts]
    broken = [_breaks(streams) for streams in kept]
    tops = [float(band[2].max()) for band in bands if band is not None]
    tops += [float(tokens) for breaks in broken for _, tokens in breaks]
    y = linear(max([1.0, *tops]))
    across = x.places(points)
    curves = []
    for position, (group, streams, band) in enumerate(zip(groups, kept, bands, strict=True)):
        gone = sum(stream.failed for stream in streams)
        of = (
            f"{len(streams):,} streams"
            if len(streams) == group.streams
            else f"{len(streams):,} drawn"
        )
        note = f"{gone:,} of {of} broke" if streams and gone else ""
        said = "no text to come"
        middle = wide = ""
        if band is not None:
            low, half, high = (y.places(part) for part in band)
            middle, wide = line(across, half), area(across, low, high)
            said = f"the median stream has {band[1][-1]:,.0f} tokens in the end"
            said = f"{said}, {note}" if note else said
        curves.append(
            Curve(
                group.name,
                _own(position, groups),
                middle,
                note or ("" if streams else said),
                said,
                band=wide,
                breaks=tuple(
                    (x.percent(t), round(100 - y.percent(tokens), 2))
                    for t, tokens in broken[position]
                ),
            )
        )
    return Chart(
        "delivered",
        x,
        y,
        _since(x),
        "tokens delivered",
        "tokens",
        tuple(curves),
        reader=(
            _reader(x, y, settings.expected_ttft, settings.read_rate),
            f"a reader: {settings.read_rate:g} tokens/s from {settings.expected_ttft:g} s on",
        ),
    )


def _reader(x: Axis, y: Axis, begin: float, rate: float) -> str:
    until = min(x.high, begin + y.high / rate)
    times = np.linspace(begin, max(until, begin), 120 if x.is_log else 2)
    times = times[times >= x.low]
    return line(x.places(times), y.places((times - begin) * rate))


def _breaks(streams: Sequence[Timeline]) -> list[tuple[float, float]]:
    """Return seconds and tokens at which streams failed, of so many as can be told apart."""
    failed = [stream for stream in streams if stream.failed][:_MOST_BREAKS]
    moments = [last_moment(stream) for stream in failed]
    return [
        (moment, float(counts_at(stream, np.array([moment]))[0]))
        for stream, moment in zip(failed, moments, strict=True)
    ]


def _pooled(groups: Sequence[Group], name: str) -> Floats:
    return np.concatenate([np.array([]), *(group.values(name) for group in groups)])


def _context(groups: Sequence[Group], everyone: Sequence[Group], name: str, x: Axis) -> str:
    """Return the curve of all groups together, which small charts are held against."""
    if len(groups) <= TOGETHER:
        return ""
    pooled = _pooled(everyone or groups, name)
    total = sum(group.streams for group in everyone or groups) if name == "ttft" else len(pooled)
    return steps(pooled, total, x, width=_SMALL)


def _tail(values: Floats, end: float, x: Axis) -> str:
    """Return the dashed line from the last event to the edge."""
    if not len(values):
        return ""
    last, up = x.percent(float(values.max())), HIGH - round(end / SHARES_HIGH * HIGH)
    return f"M{round(last * WIDE / 100)} {up}H{WIDE}"


def _own(position: int, groups: Sequence[Group]) -> str:
    return color(position) if len(groups) <= TOGETHER else "var(--accent)"


def _steps_across(groups: Sequence[Group]) -> int:
    return WIDE if len(groups) <= TOGETHER else _SMALL


def _since(x: Axis) -> str:
    return f"seconds since the request{' (logarithmic)' if x.is_log else ''}"


def _expected_text(streams: Sequence[Timeline]) -> list[Timeline]:
    """Leave out who never had text to come; one that failed first stays at nothing."""
    return [stream for stream in streams if len(stream) or stream.failed]
