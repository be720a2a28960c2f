"""What docs/design/metrics.md defines for a stream, for many streams at once.

The same as the properties of ``Timeline``, which are of one stream; tests hold the two together.
Arrays have one number per stream, NaN where it is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define

from lm_deluge.timeline.columnar.rows import ASIDE, CALL, REASONING, REFUSAL, TOKEN, Rows
from lm_deluge.timeline.columnar.tokens import TokenReads, Tokens
from lm_deluge.timeline.measures.numeric import Counts, Flags, Floats, np

__all__ = ["Ragged", "between", "bursts", "coalescing", "gaps", "held", "lags", "lateness", "outputs",
           "quality", "starvation"]  # fmt: skip

#: Seconds; less than that is nothing that a log can tell, but rounding.
_NOTHING = 1e-9


@define
class Ragged:
    """Numbers of each stream, one stream after the other: ``counts`` says how many each has."""

    values: Floats
    counts: Counts

    def split(self) -> Iterator[list[float]]:
        """Yield each stream's."""
        values, begin = self.values.tolist(), 0
        for count in self.counts.tolist():
            yield values[begin : begin + count]
            begin += count

    def streams(self) -> Counts:
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sums(self) -> Floats:
        """Add up each stream's, 0 without any."""
        return np.bincount(self.streams(), self.values, minlength=len(self.counts)).astype(float)

    def of(self, which: Flags) -> Ragged:
        """Return those of some streams."""
        return Ragged(self.values[np.repeat(which, self.counts)], self.counts[which])


def gaps(tokens: Tokens, last_wait: Floats) -> Ragged:
    """Return the seconds between tokens; ``last_wait`` is added where it is known and a token came."""
    more = (tokens.counts > 0) & ~np.isnan(last_wait)
    counts = np.maximum(tokens.counts - 1, 0) + more
    begin = np.cumsum(counts) - counts
    values = np.empty(int(counts.sum()))
    inner = np.flatnonzero(tokens.rank > 0)
    place = begin[tokens.stream[inner]] + tokens.rank[inner] - 1
    values[place] = tokens.t[inner] - tokens.t[inner - 1]
    values[(begin + counts - 1)[more]] = last_wait[more]
    return Ragged(values, counts)


def lags(tokens: Tokens) -> Ragged:
    """Return the ``d`` of all tokens, of the streams of which any is known."""
    known = ~np.isnan(tokens.d)
    if known.all():
        return Ragged(tokens.d, tokens.counts)
    has = np.bincount(tokens.stream[known], minlength=len(tokens.counts)) > 0
    return Ragged(tokens.d[has[tokens.stream]], np.where(has, tokens.counts, 0))


def between(slots: TokenReads) -> Ragged:
    """Return the seconds between network reads that held tokens."""
    same = slots.stream[1:] == slots.stream[:-1]
    return Ragged(np.diff(slots.t)[same], np.maximum(slots.counts - 1, 0))


def bursts(silences: Ragged, tokens: Counts, least: float) -> tuple[Floats, Floats]:
    """Return tokens per burst and seconds between bursts, where a silence above ``least`` ends one."""
    pause = silences.values > least
    stream = silences.streams()[pause]
    n = np.bincount(stream, minlength=len(tokens))
    total = np.bincount(stream, silences.values[pause], minlength=len(tokens))
    burst = np.where(tokens > 1, tokens / (n + 1), np.nan)
    silence = np.full(len(tokens), np.nan)
    has = (n > 0) & (tokens > 1)
    silence[has] = total[has] / n[has]
    return burst, silence


def coalescing(slots: TokenReads, tokens: Counts) -> Floats:
    """Return the shares of tokens whose network read held the token before, too."""
    n = len(tokens)
    unknown = np.bincount(slots.stream[slots.read < 0], minlength=n) > 0
    change = (slots.stream[1:] == slots.stream[:-1]) & (slots.read[1:] != slots.read[:-1])
    reads = 1 + np.bincount(slots.stream[1:][change], minlength=n)
    share = np.full(n, np.nan)
    has = (tokens > 0) & ~unknown
    share[has] = (tokens[has] - reads[has]) / tokens[has]
    return share


def held(slots: TokenReads, silences: Ragged, within: float) -> Floats:
    """Return the seconds in silences in which handlers held the loop.

    Of those after which the next read came within so many seconds.
    """
    n = len(slots.counts)
    known = np.bincount(slots.stream[~np.isnan(slots.busy)], minlength=n) > 0
    same = slots.stream[1:] == slots.stream[:-1]
    busy = slots.busy[1:][same]
    with np.errstate(invalid="ignore"):
        soon = ~np.isnan(busy) & (silences.values - busy <= within)
    shares = np.where(soon, np.minimum(busy, silences.values), 0.0)
    return np.where(known, Ragged(shares, silences.counts).sums(), np.nan)


