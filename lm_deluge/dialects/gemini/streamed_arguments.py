"""Arguments that come as values of paths: what Vertex sends where a call is streamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["StreamedArguments"]

#: A step of a path like ``$.rows[0].name`` or ``$['a key']``.
_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]|\["([^"]*)"\]""")

#: Places of lists that are made though nothing came for them: nobody sends that many.
_MOST_GAPS: Final = 10_000

#: What nests deeper breaks whoever writes it out again.
_DEEPEST: Final = 100

_SCALARS: Final = ("numberValue", "boolValue")


def _step(found: re.Match[str]) -> str | int:
    """Return a place in a list, or a key of an object."""
    return int(found[2]) if found[2] else found[1] or found[3] or found[4] or ""


class StreamedArguments:
    """The arguments of one call. ``size``: their characters, roughly."""

    __slots__ = ("_gaps", "_open", "_steps", "_texts", "_value", "size")

    def __init__(self) -> None:
        self._value: dict[str, Any] = {}
        self.size = 0
        self._gaps = 0
        # The path of a text that goes on, its steps, and the pieces of it, which are joined at its end.
        self._open: str | None = None
        self._steps: list[str | int] = []
        self._texts: list[str] = []

    @property
    def value(self) -> dict[str, Any]:
        """The object so far, with as much of a text that goes on as came."""
        self._join()
        return self._value

    def take(self, part: Mapping[str, Any]) -> None:
        """Take one value, or a piece of a text that goes on while its ``willContinue`` says so."""
        path = part.get("jsonPath")
        if not isinstance(path, str):
            return
        steps = [_step(found) for found in _STEP.finditer(path)]
        if not steps or len(steps) > _DEEPEST:
            return
        self.size += len(path)
        if isinstance(text := part.get("stringValue"), str):
            self.size += len(text)
            if self._open != path:
                self._join()
                self._open, self._steps, self._texts = path, steps, []
                self._set(steps, "")
            self._texts.append(text)
            if part.get("willContinue") is not True:
                self._join()
                self._open = None
            return
        self._join()
        value = next((part[key] for key in _SCALARS if key in part), None)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        self._set(steps, value)
        self._open = None

    def _join(self) -> None:
        """Put the text that goes on, as far as it came, where it belongs."""
        if self._open is not None:
            self._texts = ["".join(self._texts)]
            self._set(self._steps, self._texts[0])

    def _reach(self, items: list[Any], step: int) -> bool:
        """Make a list long enough to have a place; ``False`` where that would make too many gaps."""
        if step >= len(items):
            gaps = step - len(items)
            if self._gaps + gaps > _MOST_GAPS:
                return False
            self._gaps += gaps
            self.size += len("null,") * (gaps + 1)
            items.extend([None] * (gaps + 1))
        return True

    def _set(self, steps: list[str | int], value: Any) -> None:
        """Put a value where the steps lead, and what leads there."""
        place: Any = self._value
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if isinstance(place, list):
                if not isinstance(step, int) or not self._reach(place, step):
                    return
                known = place[step]
            elif isinstance(place, dict):
                step = str(step)
                known = place.get(step)
            else:
                return
            if following is None:
                place[step] = value
                return
            if not isinstance(known, (dict, list)):
                known = place[step] = [] if isinstance(following, int) else {}
            place = known
