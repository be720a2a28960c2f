"""The visible tokens of many streams: those that belong there, and the network reads that held them."""

from __future__ import annotations

from attrs import define, frozen

from lm_deluge.logs.assembly import BACKWARDS, TWICE
from lm_deluge.timeline.columnar.rows import TOKEN, Rows
from lm_deluge.timeline.log_files import LogFiles
from lm_deluge.timeline.measures.numeric import Counts, Flags, Floats, np

__all__ = ["TokenReads", "Tokens", "in_order"]


def in_order(rows: Rows, streams: int, files: LogFiles) -> tuple[Rows, Counts]:
    """Return the rows without tokens seen before or out of time, and how many tokens each stream lost.

    ``rows`` are sorted by stream, of which there are ``streams``. What is left out is counted.
    """
    tokens = np.flatnonzero(rows.event == TOKEN)
    stream, i, t = rows.stream[tokens], rows.i[tokens], rows.t[tokens]
    n = np.bincount(stream, minlength=streams)
    unknown = np.bincount(stream[i < 0], minlength=streams)
    wrong = (unknown > 0) & (unknown < n)
    same = stream[1:] == stream[:-1]
    bad = same & ((t[1:] < t[:-1]) | ((i[1:] <= i[:-1]) & (i[1:] >= 0)))
    wrong[stream[1:][bad]] = True
    lost = np.zeros(streams, np.int64)
    last = np.append(~same, True)[: len(tokens)]
    lost[stream[last]] = i[last] + 1 - n[stream[last]]
    lost[unknown > 0] = 0
    if not wrong.any():
        return rows, lost
    keep = np.ones(len(rows), bool)
    for number in np.flatnonzero(wrong).tolist():
        begin, end = np.searchsorted(stream, (number, number + 1))
        lost[number] = _in_order(rows, tokens[begin:end], keep, files)
    return rows.take(keep), lost


def _in_order(rows: Rows, tokens: Counts, keep: Flags, files: LogFiles) -> int:
    """Look at the tokens of one stream one by one, as ``OpenStream`` does; return how many it lost."""
    time, following, lost = -1.0, 0, 0
    for place in tokens.tolist():
        t, i = float(rows.t[place]), int(rows.i[place])
        problem = BACKWARDS if t < time else TWICE if 0 <= i < following else None
        if problem is not None:
            keep[place] = False
            if rows.line[place] > 0:
                files.skip(problem, int(rows.line[place]))
            continue
        if i > following:
            lost += i - following
            following = i
        following += 1
        time = t
    return lost


@frozen
class TokenReads:
    """Network reads that held visible tokens, of many streams one after the other.

    ``stream``: of each; ``counts``: how many each stream has; ``t`` seconds, ``read`` ordinal or -1,
    ``busy`` seconds or NaN.
    """

    stream: Counts
    counts: Counts
    t: Floats
    read: Counts
    busy: Floats


@define
class Tokens:
    """Visible tokens of many streams, sorted by stream, in order of arrival.

    ``stream``, ``t``, ``busy``, ``read``, ``d``: of each token. ``counts``: tokens of each stream; ``begin``:
    the first one's place. ``rank``: of each token in its stream, from 0.
    """

    stream: Counts
    t: Floats
    read: Counts
    busy: Floats
    d: Floats
    counts: Counts
    begin: Counts
    rank: Counts

    @classmethod
    def of(cls, rows: Rows, streams: int) -> Tokens:
        """Take the tokens out of ``rows``."""
        which = rows.event == TOKEN
        if not which.all():
            rows = rows.take(which)
        counts = np.bincount(rows.stream, minlength=streams)
        begin = np.cumsum(counts) - counts
        rank = np.arange(len(rows)) - begin[rows.stream]
        return cls(rows.stream, rows.t, rows.read, rows.busy, rows.d, counts, begin, rank)

    def firsts(self) -> Floats:
        """Return each stream's first arrival, NaN without one."""
        return self._at(self.begin)

    def lasts(self) -> Floats:
        """Return each stream's last arrival, NaN without one."""
        return self._at(self.begin + self.counts - 1)

    def _at(self, places: Counts) -> Floats:
        found = np.full(len(self.counts), np.nan)
        has = self.counts > 0
        found[has] = self.t[places[has]]
        return found

    def slots(self) -> TokenReads:
        """Put together the tokens that came at one moment in one read."""
        new = self.rank == 0
        new[1:] |= (self.t[1:] != self.t[:-1]) | (self.read[1:] != self.read[:-1])
        first = np.flatnonzero(new)
        if len(first) == len(self.t):
            return TokenReads(self.stream, self.counts, self.t, self.read, self.busy)
        stream = self.stream[first]
        busy = np.full(len(first), np.nan)
        # What the last one told that told anything.
        told = np.maximum.reduceat(
            np.where(np.isnan(self.busy), -1, np.arange(len(self.busy))), first
        )
        busy[told >= 0] = self.busy[told[told >= 0]]
        counts = np.bincount(stream, minlength=len(self.counts))
        return TokenReads(stream, counts, self.t[first], self.read[first], busy)
