"""A block of a log read into columns: lines of the usual shape all at once, the others left over.

The usual shape is that of ``logs.record``: a token, or a piece of reasoning or refusal, with these
keys in this order and no others, numbers of a log's size, no spaces. Whatever differs, be it ever so
little, is left to ``logs.assembly``, which also tells what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from lm_deluge.timeline.columnar.words import PAD, Text
from lm_deluge.timeline.measures.numeric import Counts, Flags, Floats, Words, np

__all__ = ["REASONING", "REFUSAL", "TOKEN", "Lines", "lines_of"]

TOKEN, REASONING, REFUSAL = 0, 1, 2
"""Events of lines in columns."""

_NEWLINE, _QUOTE, _BACKSLASH, _CLOSE = b'\n"\\}'

#: Quotes of ``{"v":1,"e":"token","s":"…","t":``.
_HEAD = 12

#: Quotes that a usual line has at most, and more.
_MORE = 32

#: Bytes of a stream's id; of a longer one the lines are left over.
_LONGEST_ID = 40

#: Rounds of looking for a stream's lines by a hash of its id, before the rest is left over.
_ROUNDS = 8
_SLOTS = 15
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5,
        0x85EBCA77C2B2AE63)  # fmt: skip


@frozen
class Lines:
    """Lines of a block in columns, in their order, and the ``others``.

    ``places``: numbers of the lines in the block, from 0. ``streams``: indexes into ``ids``, UTF-8.
    ``events``: ``TOKEN``, ``REASONING``, ``REFUSAL``. ``t``, ``d``, ``busy``: seconds, NaN where
    left out. ``i``, ``read``: -1 where left out. ``others``: place and bytes of each line that is not in
    columns, blank ones included. ``count``: of all lines.
    """

    places: Counts
    streams: Counts
    ids: list[bytes]
    events: Counts
    t: Floats
    i: Counts
    read: Counts
    d: Floats
    busy: Floats
    others: list[tuple[int, bytes]]
    count: int


class _Walk:
    """The lines of a block that may be usual, and how far each was read."""

    def __init__(self, text: Text, quotes: Counts, last: Counts) -> None:
        self.text = text
        self.quotes = quotes
        self.last = last
        self.here = last
        self.quote = last
        self.end = last
        self.usual: Flags = np.ones(len(last), bool)

    def value_end(self, quote: Counts, rows: Any) -> Counts:
        """Return where a number ends: before the comma of the next key, or of the whole line."""
        is_last = quote >= self.last[rows]
        return np.where(is_last, self.end[rows], self.quotes[quote] - 1)

    def number(
        self,
        key: bytes,
        read: Callable[[Counts, Counts], tuple[Any, Flags]],
        missing: Any,
    ) -> Any:
        """Read a number where its key comes next; return one per line."""
        there = self.text.has(self.here, key) & self.usual
        if there.all():  # no need to pick them out
            self.quote = self.quote + 2
            end = self.value_end(self.quote, slice(None))
            values, right = read(self.here + len(key), end)
            self.usual = right
            self.here = end
            return values
        values = np.full(len(self.here), missing)
        rows = np.flatnonzero(there)
        if len(rows):
            quote = self.quote[rows] + 2
            end = self.value_end(quote, rows)
            values[rows], right = read(self.here[rows] + len(key), end)
            self.usual[rows] = right
            self.here[rows] = end
            self.quote[rows] = quote
        return values

    def pass_text(self) -> None:
        there = self.text.has(self.here, b',"text":') & self.usual
        # A string: the quotes after the key's are its own.
        there &= self.text.bytes[self.here + 8] == _QUOTE
        if there.all():
            self.here = self.quotes[self.quote + 3] + 1
            self.quote = self.quote + 4
            return
        rows = np.flatnonzero(there)
        self.here[rows] = self.quotes[self.quote[rows] + 3] + 1
        self.quote[rows] += 4


def lines_of(block: bytes) -> Lines:
    """Read a block of whole lines, without the newline of the last."""
    padded = b" " * PAD + block + b"\n" + b" " * (PAD + _LONGEST_ID)
    text = Text(padded)
    ends = np.flatnonzero(text.bytes == _NEWLINE)
    starts = np.concatenate(([PAD], ends[:-1] + 1))
    doubtful, quotes = _quotes(block, text.bytes, ends)
    first = np.searchsorted(quotes, starts)
    last = np.append(first[1:], len(quotes) - _MORE)
    maybe = text.has(starts, b'{"v":1,"e":"') & (last - first > _HEAD)
    maybe &= text.bytes[ends - 1] == _CLOSE
    maybe &= ~doubtful
    rows = np.flatnonzero(maybe)
    columns, names = _columns(text, quotes, starts[rows], ends[rows] - 1, first[rows], last[rows])
    usual = columns.pop("usual")
    places = rows[usual]
    left = np.ones(len(starts), bool)
    left[places] = False
    others = [
        (place, padded[begin:end])
        for place, begin, end in zip(
            np.flatnonzero(left).tolist(), starts[left].tolist(), ends[left].tolist(), strict=True
        )
    ]
    columns = {name: column[usual] for name, column in columns.items()}
    return Lines(places=places, ids=names, others=others, count=len(starts), **columns)


def _quotes(block: bytes, data: Any, ends: Counts) -> tuple[Flags, Counts]:
    """Return which lines are to be read one by one, and where quotes are that are not escaped."""
    doubtful = np.zeros(len(ends), bool)
    quote = data == _QUOTE
    if b"\\" in block:
        places = np.flatnonzero(data == _BACKSLASH)
        after = data[places + 1]
        quote[places[after == _QUOTE] + 1] = False
        strange = ~np.isin(after, np.frombuffer(b'"nrtbf/', np.uint8))
        doubtful[np.searchsorted(ends, places[strange])] = True
    control = data < 32
    if np.count_nonzero(control) > len(ends):
        places = np.flatnonzero(control & (data != _NEWLINE))
        doubtful[np.searchsorted(ends, places)] = True
    if not block.isascii() and not _is_utf8(block):
        doubtful[np.searchsorted(ends, np.flatnonzero(data > 127))] = True
    # Some more, at the end, so that every line can be asked for the quotes of a usual one.
    quote[-_MORE:] = True
    return doubtful, np.flatnonzero(quote)


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _columns(
    text: Text, quotes: Counts, begin: Counts, end: Counts, first: Counts, last: Counts
) -> tuple[dict[str, Any], list[bytes]]:
    """Read the lines from ``begin`` to the brace at ``end``, whose quotes are ``first`` to ``last``."""
    walk = _Walk(text, quotes, last)
    walk.end = end
    event_end = quotes[first + 5]
    id_begin = event_end + 7
    id_end = quotes[first + 9]
    events = _events(text, begin + 12)
    walk.usual &= events >= 0
    walk.usual &= text.has(event_end, b'","s":"') & text.has(id_end, b'","t":')
    walk.usual &= (id_end >= id_begin) & (id_end - id_begin <= _LONGEST_ID)
    walk.quote = first + _HEAD
    walk.here = walk.value_end(walk.quote, slice(None))
    t, right = text.seconds(id_end + 6, walk.here)
    walk.usual &= right
    i = walk.number(b',"i":', text.counts, -1)
    walk.usual &= i >= 0
    walk.pass_text()
    walk.number(b',"len":', text.counts, -1)
    read = walk.number(b',"read":', text.counts, -1)
    d = walk.number(b',"d":', text.seconds, np.nan)
    busy = walk.number(b',"busy":', text.seconds, np.nan)
    walk.number(b',"choice":', text.counts, -1)
    walk.usual &= (walk.here == end) & (walk.quote == last)
    streams = np.full(len(begin), -1)
    rows = np.flatnonzero(walk.usual)
    names: list[bytes] = []
    if len(rows):
        streams[rows], owners = _streams(text, id_begin[rows], (id_end - id_begin)[rows])
        owners = rows[owners]
        names = [
            text.bytes[a:b].tobytes()
            for a, b in zip(id_begin[owners].tolist(), id_end[owners].tolist(), strict=True)
        ]
        # An id with an escape in it is not written as it reads.
        escaped = np.array([b"\\" in name for name in names])
        walk.usual &= (streams >= 0) & ~escaped[streams]
    columns = {"t": t, "i": i, "read": read, "d": d, "busy": busy, "events": events}
    return {**columns, "streams": streams, "usual": walk.usual}, names


def _events(text: Text, begin: Counts) -> Counts:
    events = np.full(len(begin), -1)
    events[text.has(begin, b'token"')] = TOKEN
    for event, name in ((REASONING, b'reasoning"'), (REFUSAL, b'refusal"')):
        rows = np.flatnonzero(events < 0)
        if len(rows):
            events[rows[text.has(begin[rows], name)]] = event
    return events


def _streams(text: Text, begin: Counts, length: Counts) -> tuple[Counts, Counts]:
    """Number the streams of lines by their ids; return also a line of each. -1: not found out."""
    words, columns = text.codes(begin, length)
    mixed: Words = np.zeros(len(begin), np.uint64)
    for column in range(columns):
        mixed ^= words[:, column] * np.uint64(_MIX[column])
        mixed ^= mixed >> np.uint64(29)
    slots = ((mixed * np.uint64(_MIX[0])) >> np.uint64(64 - _SLOTS)).astype(np.int64)
    owner_of = np.zeros(1 << _SLOTS, np.int64)
    numbers = np.full(len(begin), -1)
    owners: list[Counts] = []
    known = 0
    left = np.arange(len(begin))
    for _ in range(_ROUNDS):
        taken = slots[left]
        owner_of[taken] = left
        owner = owner_of[taken]
        new = left[owner == left]
        numbers[new] = known + np.arange(len(new))
        known += len(new)
        owners.append(new)
        same = (words[left] == words[owner]).all(axis=1)
        numbers[left[same]] = numbers[owner[same]]
        left = left[~same]
        if not len(left):
            break
    return numbers, np.concatenate(owners)
