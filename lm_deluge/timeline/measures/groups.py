"""One group of streams measured, as docs/design/metrics.md defines its figures.

TTFT, TTFA, gaps, stalls, starvation and QoE are of all streams, those that failed later included:
their readers saw that text, and the QoE of a failed stream is 0. TPOT, E2E and output rate are of
completed streams. All in seconds unless another unit is named.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from attrs import define, field

from lm_deluge.timeline.measures.distributions import distribution, mean_of
from lm_deluge.timeline.measures.facts import epoch, last_moment, tag_text
from lm_deluge.timeline.measures.failures import Failures
from lm_deluge.timeline.measures.names import PER_STREAM, POOLED
from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.timeline.measures.one_stream import Settings, numbers_of
from lm_deluge.timeline.measures.other_names import own_name
from lm_deluge.timeline.measures.way.joining import GroupTimes, Joined, joined
from lm_deluge.timeline.measures.way.way import WayToScreen, way_of
from lm_deluge.values.sightings import LoggedSightings
from lm_deluge.values.timeline import Timeline

__all__ = ["Group", "Settings", "distribution", "last_moment", "tag_text"]

_COLUMNS = (
    *PER_STREAM,
    "coalescing",
    "tokens_per_piece",
    "cost",
    "stalls",
    "stalled",
    "held",
    "held_up",
    "span",
    "burst",
    "silence",
    "prompt_chars",
    "failed",
    "queued",
)
_NAN = float("nan")

#: Prompts of a group whose beginning is kept, and characters of it.
_MOST_OPENINGS = 10_000
_OPENING = 100


@define(eq=False)
class Group:
    """Streams measured together: 300 bytes a stream and 20 bytes a gap, whatever their texts.

    Counts of streams: ``streams``, ``completed``, ``failed``, ``cancelled`` (their caller left),
    ``unfinished`` (the ending is missing), ``censored`` (ended without any output), ``retried``
    (more than one attempt), ``app_retries`` (an app's own retries, as a proxy saw them).
    ``retries``: attempts that failed before another, by error class;
    ``retried_ids``: of the streams that were retried.
    ``output_tokens``: of completed streams, reasoning included; pieces where the usage is unknown.
    ``icl``: seconds between the network reads of a stream that held visible tokens.
    ``lost``: token lines missing from the log. ``never``: by metric (``ttft``, ``ttfa``, ``e2e``)
    failed streams whose moment never came. ``models``: streams by the model asked for, or that
    answered where that is unknown. ``ids`` and ``prompts`` (their hash, or
    their value of the tag ``pair``; ``None`` where unknown): one per stream, in the order of ``column``.
    ``openings``: how prompts begin, by hash or value, of 10,000 at most. ``lags``: the ``d`` of tokens,
    of the streams that tell it. ``sightings``: what browsers told, by log. ``torn``, ``open_ended``: places
    of streams that lost token lines, and of those without an ending. ``drawn``: what was resampled from
    the group so far.
    """

    name: str
    settings: Settings
    streams: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    unfinished: int = 0
    censored: int = 0
    retried: int = 0
    app_retries: int = 0
    lost: int = 0
    tokens: int = 0
    output_tokens: int = 0
    good: int = 0
    gaps: array[float] = field(factory=lambda: array("d"))
    gap_counts: array[int] = field(factory=lambda: array("I"))
    icl: array[float] = field(factory=lambda: array("d"))
    icl_counts: array[int] = field(factory=lambda: array("I"))
    lags: array[float] = field(factory=lambda: array("f"), repr=False)
    lag_counts: array[int] = field(factory=lambda: array("I"), repr=False)
    sightings: list[LoggedSightings] = field(factory=list, repr=False)
    torn: set[int] = field(factory=set, repr=False)
    open_ended: set[int] = field(factory=set, repr=False)
    failures: dict[tuple[str, str | None], Failures] = field(factory=dict)
    retries: dict[str, int] = field(factory=dict)
    retried_ids: list[str] = field(factory=list, repr=False)
    never: dict[str, int] = field(factory=dict)
    models: dict[str, int] = field(factory=dict)
    ids: list[str] = field(factory=list, repr=False)
    prompts: list[str | None] = field(factory=list, repr=False)
    pair: str | None = None
    openings: dict[str, str] = field(factory=dict, repr=False)
    stall_longest: float = 0.0
    drawn: dict[object, Floats | None] = field(factory=dict, repr=False)
    _columns: dict[str, array[float]] = field(
        factory=lambda: {name: array("d") for name in _COLUMNS}
    )
    _summary: dict[str, Any] | None = None
    _summed: WayToScreen | None = None
    _way: tuple[tuple[int, ...], WayToScreen] | None = None
    _begin: float | None = None
    _end: float | None = None

    def add(self, timeline: Timeline) -> None:
        """Measure a stream and count it in."""
        settings = self.settings
        self._add_facts(timeline, len(timeline))
        self._add_gaps("gap", timeline.gaps)
        self._add_gaps("icl", timeline.chunk_gaps)
        self._add_gaps("lag", timeline.lags)
        numbers = numbers_of(timeline, settings)
        for name, column in self._columns.items():
            number = numbers.get(name)
            column.append(_NAN if number is None else number)
        if timeline.completed and all(target.is_met(timeline) for target in settings.targets):
            self.good += 1

    def add_columns(
        self,
        timelines: Sequence[Timeline],
        tokens: Sequence[int],
        columns: Mapping[str, Floats],
        pooled: Mapping[str, tuple[Floats, Counts]],
        good: int,
    ) -> None:
        """Count in streams that were measured together.

        ``timelines``: what is known of them beside their tokens, of which they had so many.
        ``columns``: what ``column`` returns of them; ``pooled`` likewise. ``good``: how many of
        them completed and met every target.
        """
        for timeline, n in zip(timelines, tokens, strict=True):
            self._add_facts(timeline, n)
        for name, column in self._columns.items():
            column.frombytes(columns[name].tobytes())
        for name, (values, counts) in pooled.items():
            self._add_gaps(name, values, counts)
        self.good += good

    def _add_facts(self, timeline: Timeline, tokens: int) -> None:
        self._summary = None
        self.drawn.clear()
        self.streams += 1
        self.tokens += tokens
        self.ids.append(timeline.stream)
        self._add_prompt(timeline)
        self.lost += timeline.lost
        if timeline.lost:
            self.torn.add(self.streams - 1)
        told = timeline.sightings
        if told is not None and not any(told is known for known in self.sightings):
            self.sightings.append(told)
        model = timeline.model or timeline.model_used
        if model:
            self.models[model] = self.models.get(model, 0) + 1
        self._add_ending(timeline, tokens)
        self.retried += timeline.retried
        self.app_retries += bool(timeline.app_retry)
        if timeline.retried:
            self.retried_ids.append(timeline.stream)
        for error in timeline.retries:
            self.retries[error] = self.retries.get(error, 0) + 1

    def _add_prompt(self, timeline: Timeline) -> None:
        key = timeline.prompt_hash
        if self.pair is not None:
            value = timeline.tags.get(self.pair)
            key = None if value is None else tag_text(value)
        self.prompts.append(key)
        if key is not None and timeline.prompt and len(self.openings) < _MOST_OPENINGS:
            self.openings.setdefault(key, timeline.prompt[:_OPENING])

    def _add_gaps(self, name: str, values: Sequence[float] | Floats, counts: Any = None) -> None:
        """Add the gaps of one stream, or of as many as there are ``counts``."""
        column, lengths = {
            "gap": (self.gaps, self.gap_counts),
            "icl": (self.icl, self.icl_counts),
            "lag": (self.lags, self.lag_counts),
        }[name]
        column.frombytes(np.asarray(values, column.typecode).tobytes())
        lengths.frombytes(np.asarray([len(values)] if counts is None else counts, "I").tobytes())
        if name == "gap" and len(values):
            longest = float(max(values) if counts is None else np.max(values))
            if longest > self.settings.stall:
                self.stall_longest = max(self.stall_longest, longest)

    def _add_ending(self, timeline: Timeline, tokens: int) -> None:
        ending = timeline.ending
        if ending is None:
            self.unfinished += 1
            self.open_ended.add(self.streams - 1)
        elif ending.kind == "complete":
            self.completed += 1
            known = timeline.usage.output_tokens if timeline.usage is not None else None
            self.output_tokens += tokens if known is None else known
        else:
            if timeline.failed:
                self.failed += 1
                self._count_never(timeline, tokens)
            else:
                self.cancelled += 1
            key = (ending.error or "unknown", ending.phase)
            failures = self.failures.setdefault(key, Failures(*key))
            failures.tokens.append(tokens)
            failures.seconds.append(ending.t)
            failures.ids.append(timeline.stream)
        if ending is not None and timeline.ttft is None:
            self.censored += 1
        begin = epoch(timeline.at)
        if begin is not None:
            end = begin + last_moment(timeline)
            self._begin = begin if self._begin is None else min(begin, self._begin)
            self._end = end if self._end is None else max(end, self._end)

    def _count_never(self, timeline: Timeline, tokens: int) -> None:
        came = {"ttft": timeline.ttft is not None, "ttfa": tokens > 0, "e2e": False}
        for name, has_come in came.items():
            if not has_come:
                self.never[name] = self.never.get(name, 0) + 1

    def column(self, name: str) -> Floats:
        """One number per stream in order of reading, NaN where undefined.

        Names: ``PER_STREAM`` and ``coalescing``, ``tokens_per_piece``, ``stalls`` (count),
        ``stalled`` (seconds), ``cost`` (US dollars), ``held`` (seconds in which handlers held the
        event loop), ``held_up`` (of them, those that a piece waited for), ``span`` (t_n - t_1),
        ``burst`` (tokens per burst), ``silence`` (seconds from burst to burst), ``prompt_chars``,
        ``failed`` (1 or 0).
        """
        return np.array(self._columns[own_name(name)])

    def pooled(self, name: str) -> tuple[Floats, Counts]:
        """Return all numbers of ``"gap"``, ``"icl"`` or ``"lag"``, and how many each stream has."""
        if name == "gap":
            return np.array(self.gaps), np.array(self.gap_counts)
        if name == "lag":
            # Held as 4 bytes, which have seven digits; the log has microseconds.
            return np.round(np.array(self.lags, float), 6), np.array(self.lag_counts)
        return np.array(self.icl), np.array(self.icl_counts)

    def values(self, name: str) -> Floats:
        """Return the defined numbers of ``column(name)``, or all of ``"gap"`` or ``"icl"``."""
        if name in POOLED:
            return self.pooled(name)[0]
        if name.startswith("seen."):
            return self.way.values(name)
        column = self.column(name)
        return column[~np.isnan(column)]

    def percentile(self, name: str, q: float) -> float | None:
        """Return a percentile of TTFT, TTFA or E2E that no failure makes better, in seconds.

        A failed stream whose moment never came counts as later than any: infinity, where the
        percentile falls among them. ``None`` where no stream got so far.
        """
        name = own_name(name)
        values = np.sort(self.values(name))
        if not len(values):
            return None
        late = self.never.get(name, 0)
        if q / 100 * (len(values) + late - 1) > len(values) - 1:
            return float("inf")
        # Where the rank ends there is no need for a finite neighbour.
        return float(np.percentile(np.append(values, np.full(late, values[-1])), q))

    @property
    def begin(self) -> float | None:
        """First start of a stream, seconds since 1970; ``None`` without wall clock."""
        return self._begin

    @property
    def end(self) -> float | None:
        """Last ending, or last output, seconds since 1970; ``None`` without wall clock."""
        return self._end

    @property
    def seconds(self) -> float | None:
        """Length of the run: first start to last ending, wall clock; ``None`` where unknown."""
        if self._begin is None or self._end is None or self._end <= self._begin:
            return None
        return self._end - self._begin

    @property
    def goodput(self) -> float | None:
        """Completed streams that met every target, per second of the run; ``None`` if unknown."""
        seconds = self.seconds
        return self.good / seconds if seconds is not None and self.settings.targets else None

    @property
    def request_throughput(self) -> float | None:
        """Completed streams per second of the run; ``None`` where its length is unknown."""
        return None if self.seconds is None else self.completed / self.seconds

    @property
    def output_token_throughput(self) -> float | None:
        """Output tokens of completed streams per second of the run; ``None`` if unknown."""
        return None if self.seconds is None else self.output_tokens / self.seconds

    def summary(self) -> dict[str, Any]:
        """Return the group's object of ``lm-deluge report --json``: the keys of docs/design/metrics.md.

        ``goodput`` is added where there are targets. Kept until the next ``add``: do not change it.
        """
        way = self.way  # which is another where browsers told more meanwhile
        if self._summary is None or self._summed is not way:
            self._summary, self._summed = self._summarize(), way
        return self._summary

    @property
    def way(self) -> WayToScreen:
        """What browsers told of the streams, by station; made anew where they told more since."""
        version = self.streams, *(told.version for told in self.sightings)
        if self._way is None or self._way[0] != version:
            self._way = version, way_of(self._joined(), self.streams, self.settings.stall)
        return self._way[1]

    def _joined(self) -> Joined:
        if not any(told.streams for told in self.sightings):
            return Joined()
        arrivals = GroupTimes(
            self.ids,
            self.column("ttfa"),
            self.column("queued"),
            self.column("failed"),
            self.pooled("gap"),
            self.pooled("lag"),
            self.torn,
            self.open_ended,
        )
        return joined(arrivals, self.sightings)

    def _summarize(self) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            "streams": self.streams,
            "completed": self.completed,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "unfinished": self.unfinished,
            "censored": self.censored,
            "tokens_per_piece": mean_of(self.values("tokens_per_piece")),
        }
        for name in ("ttft", "ttfa", "gap", "icl", "tpot", "tpot_per_token", "e2e", "rate", "qoe"):
            numbers[name] = distribution(self.values(name))
        numbers["ttfo"] = numbers["ttfa"]
        numbers["starvation"] = distribution(self.values("starvation"))
        numbers["stalls"] = self._stalls()
        numbers["coalescing"] = mean_of(self.values("coalescing"))
        for name in ("handlers", "loop_lag"):
            numbers[name] = distribution(self.values(name))
        numbers["retried"] = self.retried
        if self.app_retries:
            numbers["app_retries"] = self.app_retries
        numbers["failed_share"] = self.failed / self.streams if self.streams else None
        numbers["retried_share"] = self.retried / self.streams if self.streams else None
        costs = self.values("cost")
        numbers["cost"] = fsum(costs) if len(costs) else None
        errors: dict[str, int] = {}
        for failures in self.failures.values():
            errors[failures.error] = errors.get(failures.error, 0) + len(failures.tokens)
        numbers["errors"] = errors
        numbers["request_throughput"] = self.request_throughput
        numbers["output_token_throughput"] = self.output_token_throughput
        if self.settings.targets:
            numbers["goodput"] = self.goodput
        if self.way.is_told:
            numbers["seen"] = self.way.summary(distribution)
        return numbers

    def _stalls(self) -> dict[str, Any]:
        """Of a group without a single gap nothing is known, which is not "no stalls"."""
        if not self.gaps:
            return {"count": None, "total": None, "longest": None, "streams": None}
        counts = self.values("stalls")
        return {
            "count": int(counts.sum()),
            "total": float(self.values("stalled").sum()),
            "longest": self.stall_longest or None,
            "streams": int((counts > 0).sum()) / self.streams,
        }
