"""The files of timeline logs in blocks of whole lines, and an account of the lines that are not read."""

from __future__ import annotations

import glob
import gzip
import io
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from attrs import define, field

from lm_deluge.logs.assembly import FOREIGN, NEWER, why_unreadable
from lm_deluge.logs.seen_lines import take_seen
from lm_deluge.timeline.foreign import BenchmarkTool, NotMeasuredError, lines_of, tool_of
from lm_deluge.values.sightings import LoggedSightings

__all__ = ["AFTER_END", "CHUNK", "BlockOfLines", "LogFiles", "Skipped", "Source"]

Source = str | Path | IO[bytes]
"""A path, a glob pattern, ``"-"`` for standard input, or a binary file object."""

AFTER_END = "after the ending of its stream"
TOO_LONG = "line longer than 64 MB"
CUT_GZIP = "compressed data damaged or cut"

#: Reasons that half a line of ours never has.
_NOT_OURS = (FOREIGN, NEWER, TOO_LONG, CUT_GZIP)

#: How every line begins that this library writes, half lines included.
_BEGINNING = b'{"v":'

CHUNK = 1 << 20
"""Bytes read at a time."""
_LONGEST_LINE = 64 << 20
_TRANSLATED = 10_000
"""Lines made of another tool's file that are handed on at a time."""

#: A line is known by one number: its file's in the order of reading, then its own.
_LINES = 1 << 40


@define
class Skipped:
    """Lines that were not read: ``reason``, ``count``, and the ``first`` one's ``file:line``."""

    reason: str
    count: int
    first: str


@define
class BlockOfLines:
    """Whole lines, the last without its newline. ``line``: what the first one is known by."""

    line: int
    data: bytes


@define
class _File:
    name: str
    taken: int = 0
    looks_like_a_log: bool = True
    is_read: bool = False
    tool: BenchmarkTool | None = None


@define
class _Count:
    lines: int
    first: int