def starvation(tokens: Tokens, step: Floats) -> Floats:
    """Return the seconds that readers who start at t_1 wait: the most that a piece is late for them.

    ``step``: seconds a piece. The end of reading piece i is i step after the largest t_j - j step
    up to it, so that all waiting together is the last largest less the first.
    """
    longest = _largest(tokens, step) - tokens.firsts()
    return np.where(longest > _NOTHING, longest, np.where(np.isnan(longest), np.nan, 0.0))


def _largest(tokens: Tokens, step: Floats) -> Floats:
    largest = np.full(len(step), np.nan)
    has = tokens.counts > 0
    if has.any():
        ready = tokens.t - tokens.rank * step[tokens.stream]
        largest[has] = np.maximum.reduceat(ready, tokens.begin[has])
    return largest


def quality(tokens: Tokens, step: Floats, expected: float) -> Floats:
    """Return QoE of the pieces that came: ``Timeline.qoe`` without what a failure makes of it.

    D_i - i step is the largest of T and t_j - j step up to i; where that is never above T, the
    reader never waited.
    """
    result = np.where(tokens.counts > 0, 1.0, np.nan)
    late = np.flatnonzero(_largest(tokens, step) > expected + 1e-12)
    for stream in late.tolist():
        begin, n = int(tokens.begin[stream]), int(tokens.counts[stream])
        ideal = np.arange(n) * step[stream]
        ready = np.maximum(np.maximum.accumulate(tokens.t[begin : begin + n] - ideal), expected)
        total = ready.sum() + ideal.sum()
        result[stream] = max(0.0, 1.0 - (ready - expected).sum() / total)
    return result


def outputs(rows: Rows, streams: int, tokens: Tokens) -> tuple[Floats, Floats, Flags]:
    """Return the first and last moment of any output, and whether reasoning was among it."""
    first, last = tokens.firsts(), tokens.lasts()
    other = rows.event != TOKEN
    reasoning = np.zeros(streams, bool)
    if other.any():
        other = (rows.event == CALL) | (rows.event == REASONING) | (rows.event == REFUSAL)
        stream, t = rows.stream[other], rows.t[other]
        begin, end = np.full(streams, np.nan), np.full(streams, np.nan)
        begin[stream[::-1]] = t[::-1]  # of those for one place the last counts
        end[stream] = t
        first, last = np.fmin(first, begin), np.fmax(last, end)
        reasoning[rows.stream[rows.event == REASONING]] = True
    return first, last, reasoning


def lateness(rows: Rows, told_at_end: Floats) -> tuple[Floats, Floats]:
    """Return the longest that handlers and something else held the loop: ``Lateness`` has the rules.

    ``told_at_end``: ``busy`` of each stream's ending, NaN where unknown.
    """
    streams = len(told_at_end)
    other = (rows.event == CALL) | (rows.event == ASIDE)
    aside = np.cumsum(other) if other.any() else None
    if aside is not None:
        aside = aside[~other]
        pieces = rows.take(~other)
        more = np.bincount(rows.stream[other], minlength=streams)
        aside_end = np.cumsum(more)
    else:
        pieces = rows
    handlers, lag = told_at_end.copy(), np.full(streams, np.nan)
    if not len(pieces):
        return handlers, lag
    key = np.where(pieces.read >= 0, pieces.read, pieces.t)
    new = np.ones(len(pieces), bool)
    new[1:] = (pieces.stream[1:] != pieces.stream[:-1]) | (key[1:] != key[:-1])
    first = np.flatnonzero(new)
    stream, busy = pieces.stream[first], pieces.busy[first]
    d = np.where(np.isnan(pieces.d), -1.0, pieces.d)
    longest = d if len(first) == len(d) else np.maximum.reduceat(d, first)
    # What a read's handlers took is told by the next read, or the ending.
    own = np.append(busy[1:], np.nan)
    is_last = np.append(stream[1:] != stream[:-1], True)
    own[is_last] = told_at_end[stream[is_last]]
    if aside is not None:
        before_next = np.append(aside[first[1:]], 0)
        before_next[is_last] = aside_end[stream[is_last]]
        own[before_next > aside[first]] = np.nan
    waited = np.where(np.isnan(own), d[first], longest)
    lags = np.maximum(0.0, waited - np.nan_to_num(busy) - np.nan_to_num(own))
    lags[waited < 0] = np.nan
    begins = np.flatnonzero(np.append(True, stream[1:] != stream[:-1]))
    which = stream[begins]
    handlers[which] = np.fmax(handlers[which], np.fmax.reduceat(busy, begins))
    lag[which] = np.fmax.reduceat(lags, begins)
    return handlers, lag
