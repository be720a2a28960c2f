"""Rows of streams collected until the streams have ended, by the rules of ``LogReader``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from lm_deluge.logs.assembly import ASIDE as NO_PIECES
from lm_deluge.logs.assembly import (
    ENDINGS,
    FOREIGN,
    NEWER,
    OTHERS,
    OUTPUT_KINDS,
    OUTPUTS,
    RAW,
    SEEN,
    UNREADABLE,
    LoggedFacts,
    LoggedPiece,
    decode_piece,
    decode_rest,
    why_unreadable,
)
from lm_deluge.logs.record import SCHEMA_VERSION
from lm_deluge.timeline.columnar.lines import Lines
from lm_deluge.timeline.columnar.rows import ASIDE, CALL, REASONING, REFUSAL, TOKEN, RowList, Rows
from lm_deluge.timeline.log_files import AFTER_END, LogFiles
from lm_deluge.timeline.measures.numeric import Counts, np

if TYPE_CHECKING:
    from lm_deluge.recording.pieces import RecordedStream

__all__ = ["Batch", "Collection"]

_EVENTS = {"token": TOKEN, "reasoning": REASONING, "refusal": REFUSAL, "tool_call": CALL}
_NEVER = np.iinfo(np.int64).max

#: Rows that are worth the constant price of measuring a batch.
_WORTH = 200_000

#: Of a stream whose log lost its beginning and its end.
NOTHING_TOLD = LoggedFacts()


@frozen
class Batch:
    """Streams whose rows are all there: their ``ids``, ``facts``, and ``rows`` sorted by stream.

    ``rows.stream``: place of the stream in the batch.
    """

    ids: list[str]
    facts: list[LoggedFacts]
    rows: Rows


@define
class Collection:
    """What is known of the streams that are open, or have ended and are to be measured.

    ``files``: account of the lines. A stream is known by a number, and of one that was measured
    nothing is left but its id and two numbers: the lines in which it began and ended.
    """

    files: LogFiles
    _numbers: dict[str, int] = field(factory=dict)
    _ids: list[str] = field(factory=list)
    _first: Counts = field(factory=lambda: np.full(1024, _NEVER))
    _end: Counts = field(factory=lambda: np.full(1024, _NEVER))
    _facts: dict[int, LoggedFacts] = field(factory=dict)
    _recorded: dict[int, RecordedStream] = field(factory=dict)
    _ended: list[int] = field(factory=list)
    _parts: list[Rows] = field(factory=list)
    _new: int = 0
    _kept: int = 0

    def add(self, line: int, lines: Lines) -> None:
        """Take in the lines of a block whose first one is known by ``line``."""
        self.files.took(line, lines.count)
        numbers = np.fromiter((self._number(id_.decode()) for id_ in lines.ids), np.int64)
        which = line + lines.places
        if len(numbers):
            first = np.full(len(numbers), _NEVER)
            first[lines.streams[::-1]] = which[::-1]  # of those for one place the last counts
            self._first[numbers] = np.minimum(self._first[numbers], first)
        single = RowList()
        for place, data in lines.others:
            self._take_line(data, line + place, single)
        rows = Rows(
            which,
            numbers[lines.streams] if len(numbers) else lines.streams,
            lines.events.astype(np.int8),
            lines.t,
            lines.i,
            lines.read,
            lines.d,
            lines.busy,
        )
        if len(single):
            rows = Rows.joined((rows, single.rows()))
            rows = rows.take(np.argsort(np.abs(rows.line), kind="stable"))
        late = np.abs(rows.line) > self._end[rows.stream]
        if late.any():
            self.files.skip(AFTER_END, int(rows.line[late].min()), int(late.sum()))
            rows = rows.take(~late)
        self._parts.append(rows)
        self._new += len(rows)

    def _number(self, id_: str) -> int:
        number = self._numbers.get(id_)
        if number is None:
            number = self._numbers[id_] = len(self._ids)
            self._ids.append(id_)
            if number == len(self._first):
                room = np.full(number, _NEVER)
                self._first = np.concatenate((self._first, room))
                self._end = np.concatenate((self._end, room))
        return number

    def _take_line(self, data: bytes, line: int, rows: RowList) -> None:
        try:
            piece = decode_piece(data)
        except UNREADABLE as error:
            if not self.files.take_seen(data, line):
                self.files.skip_unreadable(data, error, line)
            return
        if piece.e == SEEN:
            self.files.take_seen(data, line)
            return
        number = self._number(piece.s)
        has_ended = self._end[number] < line
        if piece.e in NO_PIECES:
            if piece.e in RAW and self._first[number] < line and not has_ended:
                # It says how the reads of its attempt are to be read.
                self._add_raw(number, piece, data, line, rows)
            else:
                self.files.pass_over(piece.e)
            return
        problem = AFTER_END if has_ended else self._add(number, piece, data, line, rows)
        if problem is not None:
            self.files.skip(problem, line)
            return
        self._first[number] = min(self._first[number], line)
        if piece.e in ENDINGS:
            self._end[number] = line
            self._ended.append(number)
            self._recorded.pop(number, None)

    def _add(
        self, number: int, piece: LoggedPiece, data: bytes, line: int, rows: RowList
    ) -> str | None:
        """Take in a line of an open stream; return why not, if so."""
        if piece.e in RAW:
            return self._add_raw(number, piece, data, line, rows)
        if piece.v != SCHEMA_VERSION:
            return NEWER if piece.v > SCHEMA_VERSION else FOREIGN
        if piece.e == "token" or piece.e in OUTPUTS:
            return _add_piece(number, piece, data, line, rows)
        if piece.e not in OTHERS:
            return FOREIGN
        try:
            rest = decode_rest(data)
        except UNREADABLE:
            return FOREIGN
        facts = self._facts.get(number)
        if facts is None:
            facts = self._facts[number] = LoggedFacts(keep_prompt=True)
        return facts.add(piece, rest)

    def _add_raw(
        self, number: int, piece: LoggedPiece, data: bytes, line: int, rows: RowList
    ) -> str | None:
        """Take in a line of a recording; return why not, if so."""
        from lm_deluge.recording.pieces import RecordedStream

        recorded = self._recorded.get(number)
        if recorded is None:
            recorded = self._recorded[number] = RecordedStream()
        try:
            for held in recorded.pieces(data, piece.e):
                if held.e in _EVENTS:
                    _add_piece(number, held, data, -line, rows)
        except (*UNREADABLE, ValueError) as error:
            return why_unreadable(data, error)
        return None

    @property
    def is_due(self) -> bool:
        """Whether measuring is worth its while: each row that stays is moved a few times at most."""
        return self._new >= max(_WORTH, self._kept)

    def ended(self) -> Batch:
        """Return the streams that have ended since the last batch, in that order."""
        return self._batch(self._ended)

    def unfinished(self) -> Batch:
        """Return the streams that are still open, the one that began last before the others."""
        known = len(self._ids)
        is_open = (self._end[:known] == _NEVER) & (self._first[:known] != _NEVER)
        numbers = np.flatnonzero(is_open)
        return self._batch(numbers[np.argsort(-self._first[numbers])].tolist())

    def _batch(self, numbers: Sequence[int]) -> Batch:
        self._ended = []
        place = np.full(len(self._ids) + 1, -1)
        place[np.array(numbers, np.int64)] = np.arange(len(numbers))
        parts = self._parts or [RowList().rows()]
        rows = Rows.joined(parts)
        places = place[rows.stream]
        stay = places < 0
        self._parts = [rows.take(stay)]
        self._new, self._kept = 0, len(self._parts[0])
        if self._kept:
            rows = rows.take(~stay)
            places = places[~stay]
        # Of 16 bits a number is sorted by its digits.
        keys = places.astype(np.uint16) if len(numbers) < 1 << 16 else places
        order = np.argsort(keys, kind="stable")
        rows = rows.take(order)
        return Batch(
            [self._ids[number] for number in numbers],
            [self._facts.pop(number, NOTHING_TOLD) for number in numbers],
            Rows(rows.line, places[order], *(getattr(rows, name) for name in _FURTHER)),
        )


_FURTHER = ("event", "t", "i", "read", "d", "busy")


def _add_piece(
    number: int, piece: LoggedPiece, data: bytes, line: int, rows: RowList
) -> str | None:
    if piece.e == "token":
        rows.add(line, number, TOKEN, piece)
        return None
    try:
        rest = decode_rest(data)
    except UNREADABLE:
        return FOREIGN
    event = _EVENTS.get(piece.e)
    if event is None:  # a delta
        event = CALL if rest.kind in OUTPUT_KINDS else ASIDE
    rows.add(line, number, event, piece)
    return None
