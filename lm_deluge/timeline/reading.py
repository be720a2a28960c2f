"""Read timeline logs, and recordings as such: many streams interleaved, many processes, damage.

In memory are compact arrays for the streams that are still open; a stream is handed out as soon as
its ending was read. What cannot be read is skipped and counted by reason, with its first place.
"""

from __future__ import annotations

import glob
import gzip
import io
import re
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from attrs import define

from lm_deluge.logs.assembly import (
    ASIDE,
    ENDINGS,
    FOREIGN,
    NEWER,
    UNREADABLE,
    LoggedPiece,
    OpenStream,
    decode_piece,
    why_unreadable,
)
from lm_deluge.values.checks import checked_flag, wrong_type
from lm_deluge.values.foreign import shown
from lm_deluge.values.timeline import Timeline

if TYPE_CHECKING:
    from lm_deluge.recording.pieces import RecordedStream

__all__ = ["LogReader", "Skipped", "Source", "read_timelines"]

Source = str | Path | IO[bytes]
"""A path, a glob pattern, ``"-"`` for standard input, or a binary file object."""

_SOURCES = "a path, a glob pattern, '-', a binary file object or a list of them"

AFTER_END = "after the ending of its stream"
TOO_LONG = "line longer than 64 MB"
CUT_GZIP = "compressed data damaged or cut"

#: Lines of a recording, which holds the bytes of an answer in the place of its tokens.
_RAW = frozenset({"request", "head", "read", "close"})

#: How every line begins that this library writes, half lines included.
_BEGINNING = b'{"v":'

#: The same up to the stream's id.
_ID = re.compile(rb'\{"v":1,"e":"[a-z_]+","s":"([^"\\]*)"')

#: Reasons that half a line of ours never has.
_NOT_OURS = (FOREIGN, NEWER, TOO_LONG, CUT_GZIP)

_CHUNK = 1 << 20
_LONGEST_LINE = 64 << 20


@define
class Skipped:
    """Lines that were not read: ``reason``, ``count``, and the ``first`` one's ``file:line``."""

    reason: str
    count: int
    first: str