@define
class LogFiles:
    """The files, and what was seen in them: lines are counted by whoever reads the blocks.

    ``lines``: lines seen so far, blank ones not counted. ``beside``: lines so far that are part of no
    stream's timeline, by event: what a proxy tells of requests that did not stream (``request``) and of
    what it did not understand (``note``), and what browsers told (``seen``), which ``sightings`` holds.
    """

    sources: list[Source]
    lines: int = 0
    beside: dict[str, int] = field(factory=dict)
    sightings: LoggedSightings = field(factory=LoggedSightings, repr=False)
    _files: list[_File] = field(factory=list)
    _skipped: dict[str, _Count] = field(factory=dict)

    @classmethod
    def of(cls, sources: Iterable[Source]) -> LogFiles:
        """Find the files; raises ``FileNotFoundError`` for a path or pattern that names none."""
        return cls(list(_expand(sources)))

    @property
    def skipped(self) -> list[Skipped]:
        """What was not read so far, most frequent reason first."""
        found = sorted(self._skipped.items(), key=lambda item: (-item[1].lines, item[1].first))
        return [Skipped(reason, count.lines, self._place(count.first)) for reason, count in found]

    @property
    def skipped_lines(self) -> int:
        """How many lines were not read so far."""
        return sum(count.lines for count in self._skipped.values())

    @property
    def foreign(self) -> list[str]:
        """Files that are no logs: something is in them, and not a line that belongs there."""
        return [
            file.name
            for file in self._files
            if file.is_read and not file.looks_like_a_log and not file.taken
        ]

    @property
    def lacks(self) -> list[str]:
        """What the files of other tools do not tell, a sentence each."""
        tools = {file.tool.name: file.tool for file in self._files if file.tool is not None}
        found = []
        for name, tool in sorted(tools.items()):
            names = [file.name for file in self._files if file.tool is tool]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            found.append(f"Measured by {name} ({names[0]}{more}): {tool.lacks}.")
        return found

    def _place(self, line: int) -> str:
        return f"{self._files[line // _LINES].name}:{line % _LINES}"

    def took(self, line: int, count: int = 1) -> None:
        """Count lines of the file of ``line``, whatever becomes of them."""
        self.lines += count
        self._files[line // _LINES].taken += count

    def pass_over(self, event: str) -> None:
        """Count a line that is part of no stream's timeline."""
        self.beside[event] = self.beside.get(event, 0) + 1

    def take_seen(self, data: bytes, line: int, only: Collection[str] | None = None) -> bool:
        """Take in a line of what a browser saw, or count why not; return whether it is one."""
        is_seen, problem = take_seen(data, line, self.sightings, only)
        if problem is not None:
            self.skip(problem, line)
        elif is_seen:
            self.pass_over("seen")
        return is_seen

    def skip(self, reason: str, line: int, count: int = 1) -> None:
        """Count lines that were not taken in, ``line`` being the first of them."""
        file = self._files[line // _LINES]
        if reason in _NOT_OURS:
            file.looks_like_a_log = False
        if reason != CUT_GZIP:  # which is no line
            file.taken -= count
        counted = self._skipped.get(reason)
        if counted is None:
            self._skipped[reason] = _Count(count, line)
        else:
            counted.lines += count
            counted.first = min(counted.first, line)

    def skip_unreadable(self, data: bytes, error: Exception, line: int) -> None:
        """Count a line that ``decode_piece`` refused; a blank one is none."""
        if not data or data.isspace():
            self.took(line, -1)
            return
        reason = why_unreadable(data, error)
        if reason is not None:
            self.skip(reason, line)
            if not data.startswith(_BEGINNING):
                self._files[line // _LINES].looks_like_a_log = False

    def blocks(self) -> Iterator[BlockOfLines]:
        """Yield all files in blocks."""
        for source in self.sources:
            file = _File(_name(source))
            self._files.append(file)
            yield from self._blocks(source, (len(self._files) - 1) * _LINES + 1)
            file.is_read = True

    def _blocks(self, source: Source, line: int) -> Iterator[BlockOfLines]:
        rest: list[bytes] = []
        held = 0
        too_long = False
        with ExitStack() as stack:
            opened = _binary(source, stack)
            first = self._chunk(opened, line)
            if first.startswith(BOM_UTF8):  # as editors and shells of Windows write it
                first = first.removeprefix(BOM_UTF8) or self._chunk(opened, line)
            tool = tool_of(first)
            if tool is not None:
                yield from self._translated(tool, first, opened, line)
                return
            for chunk in self._chunks(first, opened, line):
                head, newline, tail = chunk.rpartition(b"\n")
                if not newline:
                    rest.append(chunk)
                    held += len(chunk)
                else:
                    if too_long:  # an empty line in its place, so that the next keeps its number
                        head = head[head.find(b"\n") :] if b"\n" in head else b""
                        rest, too_long = [], False
                    data = b"".join((*rest, head))
                    yield BlockOfLines(line, data)
                    line += data.count(b"\n") + 1
                    rest, held = [tail], len(tail)
                if held > _LONGEST_LINE:
                    if not too_long:
                        self.took(line)
                        self.skip(TOO_LONG, line)
                    rest, held, too_long = [], 0, True
            if held and not too_long:
                yield BlockOfLines(line, b"".join(rest))

    def _chunks(self, first: bytes, file: IO[bytes], line: int) -> Iterator[bytes]:
        while first:
            yield first
            first = self._chunk(file, line)

    def _translated(
        self, tool: BenchmarkTool, first: bytes, opened: IO[bytes], line: int
    ) -> Iterator[BlockOfLines]:
        """Yield the file of another tool as the lines of a log that it is worth."""
        try:
            lines = list(lines_of(tool, b"".join(self._chunks(first, opened, line))))
        except NotMeasuredError as error:
            self.took(line)
            self.skip(str(error), line)
            self._files[line // _LINES].looks_like_a_log = False
            return
        self._files[line // _LINES].tool = tool
        for start in range(0, len(lines), _TRANSLATED):
            yield BlockOfLines(line + start, b"".join(lines[start : start + _TRANSLATED])[:-1])

    def _chunk(self, file: IO[bytes], line: int) -> bytes:
        # read1 returns what is there: of a cut file all that comes before the cut, of a pipe at once.
        read = getattr(file, "read1", file.read)
        try:
            return cast("bytes", read(CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.skip(CUT_GZIP, line)
            return b""


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
        for path in _found(str(source)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _found(pattern: str) -> list[Path]:
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
