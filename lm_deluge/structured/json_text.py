"""JSON that arrives in pieces: each character is looked at once, and what there is can be seen anytime.

What is shown never turns out to be of another type: a number, ``true``, ``false`` and ``null`` are shown
once they are over, a member of an object once its value has begun, and of a character that is written in
several the beginning is held back. Only texts, lists and objects are shown while they grow.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from attrs import define

from lm_deluge.structured.checking import Checker, Node
from lm_deluge.structured.json_signs import (
    END,
    ITEM,
    MEMBER,
    NUMBER,
    SPACE,
    WORD,
    WORDS,
    Held,
    decoded,
    escaped,
    run_of,
)
from lm_deluge.structured.misfits import Misfit, Path

__all__ = ["DEEPEST", "GrowingJson"]

#: As deep as ``jiter`` reads.
DEEPEST: Final = 200

_NOTHING: Final = object()

Container: TypeAlias = "dict[str, Any] | list[Any]"


@define(eq=False)
class _OpenPart:
    """A list or an object that is open. ``node``: what its schema says; ``whole``: of all of it at once."""

    held: Container
    node: Node
    whole: Node
    key: str = ""


class GrowingJson:
    """One JSON value in pieces. ``feed`` takes them, ``finish`` their end.

    ``whole``: the value is over. ``rest``: what came after it. ``fault``: why it is no JSON. ``misfit``:
    the first part that is over and does not fit the schema. ``version``: grows with what can be seen.
    ``scanned``: characters looked at so far, for those who count.
    """

    def __init__(self, checker: Checker | None = None) -> None:
        self.whole = False
        self.rest = ""
        self.fault: Misfit | None = None
        self.misfit: Misfit | None = None
        self.scanned = 0
        self.version = 0
        self._checker = checker
        self._value: Any = _NOTHING
        self._frames: list[_OpenPart] = []
        self._text: list[str] | None = None
        self._text_node: Node = None
        self._is_key = False
        self._word: list[str] = []
        self._expects = "value"
        self._held = ""

    @property
    def is_empty(self) -> bool:
        """Nothing of it can be shown yet, or an empty list or object that has only begun."""
        if self._value is not _NOTHING:
            return False
        if not self._frames:
            return self._text is None or not any(self._text)
        return len(self._frames) == 1 and not self._frames[0].held and not self._shows_text()

    @property
    def depth(self) -> int:
        """How many lists and objects are open."""
        return len(self._frames)

    @property
    def open(self) -> Path | None:
        """Where it still grows: the way to the innermost part that is open; ``None`` once whole."""
        if self.whole:
            return None
        return self._path(with_text=self._shows_text())

    def value(self) -> Any:
        """Return what there is; parts that are over are shared between what is returned at any time.

        ``None`` while there is nothing.
        """
        if self._value is not _NOTHING:
            return self._value
        inner: Any = _NOTHING
        if self._text is not None and self._shows_text():
            inner = "".join(self._text)
            self._text = [inner]
        for frame in reversed(self._frames):
            outer: Any = frame.held.copy()
            if inner is not _NOTHING:
                if isinstance(outer, dict):
                    outer[frame.key] = inner
                else:
                    outer.append(inner)
            inner = outer
        return None if inner is _NOTHING else inner

    def feed(self, text: str) -> None:
        """Take a piece."""
        self.scanned += len(text)
        if self._held:
            text, self._held = self._held + text, ""
        if self.whole or self.fault is not None:
            self.rest += text
            return
        at, end = 0, len(text)
        while at < end and self.fault is None and not self.whole:
            at = self._quickly(text, at)
            if at == end or self.fault is not None or self.whole:
                break
            at = self._step(text, at)
            if at < 0:
                return
        if at < end:
            self.rest += text[at:]

    def finish(self) -> None:
        """Take the end: a value that is over by that is whole, anything else is cut."""
        if self.whole or self.fault is not None:
            return
        if self._word and not self._frames:
            self._close_word()
        if not self.whole and self.fault is None:
            self._fail("the JSON is cut")

    def _quickly(self, text: str, at: int) -> int:
        """Take what is over at once, or begins, as long as there is such; return where that ends."""
        if self._text is not None or self._word:
            return at
        while self._frames and self.fault is None:
            frame = self._frames[-1]
            is_object = isinstance(frame.held, dict)
            if self._expects in (_BEFORE_MEMBER if is_object else _BEFORE_ITEM):
                at = self._take_parts(text, at, frame, is_object=is_object)
                if frame is not self._frames[-1]:  # another has begun
                    continue
            if self._expects not in _BEFORE_END or (found := END.match(text, at)) is None:
                return at
            if found["end"] != ("}" if is_object else "]"):
                return at
            at = found.end()
            self._close()
            if found["more"] and self._frames:
                self._expects = "key" if isinstance(self._frames[-1].held, dict) else "value"
            elif found["more"]:  # what follows a whole value is none of it
                return found.start("more")
        return at

    def _take_parts(self, text: str, at: int, frame: _OpenPart, *, is_object: bool) -> int:
        """Take members or items until there is none that is over at once."""
        held, checker, node = frame.held, self._checker, frame.node
        match = (MEMBER if is_object else ITEM).match
        key: str | None = None
        while (found := match(text, at)) is not None:
            if is_object:
                key = frame.key = found["key"]
            if found["open"] is not None:
                self._open(found["open"])
                return found.end()
            if (value := found["text"]) is None:
                number = found["number"]
                if number is None:
                    value = WORDS[found["word"]]
                else:
                    value = int(number) if found["real"] is None else float(number)
            if checker is not None and not checker.surely_fits(node, key, value):
                self._put(value, self._child_node())
            elif isinstance(held, dict):
                held[frame.key] = value
            else:
                held.append(value)
            self.version += 1
            at = found.end()
            if not found["more"]:
                self._expects = "comma or end"
                return at
            self._expects = "key" if is_object else "value"
        return at

    # How one step is made: each returns where to go on, or -1 when more text is needed.

    def _step(self, text: str, at: int) -> int:
        if self._text is not None:
            return self._in_text(text, at)
        if self._word:
            return self._in_word(text, at)
        at = SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == len(text):
            return at
        return self._sign(text, at)

    def _sign(self, text: str, at: int) -> int:
        sign, expects = text[at], self._expects
        if expects in ("value", "value or end"):
            if sign == "]" and expects == "value or end":
                self._close()
            elif sign in "{[":
                self._open(sign)
            elif sign == '"':
                self._begin_text(is_key=False)
            elif WORD.match(text, at).end() > at:  # type: ignore[union-attr]
                return self._in_word(text, at)
            else:
                self._fail(f"a value is expected, not {sign!r}")
        elif expects in ("key", "key or end") and sign == '"':
            self._begin_text(is_key=True)
        elif expects == "colon" and sign == ":":
            self._expects = "value"
        elif expects == "comma or end" and sign == ",":
            self._expects = "key" if isinstance(self._frames[-1].held, dict) else "value"
        elif expects in ("comma or end", "key or end") and sign == self._closing():
            self._close()
        else:
            self._fail(f"{_SAID[expects]} is expected, not {sign!r}")
        return at + 1

    def _closing(self) -> str:
        return "}" if isinstance(self._frames[-1].held, dict) else "]"

    def _in_word(self, text: str, at: int) -> int:
        end = WORD.match(text, at).end()  # type: ignore[union-attr]
        self._word.append(text[at:end])
        if end < len(text):
            self._close_word()
        return end

    def _close_word(self) -> None:
        word, self._word = "".join(self._word), []
        if word in WORDS:
            value: Any = WORDS[word]
        elif (found := NUMBER.fullmatch(word)) is None:
            self._fail(f"{word[:40]!r} is no JSON value")
            return
        elif found["real"] or found["power"]:
            value = float(word)
        else:
            try:
                value = int(word)
            except ValueError:  # Python's own bound
                self._fail(f"a number has {len(word):,} digits")
                return
        self._put(value, self._child_node())

    def _begin_text(self, *, is_key: bool) -> None:
        self._text, self._is_key = [], is_key
        self._text_node = None if is_key else self._child_node()

    def _in_text(self, text: str, at: int) -> int:
        parts = self._text
        assert parts is not None
        while True:
            run = run_of(text, at)
            end = at + len(run)
            if run:
                parts.append(run if "\\" not in run else decoded(run))
                self.version += not self._is_key
            if end == len(text):
                return end
            sign = text[end]
            if sign == '"':
                self._end_text("".join(parts))
                return end + 1
            if sign != "\\":
                self._fail(f"a text holds the control character {sign!r}")
                return end
            found = escaped(text, end)
            if found is None:
                self._fail(f"a text holds the escape {text[end : end + 6]!r}")
                return end
            if isinstance(found, Held):
                self._held = found.rest
                return -1
            character, at = found
            parts.append(character)
            self.version += not self._is_key

    def _end_text(self, value: str) -> None:
        self._text = None
        if self._is_key:
            self._frames[-1].key = value
            self._expects = "colon"
        else:
            self._put(value, self._text_node)

    def _shows_text(self) -> bool:
        """Whether the text at hand is shown: of a closed set of texts, half a one is none."""
        if self._text is None or self._is_key:
            return False
        return self._checker is None or not self._checker.is_one_of_few(self._text_node)

    # What is over, and what is open.

    def _open(self, sign: str) -> None:
        if len(self._frames) >= DEEPEST:
            self._fail(f"it nests deeper than {DEEPEST}")
            return
        node, kind = self._child_node(), "object" if sign == "{" else "array"
        inner = None if self._checker is None else self._checker.narrowed(node, kind)
        held: Container = {} if sign == "{" else []
        self._frames.append(_OpenPart(held, inner, node if inner is None else None))
        self.version += 1
        self._expects = "key or end" if sign == "{" else "value or end"

    def _close(self) -> None:
        frame = self._frames.pop()
        self._put(frame.held, frame.whole, of=frame.node)

    def _child_node(self) -> Node:
        """Return what the schema says of the value that begins here; ``None``: nothing."""
        checker = self._checker
        if checker is None:
            return None
        if not self._frames:
            return checker.root
        frame = self._frames[-1]
        if frame.node is None:
            return None
        key = frame.key if isinstance(frame.held, dict) else len(frame.held)
        return checker.child(frame.node, key)

    def _put(self, value: Any, whole: Node, *, of: Node = None) -> None:
        """A value is over. ``whole``: what is said of all of it; ``of``: of it without its parts."""
        self.version += 1
        checker = self._checker
        if checker is not None and self.misfit is None and not (whole is None and of is None):
            node, deep = (of, False) if of is not None else (whole, True)
            self.misfit = checker.misfit(value, node, self._path(with_text=True), deep=deep)
        if not self._frames:
            self._value, self.whole = value, True
            return
        frame = self._frames[-1]
        if isinstance(frame.held, dict):
            frame.held[frame.key] = value
        else:
            frame.held.append(value)
        self._expects = "comma or end"

    def _path(self, *, with_text: bool) -> Path:
        """Return the way to the innermost open list or object, or to the value in it that is at hand."""
        frames = self._frames if with_text else self._frames[:-1]
        return tuple(
            frame.key if isinstance(frame.held, dict) else len(frame.held) for frame in frames
        )

    def _fail(self, message: str) -> None:
        inside = self._expects == "value" or bool(self._word)
        if self._text is not None:
            inside = not self._is_key
        self.fault = Misfit(self._path(with_text=inside), message)


_SAID: Final = {
    "key": "a name in quotes",
    "key or end": "a name in quotes or }",
    "colon": "a colon",
    "comma or end": "a comma or the end",
}


_BEFORE_MEMBER: Final = ("key or end", "key")
_BEFORE_ITEM: Final = ("value or end", "value")
_BEFORE_END: Final = ("comma or end", "key or end", "value or end")
