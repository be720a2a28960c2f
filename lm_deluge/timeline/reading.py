"""Read timeline logs, and recordings as such: many streams interleaved, many processes, damage.

In memory are compact arrays for the streams that are still open; a stream is handed out as soon as
its ending was read. What cannot be read is skipped and counted by reason, with its first place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lm_deluge.logs.assembly import (
    ASIDE,
    ENDINGS,
    RAW,
    SEEN,
    UNREADABLE,
    LoggedPiece,
    OpenStream,
    decode_piece,
    why_unreadable,
)
from lm_deluge.timeline.log_files import AFTER_END, BlockOfLines, LogFiles, Skipped, Source
from lm_deluge.values.checks import checked_flag, checked_names, wrong_type
from lm_deluge.values.foreign import shown
from lm_deluge.values.timeline import Timeline

if TYPE_CHECKING:
    from lm_deluge.recording.pieces import RecordedStream

__all__ = ["LogReader", "Skipped", "Source", "read_timelines"]

_SOURCES = "a path, a glob pattern, '-', a binary file object or a list of them"

#: How every line begins that this library writes, up to the stream's id.
_ID = re.compile(rb'\{"v":1,"e":"[a-z_]+","s":"([^"\\]*)"')


class LogReader(Iterator[Timeline]):
    """Iterate the timelines of logs, each at its ending; those without one come last.

    ``unfinished``: streams whose ending is missing, known once the iteration is over. ``files``: what
    is read, and the account of it. ``keeps_text``: whether the texts of answers and prompts are kept.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        text: bool = True,
        only: Collection[str] | None = None,
    ) -> None:
        self.unfinished = 0
        self.files = LogFiles.of(sources)
        self.keeps_text = text
        self._only = None if only is None else frozenset(only)
        # Compared as they are written: a line of another stream is not even decoded.
        self._only_written = frozenset(_written(only) if only is not None else ())
        self._open: dict[str, OpenStream] = {}
        self._ended: set[str] = set()
        self._recorded: dict[str, RecordedStream] = {}
        self._iterator: Iterator[Timeline] | None = None

    def __next__(self) -> Timeline:
        if self._iterator is None:
            self._iterator = self._read()
        return next(self._iterator)

    @property
    def is_whole(self) -> bool:
        """Whether all streams of the files are asked for, and none was handed out yet."""
        return self._only is None and self._iterator is None

    @property
    def lines(self) -> int:
        """Lines seen so far, blank ones not counted."""
        return self.files.lines

    @property
    def skipped(self) -> list[Skipped]:
        """What was not read so far, most frequent reason first."""
        return self.files.skipped

    @property
    def skipped_lines(self) -> int:
        """How many lines were not read so far."""
        return self.files.skipped_lines

    @property
    def beside(self) -> dict[str, int]:
        """Lines so far that are part of no stream's timeline, by event (``request``, ``note``)."""
        return self.files.beside

    @property
    def foreign(self) -> list[str]:
        """Sources that are no logs: something is in them, and not a line that belongs there.

        A log whose only line is half written is one.
        """
        return self.files.foreign

    @property
    def sources(self) -> list[Source]:
        """What is read: patterns resolved, each file once."""
        return list(self.files.sources)

    def _read(self) -> Iterator[Timeline]:
        for block in self.files.blocks():
            yield from self._parse(block)
        self.unfinished = len(self._open)
        while self._open:
            yield self._timeline(self._open.popitem()[1])

    def _timeline(self, stream: OpenStream) -> Timeline:
        timeline = stream.timeline()
        timeline.sightings = self.files.sightings
        return timeline

    def _parse(self, block: BlockOfLines) -> Iterator[Timeline]:
        streams = self._open
        files = self.files
        for number, line, piece in self._decoded(block):
            stream = streams.get(piece.s)
            if piece.e in ASIDE:
                if piece.e == SEEN:
                    files.take_seen(line, number)
                elif piece.e in RAW and stream is not None:
                    # It says how the reads of its attempt are to be read.
                    self._add_raw(stream, piece, line)
                else:
                    files.pass_over(piece.e)
                continue
            if stream is None:
                if piece.s in self._ended:
                    files.skip(AFTER_END, number)
                    continue
                stream = OpenStream(piece.s, self.keeps_text)
            is_raw = piece.e in RAW
            problem = self._add_raw(stream, piece, line) if is_raw else stream.add(piece, line)
            if problem is not None:
                files.skip(problem, number)
            elif piece.e in ENDINGS:
                self._ended.add(piece.s)
                streams.pop(piece.s, None)
                self._recorded.pop(piece.s, None)
                yield self._timeline(stream)
            else:
                streams[piece.s] = stream

    def _decoded(self, block: BlockOfLines) -> Iterator[tuple[int, bytes, LoggedPiece]]:
        """Yield the lines that can be read and are asked for."""
        files = self.files
        only, written = self._only, self._only_written
        lines = block.data.split(b"\n")
        files.took(block.line, len(lines))
        for number, line in enumerate(lines, block.line):
            if only is not None:
                found = _ID.match(line)
                if found is not None and found[1] not in written:
                    continue
            try:
                piece = decode_piece(line)
            except UNREADABLE as error:
                if not files.take_seen(line, number, only):
                    files.skip_unreadable(line, error, number)
            else:
                if only is None or piece.s in only:
                    yield number, line, piece

    def _add_raw(self, stream: OpenStream, line: LoggedPiece, raw: bytes) -> str | None:
        """Take in a line of a recording; return why not, if so."""
        from lm_deluge.recording.pieces import RecordedStream

        recorded = self._recorded.get(line.s)
        if recorded is None:
            recorded = self._recorded[line.s] = RecordedStream()
        try:
            for piece in recorded.pieces(raw, line.e):
                stream.add(piece, raw)
        except (*UNREADABLE, ValueError) as error:
            return why_unreadable(raw, error)
        return None


