"""What can be shown of an answer, and of the arguments of its tool calls, while they grow.

Pieces are kept until somebody looks, and then read once. Only choice by choice and call by call; each has an
object of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import define, evolve, field

from lm_deluge.structured.answer_text import AnswerText
from lm_deluge.structured.asked import error_of
from lm_deluge.structured.reading import Fitting, read
from lm_deluge.structured.shape import Shape
from lm_deluge.values.growth import Growth
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse, Choice

__all__ = ["INTERVAL", "Following", "GrowingAnswer", "wait_after"]

#: Seconds from one look to the next, at least.
INTERVAL: Final = 0.05

#: A look may take this part of the time.
_SHARE: Final = 0.1


def wait_after(cost: float) -> float:
    """Return how many seconds after a look that took so many the next may follow."""
    return max(INTERVAL, cost / _SHARE)


@define(eq=False)
class Following:
    """What is followed. ``answer``: of the text, ``shape`` is what it shall be, ``None``: any JSON.

    ``tool``: of tool calls those of a name; ``""``: all; ``None``: none. ``arguments``: what they shall be.
    ``either``: the calls only where the text holds no JSON. ``choice``: of one alone; ``None``: of each.
    """

    answer: bool = True
    shape: Shape | None = None
    tool: str | None = None
    arguments: Shape | None = None
    either: bool = False
    choice: int | None = None

    def follows(self, growth: Growth) -> bool:
        """Whether something of this kind is looked at."""
        if self.choice not in (None, growth.choice):
            return False
        if growth.kind == "answer":
            return self.answer
        return self.tool is not None and self.tool in ("", growth.name)


@define(eq=False)
class _GrowingText:
    """One text in which an object grows. ``seen``: the version of it that was looked at last."""

    growth: Growth
    text: AnswerText
    pieces: list[str] = field(factory=list)
    seen: int = 0
    is_followed: bool = True


class GrowingAnswer:
    """The objects in the pieces of one stream. ``scanned``: characters looked at, for those who count."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._parts: dict[tuple[int, int], _GrowingText] = {}

    @property
    def scanned(self) -> int:
        """Characters looked at so far."""
        return sum(part.text.scanned for part in self._parts.values())

    def feed(self, piece: Token | Delta) -> None:
        """Keep a piece until somebody looks."""
        if isinstance(piece, Token):
            if self._following.answer:
                part = self._parts.get((piece.choice, -1))
                if part is None:
                    part = self._part(Growth(kind="answer", choice=piece.choice))
                part.pieces.append(piece.text)
        elif piece.kind == "tool_call" and self._following.tool is not None:
            growth = Growth(
                kind="tool_call",
                choice=piece.choice,
                index=piece.index,
                id=piece.id,
                name=piece.name,
            )
            part = self._part(growth)
            if part.growth.name is None or part.growth.id is None:
                part.growth = growth
                part.is_followed = self._following.follows(growth)
            part.pieces.append(piece.arguments or "")

    def seed(self, choices: list[Choice]) -> None:
        """Take what had been received before anybody followed it."""
        for choice in choices:
            if choice.completion and self._following.answer:
                part = self._part(Growth(kind="answer", choice=choice.index))
                part.pieces = [choice.completion]
            for growth, arguments in _calls_of(choice):
                if self._following.tool is not None:
                    self._part(growth).pieces = [arguments]

    def look(self) -> list[tuple[Any, Growth]]:
        """Return what is new since the last look, as it is now; what is over comes with the end."""
        found: list[tuple[Any, Growth]] = []
        for part in self._parts.values():
            if not part.pieces:
                continue
            part.text.feed("".join(part.pieces))
            part.pieces.clear()
            text = part.text
            if text.version == part.seen or not text.shows or text.is_whole:
                continue
            if not part.is_followed or self._is_beside(part):
                continue
            part.seen = text.version
            found.append((text.value(), evolve(part.growth, open=text.open)))
        return found

    def whole(self, response: APIResponse) -> Iterator[tuple[Any, Growth]]:
        """Yield what a whole answer holds, in order; raise ``SchemaError`` at what is none."""
        for choice in response.choices:
            yield from self._whole(choice, response)

    def _whole(self, choice: Choice, response: APIResponse) -> Iterator[tuple[Any, Growth]]:
        following = self._following
        growth = Growth(kind="answer", choice=choice.index, is_whole=True)
        calls = [each for each in _calls_of(choice) if following.follows(each[0])]
        is_called = bool(choice.tool_calls) and not choice.completion.strip()
        if following.follows(growth) and not is_called:
            found = read(choice.completion, following.shape)
            if isinstance(found, Fitting):
                yield found.value, growth
                if following.either:
                    return
            elif not (following.either and calls and found.kind == "missing"):
                raise error_of(found, following.shape, choice.completion, response)
        for called, arguments in calls:
            yield self._arguments(arguments, called, response), evolve(called, is_whole=True)

    def _arguments(self, text: str, growth: Growth, response: APIResponse) -> Any:
        shape = self._following.arguments
        # A call without arguments says nothing on some wires.
        found = read(text if text.strip() else "{}", shape, is_bare=True)
        if isinstance(found, Fitting):
            return found.value
        raise error_of(found, shape, text, response, f"the call of {growth.name}")

    def _part(self, growth: Growth) -> _GrowingText:
        key = (growth.choice, -1 if growth.kind == "answer" else growth.index)
        part = self._parts.get(key)
        if part is None:
            is_answer = growth.kind == "answer"
            following = self._following
            text = AnswerText(
                following.shape if is_answer else following.arguments, is_bare=not is_answer
            )
            part = self._parts[key] = _GrowingText(
                growth, text, is_followed=following.follows(growth)
            )
        return part

    def _is_beside(self, part: _GrowingText) -> bool:
        """Whether it is a call in an answer whose text is what is looked at."""
        if not self._following.either or part.growth.kind == "answer":
            return False
        answer = self._parts.get((part.growth.choice, -1))
        return answer is not None and answer.text.has_begun


def _calls_of(choice: Choice) -> list[tuple[Growth, str]]:
    return [
        (
            Growth(kind="tool_call", choice=choice.index, index=index, id=call.id, name=call.name),
            call.arguments,
        )
        for index, call in enumerate(choice.tool_calls)
    ]
