"""Where the JSON is in what a model says: after words and a fence, if it must.

The value begins where one of the kinds that are expected may begin; what turns out to be none before
anything of it can be shown (a brace in a sentence) is skipped. What comes after it may be the end of a fence,
and words.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lm_deluge.structured.json_text import GrowingJson
from lm_deluge.structured.misfits import Misfit, Path
from lm_deluge.structured.shape import WRAPPED, Shape

__all__ = ["AnswerText"]

_FENCE: Final = re.compile(r"\s*```[^\n]*\n")
_SPACE: Final = re.compile(r"[\s\ufeff]*")

#: More is no beginning of a fence.
_LONGEST_FENCE: Final = 200

#: Where an object or a list may begin, as far as the text goes.
_START: Final = re.compile(r"\{[ \t\n\r]*(?=[\"}]|\Z)|\[[ \t\n\r]*(?=[-\"{\[\]0-9tfnNI]|\Z)")

#: What goes on with a value that was over: no word does.
_GOES_ON: Final = frozenset('{}[],:"')


class AnswerText:
    """An answer's text in pieces, and the value in it. ``finish`` takes its end.

    ``shape``: what was asked for; ``None``: any object or list. ``is_bare``: the text is JSON alone, as the
    arguments of a tool are.
    """

    def __init__(self, shape: Shape | None, *, is_bare: bool = False) -> None:
        self._shape = shape
        self._is_bare = is_bare
        self._starts = _starts(shape)
        self._before: str | None = ""
        self._tried: list[str] = []
        self._json: GrowingJson | None = None
        self._ended = False
        self._skipped = 0

    @property
    def scanned(self) -> int:
        """Characters looked at so far, for those who count."""
        return self._skipped + (0 if self._json is None else self._json.scanned)

    @property
    def version(self) -> int:
        """A number that grows with what can be seen."""
        return 0 if self._json is None else self._json.version

    @property
    def has_begun(self) -> bool:
        """A value has begun."""
        return self._json is not None

    @property
    def shows(self) -> bool:
        """Whether there is a value to show: one that has begun, and of which all that is over fits."""
        json = self._json
        if json is None or json.fault is not None or json.misfit is not None or json.is_empty:
            return False
        return not self._is_wrapper_alone()

    @property
    def is_whole(self) -> bool:
        """The value is over."""
        return self._json is not None and self._json.whole

    @property
    def fault(self) -> Misfit | None:
        """Why there is no whole value, once the text has ended."""
        json = self._json
        if json is None:
            return Misfit((), "there is no JSON in it")
        if json.fault is not None:
            return Misfit(self._unwrapped_path(json.fault.path), json.fault.message)
        after = json.rest.lstrip()
        if after and (self._is_bare or after[0] in _GOES_ON):
            return Misfit((), f"the JSON is over, and goes on with {after[:20]!r}")
        return None

    @property
    def open(self) -> Path | None:
        """The way to the innermost part that is open; ``None``: the value is over."""
        json = self._json
        way = None if json is None else json.open
        if way is None:
            return () if json is None else None
        return self._unwrapped_path(way)

    def value(self) -> Any:
        """Return what there is of the value; ``None`` while there is nothing."""
        if self._json is None:
            return None
        value = self._json.value()
        return value[WRAPPED] if self._is_wrapped(value) else value

    def feed(self, text: str) -> None:
        """Take a piece."""
        if self._json is None:
            if self._before is not None:
                text, self._before = self._before + text, None
                self._begin(text)
            else:
                self._search(text, 0)
            return
        self._json.feed(text)
        if self._tried:
            self._tried.append(text)
            if self._is_refuted():
                self._search("".join(self._tried), 1)
            elif not self._is_unproven():
                self._tried = []

    def finish(self) -> None:
        """Take the end of the text."""
        if self._ended:
            return
        self._ended = True
        if self._before:
            text, self._before = self._before, None
            self._begin(text)
        if self._json is not None:
            self._json.finish()

    # Where it begins.

    def _begin(self, text: str) -> None:
        """Look at the first characters: whatever may begin a value does so here, and only here."""
        at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
        if text.startswith("`", at) and not self._is_bare:
            fence = _FENCE.match(text)
            if fence is None and len(text) - at < _LONGEST_FENCE and not self._ended:
                self._before = text
                return
            at = at if fence is None else _SPACE.match(text, fence.end()).end()  # type: ignore[union-attr]
        if at == len(text):
            self._before = text[-_LONGEST_FENCE:] if text.strip() else text[-1:]
        elif self._is_bare or text[at] in self._starts:
            self._try(text, at)
            if self._is_refuted():
                self._search(text, at + 1)
        else:
            self._search(text, at)

    def _search(self, text: str, at: int) -> None:
        """Look for an object or a list among words, until one may be what is looked for."""
        self._json, self._tried = None, []
        while (found := _START.search(text, at)) is not None:
            start = found.start()
            self._skipped += start - at
            at = start + 1
            if text[start] in self._starts:
                self._try(text, start)
                if not self._is_refuted():
                    return
                self._json, self._tried = None, []
        self._skipped += len(text) - at

    def _try(self, text: str, at: int) -> None:
        """Take a value to begin here; little is looked at before it is likely to be one."""
        json = self._json = GrowingJson(None if self._shape is None else self._shape.checker)
        end, size = at, 64
        while end < len(text) and json.fault is None and self._is_unproven():
            json.feed(text[end : end + size])
            end, size = end + size, size * 2
        self._skipped += json.scanned if self._is_refuted() else 0
        if json.fault is None and self._is_unproven():
            self._tried = [text[at:]]
        elif end < len(text):
            json.feed(text[end:])

    def _is_unproven(self) -> bool:
        """Whether nothing of the value could be shown yet."""
        return self._json is not None and self._json.is_empty and not self._json.whole

    def _is_refuted(self) -> bool:
        """Whether what was taken for a value is none, and nothing of it could be shown."""
        json = self._json
        return (
            json is not None and json.fault is not None and json.is_empty and json.depth <= 1
            and not self._is_bare
        )  # fmt: skip

    # The object that stands around a value that is none.

    def _is_wrapped(self, value: Any) -> bool:
        shape = self._shape
        return (
            shape is not None and shape.is_wrapped and isinstance(value, dict)
            and value.keys() == {WRAPPED}
        )  # fmt: skip

    def _is_wrapper_alone(self) -> bool:
        """Whether nothing but the object around a value is there."""
        json, shape = self._json, self._shape
        if json is None or shape is None or not shape.is_wrapped:
            return False
        if not json.whole and json.open == ():
            value = json.value()
            return isinstance(value, dict) and not value
        return False

    def _unwrapped_path(self, path: Path) -> Path:
        shape = self._shape
        if shape is not None and shape.is_wrapped and path[:1] == (WRAPPED,):
            return path[1:]
        return path


def _starts(shape: Shape | None) -> str:
    """Return what a value of the kinds that are expected may begin with."""
    if shape is None:
        return "{["
    starts = "{" if shape.is_wrapped or "object" in shape.kinds else ""
    starts += "[" if "array" in shape.kinds else ""
    starts += '"' if "string" in shape.kinds else ""
    starts += "tf" if "boolean" in shape.kinds else ""
    starts += "n" if "null" in shape.kinds else ""
    starts += "-0123456789NI" if shape.kinds & {"number", "integer"} else ""
    return starts
