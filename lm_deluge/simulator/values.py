"""Values that the simulator is given: numbers checked, and any value told of in a message."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["is_number", "number", "shown"]


def is_number(value: object) -> bool:
    """Whether it is an ``int`` or a ``float``."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(name: str, value: Any, low: float, high: float = math.inf) -> float:
    """Return a finite number in a range as a ``float``. Raises `TypeError` or `ValueError`."""
    least = f">= {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
    if not is_number(value):
        raise TypeError(f"{name} must be a number {least}, not {type(value).__name__}")
    # A float holds what is less than this.
    if not low <= value <= high or not value < 1e300:
        raise ValueError(f"{name} must be a finite number {least}, not {shown(value)}")
    return float(value)


def shown(value: object) -> str:
    """What is told of a value: a text or a number itself, of all else the type."""
    if isinstance(value, int):
        return repr(value) if abs(value) < 10**20 else f"{type(value).__name__} of so many digits"
    text = repr(value) if isinstance(value, (str, float)) else type(value).__name__
    return text[:200]
