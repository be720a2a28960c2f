"""Axes of charts: which range reaches every event, where a value lies on it, and its ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Any

from attrs import frozen

from lm_deluge.timeline.measures.numeric import Floats, np

__all__ = ["SMALLEST", "Axis", "Tick", "linear", "seconds_axis", "spread"]

SMALLEST = 0.001
"""Seconds: what is shorter is drawn here on a logarithmic axis."""

# A tail this many times as long as nine tenths of the values would squash them.
_SQUASHED = 4.0
_ROOM = 1.04
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@frozen
class Tick:
    """A label ``at`` so many percent of the axis; ``is_minor``: left out where there is no room."""

    at: float
    label: str
    is_minor: bool


@frozen
class Axis:
    """A range from ``low`` to ``high``, linear or, with ``is_log``, logarithmic (``low`` above 0)."""

    low: float
    high: float
    is_log: bool = False

    def places(self, values: Iterable[float] | Floats) -> Floats:
        """Return where values lie, from 0 to 1; what lies outside is put at the edge."""
        given = np.asarray(values, dtype=np.float64)
        if self.is_log:
            given = np.log(np.maximum(given, self.low) / self.low) / np.log(self.high / self.low)
        else:
            given = (given - self.low) / (self.high - self.low)
        return np.clip(given, 0.0, 1.0)

    def percent(self, value: float) -> float:
        """Return where a value lies, in percent of the axis with two decimals."""
        return round(float(self.places([value])[0]) * 100, 2)

    def grid(self, points: int) -> Floats:
        """Return values from end to end, evenly apart on the axis."""
        if self.is_log:
            return np.geomspace(self.low, self.high, points)
        return np.linspace(self.low, self.high, points)

    def ticks(self, most: int = 6, *, unit: str = "") -> list[Tick]:
        """Return at most about ``most`` ticks at round values, those of a log axis in seconds."""
        values = self._round_logs(most) if self.is_log else self._round_values(most)
        labels = [_seconds(value) if self.is_log else f"{value:,.10g}{unit}" for value in values]
        # The last one stays, it says how far the axis goes.
        last = (len(values) - 1) % 2
        return [
            Tick(self.percent(value), label, place % 2 != last)
            for place, (value, label) in enumerate(zip(values, labels, strict=True))
        ]

    def _round_values(self, most: int) -> list[float]:
        step = _round_up((self.high - self.low) / most)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(step * k, 12) for k in range(first, last + 1)]

    def _round_logs(self, most: int) -> list[float]:
        decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            values = [round(m * 10.0**k, 12) for k in decades for m in steps]
            values = [value for value in values if self.low <= value <= self.high]
            if len(values) <= most:
                break
        return values[:: ceil(len(values) / most)] if len(values) > most else values

    def facts(self) -> dict[str, Any]:
        """Return what the page's script needs to read a place off the axis."""
        return {"low": self.low, "high": self.high, "log": self.is_log}


def linear(high: float, low: float = 0.0) -> Axis:
    """Return a linear axis that reaches ``high``, with a little room; 1 long where that is nothing."""
    length = (high - low) * _ROOM
    return Axis(low, low + (length if length > SMALLEST else 1.0))


def seconds_axis(values: Floats, *, log: bool | None = None) -> Axis:
    """Return an axis on which every one of ``values`` (seconds) lies.

    Logarithmic where a long tail would squash the rest, unless ``log`` says.
    """
    longest = float(values.max()) if len(values) else 0.0
    if log is None:
        log = bool(len(values)) and longest > _SQUASHED * float(np.quantile(values, 0.9)) > 0
    if not log:
        return linear(longest)
    shortest = float(values.min()) if len(values) else SMALLEST
    low = max(SMALLEST, shortest) * 0.8
    return Axis(low, max(longest, low * 2) * 1.3, is_log=True)


def spread(heights: Sequence[float], apart: float) -> list[float]:
    """Return where labels stand that belong to these heights (percent, ascending): ``apart`` and below 100.

    Those that would meet are moved up; those that would then leave the top, down again.
    """
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + apart) if placed else max(0.0, height))
    most = 100.0
    for k in reversed(range(len(placed))):
        placed[k] = min(placed[k], most)
        most = placed[k] - apart
    return [round(place, 1) for place in placed]


def _round_up(step: float) -> float:
    size = 10.0 ** floor(log10(step)) if step > 0 else 1.0
    return next(size * k for k in _STEPS if size * k >= step * (1 - 1e-9))


def _seconds(value: float) -> str:
    return f"{value:,.4g} s" if value >= 0.1 else f"{value * 1000:.4g} ms"
