"""No secret in what the library writes down or shows, however it is cut or encoded.

One ``Redactor`` is made of all the secrets of a stream. Errors, logs, logger messages, recordings and
reprs go through it; what a model said reaches receivers as it came.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from lm_deluge.values.secret_encodings import encodings_of, plain, unmask

__all__ = ["REDACTED", "SHORTEST", "Pieces", "Redactor", "redactor_of", "writable"]


REDACTED: Final = "[redacted]"
"""What stands in the place of a secret."""

SHORTEST: Final = 8
"""Characters that a secret has, at least: to look for a shorter one would garble other words. So many of a
secret's beginning are taken for it, too: a text may have been cut there."""

#: So many characters from within a secret are taken for it. Two thirds of it, if that is less.
_RUN: Final = 11

#: Characters that are looked up at once; with every STRIDE-th place no run of SHORTEST is missed.
_GRAM: Final = 4
_STRIDE: Final = SHORTEST - _GRAM + 1

#: Places of one gram in one secret that are tried: enough for any but a secret that repeats itself.
_PLACES: Final = 8

#: Characters before a piece that may be the beginning of what it ends: more than any run needs.
_REACH: Final = 64


#: Grams of a text that are looked up before there is an index.
_FEW: Final = 64

#: Bytes beyond a cut that are looked at, for the rest of a secret in front of it.
_BEYOND: Final = 4096


class _Form(NamedTuple):
    """One thing to look for: ``least`` characters of it are enough, ``begun`` of its beginning."""

    text: str
    least: int
    begun: int


class _Index(NamedTuple):
    """``grams``: of all forms, with their places. ``letters``: the same, to look a text up without
    making a text of each of its parts. ``beginnings``: of secrets, shorter than ``SHORTEST``. ``begun``:
    those that are half of a secret or more."""

    grams: dict[str, list[tuple[_Form, int]]]
    letters: frozenset[tuple[str, ...]]
    beginnings: tuple[str, ...]
    begun: tuple[str, ...]


