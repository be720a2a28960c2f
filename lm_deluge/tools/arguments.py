"""The arguments of a call: the text that a model wrote, as what a function takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from attrs import field, frozen

from lm_deluge.tools.signatures import Parameter, filled

__all__ = ["Arguments", "object_in"]


def object_in(text: str) -> dict[str, Any]:
    """Return the JSON object that a model wrote; ``{}`` for nothing and for ``null``.

    Raises ``ValueError`` with a sentence that the model is told.
    """
    if not text.strip():
        return {}
    try:
        given = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments are not JSON: {error}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"the arguments must be a JSON object, not {_kind(given)}")
    return given


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (list, str)):
        return "an array" if isinstance(value, list) else "a string"
    return "a number"


@frozen
class Arguments:
    """Reads what one function takes.

    ``readers``: for each parameter what makes its value, or raises ``ValueError``. ``more``: the same for
    what else may be given by name; ``None``: nothing may. ``needed``: names that have to be there.
    ``defaults``: values of what is left out, where they are not the function's own.
    """

    parameters: tuple[Parameter, ...] = ()
    readers: Mapping[str, Callable[[Any], Any]] = field(factory=dict)
    more: Callable[[Any], Any] | None = None
    needed: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def as_they_come(cls, schema: Mapping[str, Any]) -> Arguments:
        """Return what reads arguments whose schema was given: only what is required is asked for."""
        required = schema.get("required")
        names = (
            [name for name in required if isinstance(name, str)]
            if isinstance(required, list)
            else []
        )
        return cls(more=lambda value: value, needed=names)

    def read(self, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the named arguments of the call.

        Raises ``ValueError`` that says of each argument what is wrong with it.
        """
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name, value in given.items():
            reader = self.readers.get(name, self.more)
            if reader is None:
                known = ", ".join(self.readers) or "none"
                wrong.append(f"{name}: there is no such argument (there are: {known})")
                continue
            try:
                values[name] = reader(value)
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        needed = [*self.needed, *(each.name for each in self.parameters if each.is_required)]
        wrong += [f"{name}: is missing" for name in needed if name not in given]
        if wrong:
            raise ValueError("the arguments do not fit: " + "; ".join(wrong))
        return filled(self.parameters, {**self.defaults, **values})
