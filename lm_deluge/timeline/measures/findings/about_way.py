"""Where the wait comes from, and what delays or bundles pieces on their way to the screen, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lm_deluge.timeline.measures.findings.finding import Finding
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.numeric import Flags, np
from lm_deluge.timeline.measures.way.names import STATIONS
from lm_deluge.timeline.measures.way.way import Bursts, WayToScreen
from lm_deluge.timeline.measures.wording import below_clocks, percent, seconds, streams_text

__all__ = ["about_way", "wait_in_words"]

# What is worth a sentence. These are judgements, not measurements; docs/design/metrics.md has them.
_BURST_PIECES = 4
_BURST_SILENCE = 0.25
_BURST_TIMES = 2.5
_ONE_BY_ONE = 1.5
_AT_ONCE_SPAN = 0.5
_AT_ONCE_PART = 0.25
_PAINTING = 0.1
_PROCESS = 0.1
_NETWORK = 0.25
_CALM = 0.05
_FEW = 0.9

_OF_WAIT = {
    "queued": "queued",
    "provider": "connecting and thinking at the provider",
    "process": "in our process",
    "network": "in the relay and the network",
    "painting": "painting",
}


def about_way(name: str, group: Group) -> Iterator[Finding]:
    """Tell of a group what its readers' browsers bear out: what delays pieces, then the wait."""
    way = group.way
    if not way.is_told:
        return
    bundled = _bundled(name, way)
    if bundled is not None:
        yield Finding(bundled, "stalled")
    yield from _delays(name, way, is_bundled=bundled is not None)
    yield from _stalls(name, way)
    if (words := wait_in_words(way)) is not None:
        yield Finding(f"Of {name}, {words}.", "began")
    yield from _told_by(name, way)


def wait_in_words(way: WayToScreen) -> str | None:
    """Say where half the readers' wait for the first text comes from; ``None`` where nothing is known."""
    parts = way.around(50)
    if parts is None:
        return None
    shown = [
        f"{seconds(parts[station])} {_OF_WAIT[station]}"
        for station in STATIONS
        if parts.get(station, 0.0) >= 0.0005
    ]
    total = seconds(parts["total"])
    said = f"the first text is on the screen after {total} in the median: {', '.join(shown)}"
    if "network" not in parts and way.bound is not None:
        said += f"; what relay and network take is {below_clocks(way.bound)}"
    return said


def _bundled(name: str, way: WayToScreen) -> str | None:
    """Say where the browser gets in bursts, or all at once, what came piece by piece."""
    sent, got = way.bursts["process"], way.bursts["browser"]
    known = ~(np.isnan(sent.size) | np.isnan(got.size))
    if not known.any():
        return None
    at_once = known & (sent.span >= _AT_ONCE_SPAN) & (got.span <= _AT_ONCE_PART * sent.span)
    between = "something between them buffers (a proxy, compression)"
    if at_once.sum() > known.sum() / 2:
        span = float(np.median(sent.span[at_once]))
        return (
            f"The server sent the pieces of {name} over {seconds(span)}, and the browser got them all at "
            f"once at the end: {between}."
        )
    size, silence = _typical(got, known)
    size_sent, silence_sent = _typical(sent, known)
    is_one_by_one = float(np.median(sent.at_once[known])) < _ONE_BY_ONE
    if size < max(_BURST_PIECES, _BURST_TIMES * size_sent) or silence < max(
        _BURST_SILENCE, _BURST_TIMES * silence_sent
    ):
        return None
    how = "one by one" if is_one_by_one else f"in bursts of {size_sent:.0f}"
    return (
        f"The server sent the pieces of {name} {how}, and the browser got them in bursts of {size:.0f} "
        f"every {silence:.1f} s: {between}."
    )


def _typical(bursts: Bursts, known: Flags) -> tuple[float, float]:
    """Return the medians over readers of pieces in a burst and of seconds from one to the next."""
    silences = bursts.silence[known]
    silences = silences[~np.isnan(silences)]
    return float(np.median(bursts.size[known])), float(np.median(silences)) if len(
        silences
    ) else 0.0


def _delays(name: str, way: WayToScreen, *, is_bundled: bool) -> Iterator[Finding]:
    """Say which station delays pieces at p95, and which ones do not."""
    late = {station: _p95(way, station) for station in ("process", "network", "painting")}
    process, network, painting = (late[station] for station in ("process", "network", "painting"))
    if process is not None and process >= _PROCESS:
        yield Finding(
            f"Our process delays tokens of {name}: {seconds(process)} at p95 from their arrival until "
            "the handlers had them (handlers, a busy event loop).",
            "stalled",
        )
    if network is not None and network >= _NETWORK and not is_bundled:
        yield Finding(
            f"Relay and network delay tokens of {name}: {seconds(network)} at p95 from our process to "
            "the browser.",
            "stalled",
        )
    if painting is not None and painting >= _PAINTING:
        most = (way.bound or 0.0) if network is None else network
        calm = most < max(_CALM, painting / 2)
        not_network = ", not the network," if calm else ""
        beside = (
            below_clocks(way.bound or 0.0)
            if network is None
            else f"{seconds(network)} from our process to the browser"
        )
        against = f"; relay and network: {beside}" if calm else ""
        yield Finding(
            f"Painting{not_network} delays tokens of {name}: {seconds(painting)} at p95 from the browser "
            f"to the screen{against}.",
            "stalled",
        )


def _p95(way: WayToScreen, station: str) -> float | None:
    """Return a delay, ``None`` where it is unknown or below what the clocks can tell."""
    values = way.values(f"seen.delay.{station}")
    if not len(values) or not way.can_tell("delay", station, 95.0):
        return None
    return float(np.percentile(values, 95))


def _stalls(name: str, way: WayToScreen) -> Iterator[Finding]:
    """Say that readers saw stalls that our process did not, where they do."""
    counts: Mapping[str, Flags] = {place: way.gaps[place] > way.stall for place in way.gaps}
    ours, painted = int(counts["process"].sum()), int(counts["painted"].sum())
    if painted > max(ours * 1.5, ours + 2) and painted > 0.02 * way.joined.seen:
        browser = int(counts["browser"].sum())
        yield Finding(
            f"Readers of {name} saw {painted:,} stalls (gaps above {way.stall:g} s), {browser:,} of which "
            f"were there when the pieces came to the browser, and {ours:,} when they came to our process.",
            "stalled",
        )


def _told_by(name: str, way: WayToScreen) -> Iterator[Finding]:
    """Say how many streams were seen, and which are kept apart."""
    joined = way.joined
    told = []
    if joined.seen < _FEW * way.streams:
        told.append(
            f"{joined.seen:,} of {streams_text(way.streams)} of {name} were seen by a browser "
            f"({percent(joined.seen / way.streams)}): what is said of the way is of these"
        )
    if joined.hidden:
        were = "was" if joined.hidden == 1 else "were"
        told.append(
            f"{streams_text(joined.hidden)} of {name} {were} in a hidden tab, where nothing is painted: "
            "kept apart"
        )
    if joined.torn:
        told.append(
            f"{streams_text(joined.torn)} of {name} lack lines, so that pieces cannot be matched"
        )
    for sentence in told:
        yield Finding(f"{sentence}.")
