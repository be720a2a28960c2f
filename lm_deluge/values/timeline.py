"""One stream's timeline in memory, and what docs/design/metrics.md defines for one stream.

All seconds are counted from t0 (just before the first attempt's request is written; monotonic
clock) to the *arrival* of bytes, unless a docstring says otherwise. What is undefined is ``None``,
never 0. The formulas are those of docs/design/metrics.md; a stream with several choices is
measured over the tokens of all of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isnan
from operator import sub
from typing import Any, Literal

from attrs import define, field, frozen

from lm_deluge.values.arrivals import floats
from lm_deluge.values.experience import quality, seconds_starved
from lm_deluge.values.lateness import Lateness, held_silences
from lm_deluge.values.sightings import LoggedSightings
from lm_deluge.values.timeline_source import TimelineContent, TimelineSource
from lm_deluge.values.usage import Usage

__all__ = [
    "CANCELLED",
    "EXPECTED_TTFT",
    "READING_RATE",
    "STALL_THRESHOLD",
    "Ending",
    "Stall",
    "Timeline",
]

STALL_THRESHOLD = 1.0
"""Seconds; a longer gap is a stall."""
READING_RATE = 4.8
"""Tokens a second that a reader takes in: Andes (arXiv 2404.16283v2), as docs/design/metrics.md has it."""
EXPECTED_TTFT = 1.0
"""Seconds until the first piece that a user expects; the default of docs/design/metrics.md."""
CANCELLED = "StreamCancelled"
"""The error of a stream that its caller cancelled or left: that one did not fail."""


@frozen
class Ending:
    """How a stream ended.

    ``kind``: ``"complete"`` or ``"error"``. ``t``: seconds from t0 to the bytes or fault that
    decided it. ``error``: class name, ``None`` when complete. ``phase``: what an error interrupted.
    """

    kind: Literal["complete", "error"]
    t: float
    error: str | None = None
    phase: str | None = None


@frozen
class Stall:
    """A silence longer than the threshold.

    ``index``: of the piece that ended it; the number of pieces where the stream failed instead.
    ``start``: seconds from t0 to the piece before it. ``seconds``: how long it lasted.
    """

    index: int
    start: float
    seconds: float


def _counts() -> array[int]:
    return array("I")


@define(eq=False, repr=False, kw_only=True)
class Timeline:
    """When the pieces of one answer arrived, and what it felt like.

    Who and when: ``stream`` (id), ``model`` (asked for; ``None`` in a log that lost its beginning),
    ``model_used`` (that answered), ``tags``, ``at`` (start, wall clock, ISO 8601 UTC), ``queued``
    (seconds waited for a slot, before t0), ``prompt_chars``, ``prompt`` (how the prompt begins) and
    ``prompt_hash`` (the same for the same prompt), both ``None`` where the log does not tell. Of a stream
    that a proxy watched, ``app_retry`` (which one of the app's own retries it is, ``None`` for a first
    request) and ``fault`` (what the proxy did to it on purpose).

    Per visible token, of all choices, in order of arrival: ``lengths`` (characters) and ``slots``
    (index into the arrays per slot); ``choices`` stays empty where all are choice 0; ``lags``
    (docs/design/metrics.md's ``d``: seconds from arrival until the inline handlers had it; NaN where unknown)
    stays empty where all are unknown. Per slot, which is a network read that held visible tokens:
    ``times`` (seconds from t0), ``reads`` (ordinal of the read; empty where unknown), ``busy``
    (docs/design/metrics.md's: seconds the handlers held the event loop before it, like ``lags``).
    ``lateness``: what the log told of both in reads of any kind; ``None`` where there is no log.
    ``texts``: visible text by choice, ``None`` from a content-free log.

    ``first_output``, ``last_output``: seconds from t0 to the first and last piece of any kind.
    ``reasoning``: whether reasoning arrived. ``retries``: the error classes of attempts that failed
    and were followed by another, where the log tells; ``retry_moments``: seconds from t0 to each such
    failure, and seconds waited before the next attempt, ``None`` where unknown.
    ``ending``: ``None`` where it is missing: the stream goes on, or its process was killed. ``usage``,
    ``cost`` (US dollars), ``finish_reason``, ``attempts``: ``None`` where unknown. ``lost``: token lines
    missing from the log. ``sightings``: what browsers told of all streams of the log, which fills while
    it is read; ``None`` where there is no log.
    """

    stream: str
    model: str | None = None
    model_used: str | None = None
    tags: Mapping[str, Any] = field(factory=dict)
    at: str | None = None
    queued: float = 0.0
    prompt_chars: int | None = None
    prompt: str | None = None
    prompt_hash: str | None = None
    fault: str | None = None
    app_retry: int | None = None
    lengths: array[int] = field(factory=_counts)
    slots: array[int] = field(factory=_counts)
    choices: array[int] = field(factory=_counts)
    lags: array[float] = field(factory=floats)
    times: array[float] = field(factory=floats)
    reads: array[int] = field(factory=_counts)
    busy: array[float] = field(factory=floats)
    lateness: Lateness | None = None
    texts: Mapping[int, str] | None = None
    first_output: float | None = None
    last_output: float | None = None
    reasoning: bool = False
    retries: Sequence[str] = ()
    retry_moments: Sequence[tuple[float, float | None]] = ()
    ending: Ending | None = None
    usage: Usage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    attempts: int | None = None
    lost: int = 0
    sightings: LoggedSightings | None = None

    @classmethod
    def from_stream(cls, source: TimelineSource, received: TimelineContent) -> Timeline:
        """Take over the engine's arrays; of a stream that still goes on, a copy of them."""
        arrivals = source.arrivals
        going_on = source.outcome not in ("complete", "error")
        columns: dict[str, Any] = {
            name: getattr(arrivals, name)
            for name in ("lengths", "slots", "choices", "times", "reads")
        }
        if going_on:
            columns = {name: column[:] for name, column in columns.items()}
        asked = getattr(received, "model", source.model)
        ending = None
        if not going_on:
            kind: Literal["complete", "error"] = (
                "complete" if source.outcome == "complete" else "error"
            )
            ending = Ending(kind, source.elapsed, source.error, source.phase)
        return cls(
            stream=source.stream_id,
            model=asked,
            model_used=source.model,
            tags=source.tags,
            at=source.at,
            queued=source.queued,
            **columns,
            texts={choice.index: choice.completion for choice in received.choices},
            first_output=arrivals.first_output,
            last_output=arrivals.last_output,
            reasoning=any(choice.reasoning for choice in received.choices),
            ending=ending,
            usage=received.usage,
            cost=getattr(received, "cost", None),
            finish_reason=received.finish_reason,
            attempts=source.attempts,
        )

    def __repr__(self) -> str:
        ending = self.ending
        how = "unfinished" if ending is None else (ending.error or ending.kind)
        return f"<Timeline {self.stream} {self.model} tokens={len(self)} {how}>"

    def __len__(self) -> int:
        """Visible tokens, as the server cut them."""
        return len(self.slots)

    @property
    def completed(self) -> bool:
        """Whether the answer became whole."""
        return self.ending is not None and self.ending.kind == "complete"

    @property
    def failed(self) -> bool:
        """Whether the answer broke: ended, but neither whole nor cancelled by its caller."""
        ending = self.ending
        return ending is not None and ending.kind == "error" and ending.error != CANCELLED

    @property
    def cancelled(self) -> bool:
        """Whether its caller cancelled or left the stream."""
        ending = self.ending
        return ending is not None and ending.kind == "error" and ending.error == CANCELLED

    @property
    def retried(self) -> bool:
        """Whether more than one attempt was made."""
        return bool(self.retries) or (self.attempts or 1) > 1

    @property
    def arrivals(self) -> list[float]:
        """The t_1 … t_n: seconds from t0 to the arrival of each visible token."""
        return list(map(self.times.__getitem__, self.slots))

    @property
    def ttft(self) -> float | None:
        """Seconds to the first piece of any output, reasoning included; ``None`` without output."""
        return self.first_output

    @property
    def ttfa(self) -> float | None:
        """Seconds to the first visible token, t_1; ``None`` without one."""
        return self.times[0] if self.times else None

    @property
    def e2e(self) -> float | None:
        """Seconds to the ending; ``None`` where it is missing."""
        return self.ending.t if self.ending is not None else None

    @property
    def tokens_per_piece(self) -> float | None:
        """The w = (output tokens - reasoning tokens) / n; ``None`` where the usage does not tell.

        It does not tell where reasoning arrived and the server did not count it apart.
        """
        usage = self.usage
        if usage is None or usage.output_tokens is None or not self.slots:
            return None
        reasoning = usage.reasoning_tokens
        if reasoning is None:
            if self.reasoning:
                return None
            reasoning = 0
        visible = usage.output_tokens - reasoning
        return visible / len(self.slots) if visible > 0 else None

    @property
    def _weight(self) -> float:
        weight = self.tokens_per_piece
        return 1.0 if weight is None else weight

    @property
    def tpot(self) -> float | None:
        """(t_n - t_1) / (n - 1): seconds per piece; ``None`` for n < 2."""
        n = len(self.slots)
        return (self.times[-1] - self.times[0]) / (n - 1) if n > 1 else None

    @property
    def tpot_per_token(self) -> float | None:
        """(t_n - t_1) / (w (n - 1)): seconds per token, w = 1 where unknown; ``None`` for n < 2."""
        tpot = self.tpot
        return tpot / self._weight if tpot is not None else None

    @property
    def rate(self) -> float | None:
        """Tokens a second, w (n - 1) / (t_n - t_1), w = 1 where unknown; ``None`` if t_n = t_1."""
        n = len(self.slots)
        if n < 2 or not self.times[-1] > self.times[0]:
            return None
        return self._weight * (n - 1) / (self.times[-1] - self.times[0])

    @property
    def gaps(self) -> list[float]:
        """Seconds t_i - t_(i-1) for i = 2 … n; after a failure also from t_n to the ending.

        Not so where the caller cancelled: nobody waited any longer.
        """
        arrivals = self.arrivals
        gaps = list(map(sub, arrivals[1:], arrivals))
        if arrivals and self.ending is not None and self.failed:
            gaps.append(max(0.0, self.ending.t - arrivals[-1]))
        return gaps

    @property
    def chunk_gaps(self) -> list[float]:
        """Seconds from one network read that held visible tokens to the next (AIPerf's ICL).

        Where reads are unknown, from one moment at which tokens arrived to the next.
        """
        return list(map(sub, self.times[1:], self.times))

    def stalls(self, threshold: float = STALL_THRESHOLD) -> list[Stall]:
        """Gaps longer than ``threshold`` seconds, in order. Raises ``ValueError`` if it is < 0."""
        if not threshold >= 0:
            message = f"threshold: seconds, not below 0; got {threshold!r}"
            raise ValueError(message)
        gaps = self.gaps
        if not gaps or max(gaps) <= threshold:
            return []
        return [
            Stall(index, self.times[self.slots[index - 1]], gap)
            for index, gap in enumerate(gaps, 1)
            if gap > threshold
        ]

    def starvation(self, rate: float = READING_RATE) -> float | None:
        """Seconds that a reader at ``rate`` tokens/s waits for text after the first piece.

        The reader starts at t_1, takes w/rate seconds for each piece and waits where the next one
        is not there yet: the sum of max(0, t_i - end of reading piece i-1). ``None`` without one.
        Raises ``ValueError`` for a rate that is not above 0.
        """
        if not self.slots:
            return None
        return seconds_starved(self.arrivals, self._seconds_per_piece(rate))

    def qoe(self, expected_ttft: float = EXPECTED_TTFT, rate: float = READING_RATE) -> float | None:
        """Quality of experience in [0, 1]; of a stream that failed 0, without a token ``None``.

        Andes, arXiv 2404.16283v2, per piece of w tokens, in the form of docs/design/metrics.md: digest times
        D_1 = max(t_1, T), D_i = max(t_i, D_(i-1) + w/r), ideal I_i = T + (i - 1) w/r,
        QoE = 1 - sum of max(0, D_i - I_i) / sum of D_i, with T ``expected_ttft`` in seconds and r
        ``rate`` in tokens/s. What the reader of a failed stream wanted never came, be it without
        any output; a stream that was cancelled or goes on counts over the pieces it has. Raises
        ``ValueError`` where T is below 0 or r not above it.
        """
        if not expected_ttft >= 0:
            message = f"expected_ttft: seconds, not below 0; got {expected_ttft!r}"
            raise ValueError(message)
        step = self._seconds_per_piece(rate)
        if self.failed:
            return 0.0
        return quality(self.arrivals, step, expected_ttft) if self.slots else None

    @property
    def coalescing(self) -> float | None:
        """Share of tokens whose network read held the token before, too; ``None`` if unknown."""
        n = len(self.slots)
        if not n or not self.reads:
            return None
        reads = 1 + sum(before != after for before, after in pairwise(self.reads))
        return (n - reads) / n

    @property
    def handlers(self) -> float | None:
        """Longest seconds that handlers held the event loop for a read; ``None`` if unknown."""
        return self._lateness.handlers

    @property
    def loop_lag(self) -> float | None:
        """Longest seconds from arrival to the handlers beyond what handlers themselves took.

        Something else held the event loop: the application, other streams, a full core. A lower
        bound: a loop that is held cannot stamp arrivals. ``None`` where ``d`` is unknown.
        """
        return self._lateness.loop_lag

    @property
    def _lateness(self) -> Lateness:
        if self.lateness is not None:
            return self.lateness
        lateness = Lateness()
        for place, slot in enumerate(self.slots if self.lags or self.busy else ()):
            lag, busy = (
                None if not values or isnan(values[index]) else values[index]
                for values, index in ((self.lags, place), (self.busy, slot))
            )
            lateness.add(slot, lag, busy)
        lateness.ended(None)
        return lateness

    @property
    def held(self) -> float | None:
        """Seconds between the first and last token in which handlers held the event loop.

        Of each silence before a read at most its own length. ``None`` where ``busy`` is unknown.
        """
        return sum(held_silences(self.times, self.busy)) if self.busy else None

    @property
    def held_up(self) -> float | None:
        """Of ``held``, the seconds after which the next piece came at once: it had waited for them.

        At once: within 5 ms. Handlers that were done before the piece was sent delayed nothing.
        """
        return sum(held_silences(self.times, self.busy, within=0.005)) if self.busy else None

    def text_around(self, index: int, characters: int = 60) -> tuple[str, str] | None:
        """Return the text before and from token ``index`` on, each at most ``characters`` long.

        Of the choice that the token (at the end: the last token) belongs to. ``None`` without text.
        """
        if self.texts is None or not self.slots:
            return None
        if self.choices:
            choice = self.choices[min(index, len(self.choices) - 1)]
            offset = sum(
                length
                for length, other in zip(self.lengths[:index], self.choices, strict=False)
                if other == choice
            )
        else:
            choice = 0
            offset = sum(self.lengths[:index])
        text = self.texts.get(choice, "")
        return text[max(0, offset - characters) : offset], text[offset : offset + characters]

    def _seconds_per_piece(self, rate: float) -> float:
        if not rate > 0:
            message = f"rate: tokens a second, above 0; got {rate!r}"
            raise ValueError(message)
        return self._weight / rate
