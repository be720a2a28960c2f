"""The classes of errors that come inside an answer: what they are as a reply, and ``ProviderError`` too.

They are made when a first one is needed. ``except RateLimitError`` and ``except ProviderError`` both catch
one; its name is that of the class for its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from lm_deluge.errors import APIStatusError, ProviderError, status_error

__all__ = ["inside_class"]

_MADE: Final[dict[type[APIStatusError], type[APIStatusError]]] = {}


def inside_class(status: int) -> type[APIStatusError]:
    """Return the class for what a reply with this status would tell: a ``ProviderError``, too."""
    return _inside(status_error(status))


def _inside(base: type[APIStatusError]) -> type[APIStatusError]:
    made = _MADE.get(base)
    if made is None:
        made = _MADE.setdefault(base, _new(base))  # two threads may come to it
    return made


def _new(base: type[APIStatusError]) -> type[APIStatusError]:
    def reduce(error: APIStatusError) -> tuple[Any, ...]:
        # Its name is the base's, by which pickle would find another class.
        return _rebuild, (base, error.args, error.__dict__)

    namespace = {
        "__doc__": f"{base.__doc__}\n\n    Told inside an answer that had begun with status 200.",
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__reduce__": reduce,
    }
    made: Any = type(base.__name__, (base, ProviderError), namespace)
    return cast("type[APIStatusError]", made)


def _rebuild(
    base: type[APIStatusError], args: tuple[Any, ...], state: Mapping[str, Any]
) -> BaseException:
    """Unpickle without calling ``__init__``, whose keyword arguments are in ``state`` already."""
    kind = _inside(base)
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
