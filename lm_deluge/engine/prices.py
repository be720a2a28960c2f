"""What an answer costs by a function of the program's own, which may fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import iscoroutine
from logging import WARNING
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias

from lm_deluge.values.foreign import is_exit, log, message_of, shown, type_name
from lm_deluge.values.locking import LOCK

if TYPE_CHECKING:
    from lm_deluge.values.usage import Usage

__all__ = ["Prices", "Pricing"]

#: From a model's name, as its server knows it, and what the server counted: US dollars, or ``None``.
Prices: TypeAlias = "Callable[[str, Usage], SupportsFloat | None]"


class Pricing:
    """Asks the ``prices`` of one client; that they failed is told once."""

    __slots__ = ("_is_told", "_prices")

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._is_told = False

    def cost(self, model: str, usage: Usage | None) -> float | None:
        """Return what the function says, ``None`` where it says nothing, or nothing that is a price.

        What it raises is told to the logger and hurts nothing; ``KeyboardInterrupt`` and
        ``SystemExit`` go on from here.
        """
        if usage is None:
            return None
        try:
            given: Any = self._prices(model, usage)
            if given is None:
                return None
            cost = _number(given)
            what = "" if cost is not None else f"returned {shown(given)}, no number of US dollars,"
        except BaseException as error:
            if is_exit(error):
                raise
            cost, what = None, f"raised {type_name(error)} ({message_of(error)})"
        if cost is None:
            self._tell(model, what)
        return cost

    def _tell(self, model: str, what: str) -> None:
        with LOCK:
            if self._is_told:
                return
            self._is_told = True
        log(WARNING, "prices= %s for %s: the cost is not known (told once)", what, model)


def _number(given: Any) -> float | None:
    """Return a finite number of at least 0; ``None`` for anything else."""
    if iscoroutine(given):
        given.close()
        return None
    if isinstance(given, (bool, str, bytes)) or not isinstance(given, SupportsFloat):
        return None
    cost = float(given)
    return cost if math.isfinite(cost) and cost >= 0 else None
