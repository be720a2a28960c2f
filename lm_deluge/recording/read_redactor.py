"""Secrets taken out of the bytes of an answer, also where they come in pieces.

In two ways they may: a network read ends in the middle of one, or events tell it piece by piece, so that
it stands in no row of bytes and still in the text that they make.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lm_deluge.values.redaction import Redactor, merged, without

__all__ = ["ReadRedactor"]

#: A text in an object of JSON, with its name; it may go on in the next read.
_TEXT: Final = re.compile(r'"([^"\\]{1,64})"\s*:\s*"((?:[^"\\]+|\\.)*)')

#: Which choice, or which tool call, an event is about.
_INDEX: Final = re.compile(r'"index"\s*:\s*(\d{1,4})')

#: Characters that are kept until what follows is known: of a line, and of what came before a text.
_LINE: Final = 1 << 12
_REACH: Final = 64

#: Names of texts whose ends are kept. An event has a dozen; nobody makes us keep a million.
_NAMES: Final = 512

#: A text so long that comes again and again (an id, the model's name) is no piece of anything.
_REPEATED: Final = range(8, 257)

_LOGPROBS: Final = re.compile(r'"logprobs"\s*:\s*(?=\{)')

_decode: Final = json.JSONDecoder().raw_decode

_LINE_END: Final = re.compile(r"(?<=[\r\n])")

Read = tuple[int, bytes]
"""A network read with its number."""

_Group = tuple[str, int, tuple[str, ...]]


class ReadRedactor:
    """One attempt's reads on their way into a file.

    A read that ends with what may be the beginning of a secret is held back until the next one tells.
    Every read stays a read: a secret that was cut is replaced in the first of the reads that held it
    and missing from the others. Where events tell one piece by piece it is replaced in each of them, so
    that as many pieces can be read back; their log probabilities become ``null``. ``choices``: the
    answers asked for.
    """

    def __init__(self, redactor: Redactor, choices: int = 1) -> None:
        self._redactor = redactor
        self._many = choices > 1
        self._held: list[Read] = []
        #: What was passed on, as it came: the end of it, and the line in which it ended.
        self._before = ""
        self._line = ""
        #: By name, the end of the texts in whole lines, and the last of them.
        self._ends: dict[_Group, str] = {}
        self._last: dict[_Group, str] = {}

    def feed(self, *reads: Read) -> list[Read]:
        """Take reads with their numbers; return those that may be written by now, in order."""
        if not self._redactor:
            return list(reads)
        self._held += reads
        text = _text_of(self._held)
        free, end = len(self._held), len(text)
        if pending := self._redactor.pending((self._before + text)[-_REACH:]):
            while free and end > len(text) - pending:
                free -= 1
                end -= len(self._held[free][1])
        return self._pass(free, text[:end])

    def close(self) -> list[Read]:
        """Return what was held back: nothing follows that could make a secret of it."""
        return self._pass(len(self._held), _text_of(self._held))

    def _pass(self, count: int, text: str) -> list[Read]:
        """Let so many of the held reads go, whose text this is."""
        passed, self._held = self._held[:count], self._held[count:]
        if not passed:
            return []
        before, line = len(self._before), len(self._line)
        rows = self._before + text
        found = [(begin - before, end - before) for begin, end in self._redactor.find(rows)]
        found += [(begin - line, end - line) for begin, end in self._told(self._line + text)]
        self._before = rows[-_REACH:]
        found = merged(place for place in found if place[1] > 0)
        return list(_without(passed, text, found)) if found else passed

    def _told(self, text: str) -> list[tuple[int, int]]:
        """Return where the secrets are that the texts of one name make together; keep their ends."""
        *lines, self._line = _LINE_END.split(text)
        groups: dict[_Group, list[tuple[int, str]]] = {}
        at = 0
        for line in lines:
            self._read_line(line, at, groups)
            at += len(line)
        whole = {group: [text for _, text in texts] for group, texts in groups.items()}
        self._read_line(self._line, at, groups)
        self._line = self._line[-_LINE:]
        found = [
            place
            for group, texts in groups.items()
            for place in self._places(self._ends.get(group, ""), texts)
        ]
        for group, ended in whole.items():
            self._ends[group] = (self._ends.get(group, "") + "".join(ended))[-_REACH:]
            self._last[group] = ended[-1][: _REPEATED.stop]
        while len(self._ends) > _NAMES:
            oldest = next(iter(self._ends))
            del self._ends[oldest], self._last[oldest]
        return found

    def _read_line(self, line: str, at: int, groups: dict[_Group, list[tuple[int, str]]]) -> None:
        """Add a line's texts, each with where it is, to those of its name."""
        if '"' not in line:
            return
        index = tuple(_INDEX.findall(line)) if self._many else ()
        counted: dict[str, int] = {}
        for literal in _TEXT.finditer(line):
            name, text = literal.groups()
            nth = counted[name] = counted.get(name, -1) + 1 if self._many else 0
            group = (name, nth, index)
            if len(text) in _REPEATED and self._last.get(group) == text:
                continue
            groups.setdefault(group, []).append((at + literal.start(2), text))

    def _places(self, before: str, texts: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int]]:
        told = before + "".join([text for _, text in texts])
        for begin, end in self._redactor.find(told, unfinished=True):
            at = len(before)
            for start, text in texts:
                first, last = max(begin, at), min(end, at + len(text))
                if first < last:
                    yield start + first - at, start + last - at
                at += len(text)


def _text_of(reads: Iterable[Read]) -> str:
    """Return the bytes as text, one character each."""
    return b"".join([data for _, data in reads]).decode("latin-1")


def _without(reads: Iterable[Read], text: str, found: Sequence[tuple[int, int]]) -> Iterator[Read]:
    for begin, end in _log_probabilities(text, found):
        text = f"{text[:begin]}{'null':{end - begin}}{text[end:]}"
        found = [place for place in found if place[1] <= begin or place[0] >= end]
    at = 0
    for number, data in reads:
        yield number, without(text[at : at + len(data)], found, at).encode("latin-1")
        at += len(data)


def _log_probabilities(text: str, found: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield where whole lines with a secret tell it again: token by token, as numbers, and beside others."""
    at = 0
    for line in _LINE_END.split(text):
        begin, at = at, at + len(line)
        if '"logprobs"' in line and any(first < at and last > begin for first, last in found):
            for marked in _LOGPROBS.finditer(line):
                try:
                    _, end = _decode(line, marked.end())
                except (ValueError, RecursionError):  # half of it is in another read
                    continue
                if end - marked.end() > len("null"):
                    yield begin + marked.end(), begin + end