class Redactor:
    """Replaces secrets, all or a long part of each, in every encoding of ``values.secret_encodings``.

    Cheap where nothing is found: a text is looked at in steps of several characters. Whatever it
    returns can be written as UTF-8. It shows no secret itself, and a pickle of it has none.
    """

    __slots__ = ("_forms", "_index", "_joined")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: dict[str, _Form] = {}
        for secret in secrets:
            if len(secret) < SHORTEST:
                continue
            for text, is_itself in encodings_of(secret):
                if len(text) >= SHORTEST:
                    least = max(SHORTEST, min(len(text) * 2 // 3, _RUN))
                    forms.setdefault(text, _Form(text, least, SHORTEST if is_itself else least))
        self._forms = tuple(forms.values())
        self._joined = "\n".join(forms)
        # Made for the first text that needs it. Most streams of a server with a key for each of its
        # users have none: the short ids of a whole answer are looked up without.
        self._index: _Index | None = None

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __repr__(self) -> str:
        return "Redactor(…)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Redactor, ()

    def __copy__(self) -> Redactor:
        return self

    def __deepcopy__(self, memo: object) -> Redactor:
        return self

    def text(self, text: str) -> str:
        """Return a text that may be shown: without secrets and without lone surrogates."""
        if found := self.find(text):
            text = replaced(text, found)
        return writable(text)

    def data(self, value: Any) -> Any:
        """Return texts, bytes, and lists, tuples and dicts of them, with every text made showable."""
        try:
            return self._data(value)
        except RecursionError:
            return "[nested too deeply to be shown]"

    def beginning(self, data: bytes, length: int) -> bytes:
        """Return the first bytes without secrets, cut to ``length`` only then."""
        return bytes(self.data(data[: length + _BEYOND])[:length])

    def json(self, line: bytes) -> bytes:
        """Return a JSON text without secrets; it stays JSON, and the same where there are none."""
        if not self.find(line.decode("utf-8", "replace")):
            return line
        return msgspec.json.encode(self.data(msgspec.json.decode(line)))

    def find(self, text: str, *, unfinished: bool = False) -> list[tuple[int, int]]:
        """Return where secrets are, in order, none touching another.

        ``unfinished``: more may follow, so that half of a short secret at the end is one.
        """
        if not self._forms:
            return []
        lowered = plain(text)
        places = range(0, len(lowered) - _GRAM + 1, _STRIDE)
        index = self._index
        if index is None:
            if not unfinished and len(places) < _FEW:
                joined = self._joined
                if not any(lowered[at : at + _GRAM] in joined for at in places):
                    return []
            index = self._index = _index_of(self._forms)
        found: list[tuple[int, int]] = []
        letters = (lowered[at::_STRIDE] for at in range(_GRAM))
        if not index.letters.isdisjoint(zip(*letters, strict=False)):
            seeds = [at for at in places if lowered[at : at + _GRAM] in index.grams]
            found += _runs(lowered, seeds, index.grams)
        if unfinished and lowered.endswith(index.begun):
            begun = max(len(part) for part in index.begun if lowered.endswith(part))
            found.append((len(lowered) - begun, len(lowered)))
        if not found:
            return []
        unmasked = unmask(text)
        return merged(unmasked.source(begin, end) for begin, end in found)

    def pending(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a secret, too few for ``find``."""
        if self._index is None:
            self._index = _index_of(self._forms)
        beginnings = self._index.beginnings
        text = text[-_REACH:]
        end = plain(text)
        if not end.endswith(beginnings):
            return 0
        begun = max(len(part) for part in beginnings if end.endswith(part))
        begin, _ = unmask(text).source(len(end) - begun, len(end))
        return len(text) - begin

    def pieces(self) -> Pieces:
        """Return what redacts a text that comes in pieces."""
        return Pieces(self)

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            found = self.find(value.decode("latin-1"))
            return replaced(value.decode("latin-1"), found).encode("latin-1") if found else value
        if isinstance(value, Mapping):
            return {self._data(key): self._data(item) for key, item in value.items()}
        if type(value) is list or type(value) is tuple:
            return type(value)([self._data(item) for item in value])
        if type(value) is int and self.find(str(value)):
            return REDACTED  # some keys are digits alone
        return value


class Pieces:
    """Redacts a text that comes in pieces, also where a secret begins in one and ends in another.

    Nothing is held back. What is passed on before the rest of a secret came is less than half of it
    and less than ``SHORTEST`` characters; the rest is replaced.
    """

    __slots__ = ("_before", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._before = ""

    def feed(self, pieces: Sequence[str]) -> list[str] | None:
        """Return the next pieces without secrets, as many, none empty that was not; ``None``: as they are."""
        before = self._before
        joined = before + "".join(pieces)
        self._before = joined[-_REACH:]
        found = self._redactor.find(joined, unfinished=True)
        if not found or found[-1][1] <= len(before):
            return None
        cleaned = []
        at = len(before)
        for piece in pieces:
            end = at + len(piece)
            # A piece of which nothing is left came, and is counted.
            cleaned.append(without(piece, found, at) or ("*" if piece else ""))
            at = end
        return cleaned


@functools.lru_cache(maxsize=64)
def redactor_of(secrets: tuple[str, ...]) -> Redactor:
    """Return the redactor of some secrets; made once for those that are the same."""
    return Redactor(secrets)


def without(piece: str, found: Iterable[tuple[int, int]], begin: int) -> str:
    """Return a piece that begins at ``begin`` of a text in which secrets were ``found``.

    A secret is replaced where it begins, and missing from further pieces that it goes on in.
    """
    end = begin + len(piece)
    kept, at = "", begin
    for first, last in found:
        if last <= begin or first >= end:
            continue
        kept += piece[at - begin : max(first, at) - begin]
        if first >= begin:
            kept += REDACTED
        at = min(last, end)
    return kept + piece[at - begin :]


def replaced(text: str, found: Iterable[tuple[int, int]]) -> str:
    """Return a text with the places found in it replaced."""
    kept: list[str] = []
    at = 0
    for begin, end in found:
        kept += (text[at:begin], REDACTED)
        at = end
    return "".join((*kept, text[at:]))


def merged(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return places in order, those in one that touch each other."""
    places: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if places and begin <= places[-1][1]:
            places[-1] = (places[-1][0], max(places[-1][1], end))
        else:
            places.append((begin, end))
    return places


def writable(text: str) -> str:
    """Return a text that UTF-8 can hold: a pair of surrogates is its character, a lone one U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _index_of(forms: Iterable[_Form]) -> _Index:
    grams: dict[str, list[tuple[_Form, int]]] = {}
    for form in forms:
        counted: dict[str, int] = {}
        for place in range(len(form.text) - _GRAM + 1):
            gram = form.text[place : place + _GRAM]
            counted[gram] = counted.get(gram, 0) + 1
            if counted[gram] <= _PLACES:
                grams.setdefault(gram, []).append((form, place))
    secrets = [form.text for form in forms if form.begun == SHORTEST]
    return _Index(
        grams,
        frozenset(map(tuple, grams)),
        tuple({text[:n] for text in secrets for n in range(1, SHORTEST)}),
        # Of a short secret less than SHORTEST characters may be too much.
        tuple({text[:n] for text in secrets for n in range((len(text) + 1) // 2, SHORTEST)}),
    )


def _runs(
    text: str, seeds: Iterable[int], grams: Mapping[str, Iterable[tuple[_Form, int]]]
) -> Iterator[tuple[int, int]]:
    """Yield where a text has a long part, or the beginning, of a form around one of the seeds."""
    done = 0
    for at in seeds:
        if at + _GRAM <= done:
            continue
        for form, place in grams[text[at : at + _GRAM]]:
            begin, end = _extent(text, at, form.text, place)
            length = end - begin
            if length >= form.least or (length >= form.begun and at - begin == place):
                done = max(done, end)
                yield begin, end


def _extent(text: str, at: int, form: str, place: int) -> tuple[int, int]:
    """Return the longest part of a text around ``at`` that is in a form around ``place``."""
    begin, before = at, place
    while begin > 0 and before > 0 and text[begin - 1] == form[before - 1]:
        begin -= 1
        before -= 1
    end, after = at + _GRAM, place + _GRAM
    while end < len(text) and after < len(form) and text[end] == form[after]:
        end += 1
        after += 1
    return begin, end