def read_timelines(
    sources: Iterable[Source] | Source,
    *,
    text: bool = True,
    only: Collection[str] | None = None,
) -> LogReader:
    """Read logs and recordings; return an iterator of ``Timeline``s that also counts what it skipped.

    ``sources``: paths (also gzip-compressed, told by their first bytes), glob patterns, ``"-"`` for
    standard input, binary file objects; one or several. A file named twice is read once.
    ``text=False`` drops the texts of answers and prompts while reading. ``only``: ids; other streams are
    passed over, and damage in their lines is not looked for.

    Memory: of a stream that is still open 16 bytes a token, 20 bytes a network read and its text;
    of one that has ended its id; of what browsers told 16 bytes a piece and reader, of 8,000,000 pieces
    at most. Raises ``FileNotFoundError`` at once for a path or pattern that names no file; other
    ``OSError``s when the file's turn comes. Raises ``TypeError`` for what is no source, and for ids that
    are no ``str``.
    """
    checked_flag("text", text)
    if only is not None:
        only = frozenset(checked_names("only", only, what="stream ids"))
    if _is_source(sources):
        return LogReader([cast("Source", sources)], text=text, only=only)
    if isinstance(sources, (bytes, Mapping)) or not isinstance(sources, Iterable):
        raise wrong_type("sources", _SOURCES, sources)
    listed = [cast("Source", source) for source in sources]
    for source in listed:
        if not _is_source(source):
            raise TypeError(f"sources must be {_SOURCES}, not with {shown(source)} in it")
    return LogReader(listed, text=text, only=only)


def _written(ids: Iterable[str]) -> Iterator[bytes]:
    """Yield ids as UTF-8; a lone surrogate is in no log."""
    for each in ids:
        yield each.encode("utf-8", "replace")


def _is_source(value: object) -> bool:
    return isinstance(value, (str, Path)) or callable(getattr(value, "read", None))