class LogReader(Iterator[Timeline]):
    """Iterate the timelines of logs, each at its ending; those without one come last.

    ``skipped``: what was not read so far, by reason. ``lines``: lines seen so far, blank ones not
    counted. ``unfinished``: streams whose ending is missing, known once the iteration is over.
    ``foreign``: sources that are no logs so far: something is in them, and not a line that belongs
    there. A log whose only line is half written is one.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        text: bool = True,
        only: Collection[str] | None = None,
    ) -> None:
        self.lines = 0
        self.unfinished = 0
        self.foreign: list[str] = []
        self._text = text
        self._only = None if only is None else frozenset(only)
        # Compared as they are written: a line of another stream is not even decoded.
        self._only_written = frozenset(_written(only) if only is not None else ())
        self._sources = list(_expand(sources))
        self._skipped: dict[str, Skipped] = {}
        self._open: dict[str, OpenStream] = {}
        self._ended: set[str] = set()
        self._recorded: dict[str, RecordedStream] = {}
        self._name = ""
        self._number = 0
        self._looks_like_a_log = True
        self._iterator = self._read()

    def __next__(self) -> Timeline:
        return next(self._iterator)

    @property
    def skipped(self) -> list[Skipped]:
        """What was not read so far, most frequent reason first."""
        return sorted(self._skipped.values(), key=lambda skipped: -skipped.count)

    @property
    def skipped_lines(self) -> int:
        """How many lines were not read so far."""
        return sum(skipped.count for skipped in self._skipped.values())

    @property
    def sources(self) -> list[Source]:
        """What is read: patterns resolved, each file once."""
        return list(self._sources)

    @property
    def _taken(self) -> int:
        """How many lines were read and taken in."""
        cut = self._skipped.get(CUT_GZIP)  # which is no line
        return self.lines - self.skipped_lines + (cut.count if cut is not None else 0)

    def _skip(self, reason: str, number: int) -> None:
        if reason in _NOT_OURS:
            self._looks_like_a_log = False
        entry = self._skipped.get(reason)
        if entry is None:
            self._skipped[reason] = Skipped(reason, 1, f"{self._name}:{number}")
        else:
            entry.count += 1

    def _read(self) -> Iterator[Timeline]:
        for source in self._sources:
            self._name = _name(source)
            self._number = 1
            self._looks_like_a_log = True
            taken_before = self._taken
            for block in self._blocks(source):
                lines = block.split(b"\n")
                yield from self._parse(lines)
                self._number += len(lines)
            if not self._looks_like_a_log and self._taken == taken_before:
                self.foreign.append(self._name)
        self.unfinished = len(self._open)
        while self._open:
            yield self._open.popitem()[1].timeline()

    def _blocks(self, source: Source) -> Iterator[bytes]:
        """Cut a file into blocks of whole lines, each without its last newline."""
        rest: list[bytes] = []
        held = 0
        too_long = False
        with ExitStack() as stack:
            file = _binary(source, stack)
            while chunk := self._chunk(file):
                head, newline, tail = chunk.rpartition(b"\n")
                if not newline:
                    rest.append(chunk)
                    held += len(chunk)
                else:
                    if too_long:  # an empty line in its place, so that the next keeps its number
                        head = head[head.find(b"\n") :] if b"\n" in head else b""
                        rest, too_long = [], False
                    yield b"".join((*rest, head))
                    rest, held = [tail], len(tail)
                if held > _LONGEST_LINE:
                    if not too_long:
                        self.lines += 1
                        self._skip(TOO_LONG, self._number)
                    rest, held, too_long = [], 0, True
            if held and not too_long:
                yield b"".join(rest)

    def _chunk(self, file: IO[bytes]) -> bytes:
        # read1 returns what is there: of a cut file all that comes before the cut, of a pipe at once.
        read = getattr(file, "read1", file.read)
        try:
            return cast("bytes", read(_CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._skip(CUT_GZIP, self._number)
            return b""

    def _parse(self, lines: list[bytes]) -> Iterator[Timeline]:
        streams = self._open
        only = self._only_written if self._only is not None else None
        for number, line in enumerate(lines, self._number):
            if only is not None:
                written = _ID.match(line)
                if written is not None and written[1] not in only:
                    self.lines += 1
                    continue
            try:
                piece = decode_piece(line)
            except UNREADABLE as error:
                if line and not line.isspace():
                    self.lines += 1
                    self._skip_unreadable(line, error, number)
                continue
            self.lines += 1
            if self._only is not None and piece.s not in self._only:
                continue
            stream = streams.get(piece.s)
            if piece.e in ASIDE:
                if piece.e in _RAW and stream is not None:
                    # It says how the reads of its attempt are to be read.
                    self._add_raw(stream, piece, line)
                continue
            if stream is None:
                if piece.s in self._ended:
                    self._skip(AFTER_END, number)
                    continue
                stream = OpenStream(piece.s, self._text)
            is_raw = piece.e in _RAW
            problem = self._add_raw(stream, piece, line) if is_raw else stream.add(piece, line)
            if problem is not None:
                self._skip(problem, number)
            elif piece.e in ENDINGS:
                self._ended.add(piece.s)
                streams.pop(piece.s, None)
                self._recorded.pop(piece.s, None)
                yield stream.timeline()
            else:
                streams[piece.s] = stream

    def _skip_unreadable(self, line: bytes, error: Exception, number: int) -> None:
        reason = why_unreadable(line, error)
        if reason is not None:
            self._skip(reason, number)
            if not line.startswith(_BEGINNING):
                self._looks_like_a_log = False

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
    of one that has ended its id. Raises ``FileNotFoundError`` at once for a path or pattern that
    names no file; other ``OSError``s when the file's turn comes. Raises ``TypeError`` for what is no source.
    """
    checked_flag("text", text)
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


def _name(source: Source) -> str:
    if source == "-":
        return "<stdin>"
    if isinstance(source, (str, Path)):
        return str(source)
    return str(getattr(source, "name", "<file>"))


def _expand(sources: Iterable[Source]) -> Iterator[Source]:
    """Resolve patterns; name each file once."""
    seen: set[Path] = set()
    for source in sources:
        if source == "-" or not isinstance(source, (str, Path)):
            yield source
            continue
        for path in _files(str(source)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _files(pattern: str) -> list[Path]:
    if pattern and Path(pattern).exists():
        return [Path(pattern)]
    # Not Path.glob: it takes no absolute pattern.
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not found:
        message = f"no such file, and no file matches the pattern: {pattern or repr(pattern)}"
        raise FileNotFoundError(message)
    return [Path(name) for name in found]


def _binary(source: Source, stack: ExitStack) -> IO[bytes]:
    if source == "-":
        file: IO[bytes] = sys.stdin.buffer
    elif isinstance(source, (str, Path)):
        file = stack.enter_context(Path(source).open("rb"))  # noqa: SIM115 - the stack closes it
    else:
        file = source
    # A peek, not a seek: the file may be a pipe.
    if isinstance(file, io.BufferedReader) and file.peek(2)[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file)))
    return file
