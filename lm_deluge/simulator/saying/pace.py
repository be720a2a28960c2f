"""When the pieces of an answer leave: seeded waits, in seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import repeat

import attrs

from lm_deluge.simulator.values import number

_SHAPES = {
    "constant": ("seconds",),
    "exponential": ("mean",),
    "lognormal": ("median", "sigma"),
    "bursty": ("n", "pause"),
}
_SPELLINGS = ", ".join(":".join((kind, *map(str.upper, names))) for kind, names in _SHAPES.items())


def _finite(instance: Gap, attribute: attrs.Attribute[tuple[float, ...]], value: object) -> None:
    if instance.kind not in _SHAPES:
        raise ValueError(f"kind must be one of {', '.join(_SHAPES)}, not {instance.kind!r}")
    names = _SHAPES[instance.kind]
    if len(instance.values) != len(names):
        raise ValueError(f"a {instance.kind} gap takes {', '.join(names)}, not {value!r}")
    for name, given in zip(names, instance.values, strict=True):
        number(name, given, 1 if name == "n" else 0)


@attrs.frozen
class Gap:
    """A distribution of waits, in seconds. Make one with its class methods.

    They raise `TypeError` or `ValueError` naming the value that makes no sense.

    >>> Gap.lognormal(median=0.03, sigma=0.5)
    Gap(kind='lognormal', values=(0.03, 0.5))
    """

    kind: str
    values: tuple[float, ...] = attrs.field(validator=_finite)

    @classmethod
    def constant(cls, seconds: float) -> Gap:
        """The same wait every time."""
        return cls("constant", (number("seconds", seconds, 0),))

    @classmethod
    def exponential(cls, mean: float) -> Gap:
        """Waits of a Poisson process."""
        return cls("exponential", (number("mean", mean, 0),))

    @classmethod
    def lognormal(cls, median: float, sigma: float) -> Gap:
        """Many short waits and a long tail; ``sigma`` is that of the logarithm (no unit)."""
        return cls("lognormal", (number("median", median, 0), number("sigma", sigma, 0)))

    @classmethod
    def bursty(cls, n: int, pause: float) -> Gap:
        """``n`` pieces at once, then ``pause`` seconds: what a buffering proxy makes of a stream."""
        return cls("bursty", (number("n", n, 1), number("pause", pause, 0)))

    @classmethod
    def parse(cls, text: str) -> Gap:
        """Read ``"0.05"`` or ``"KIND:VALUE[:VALUE]"``, as on the command line.

        Raises:
            TypeError: no text is given.
            ValueError: the text is neither.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}")
        kind, *values = text.split(":")
        if not values:
            kind, values = "constant", [kind]
        try:
            return cls(kind, tuple(float(value) for value in values))
        except ValueError as error:
            raise ValueError(
                f"not a gap: {text!r} ({error}); a text must be seconds or {_SPELLINGS}"
            ) from None

    @classmethod
    def of(cls, value: float | str | Gap) -> Gap:
        """Take a number of seconds, a text as for `parse`, or a `Gap` as it is."""
        if isinstance(value, Gap):
            return value
        return cls.parse(value) if isinstance(value, str) else cls.constant(value)

    @property
    def zero(self) -> bool:
        """Whether every wait is 0."""
        return self.values[-1 if self.kind == "bursty" else 0] == 0

    def waits(self, rng: random.Random, jitter: float = 0.0) -> Iterator[float]:
        """Waits for ever, in seconds; each is scaled by a factor from ``1 ± jitter``."""
        plain = self._plain(rng)
        if jitter == 0:
            return plain
        return (wait * rng.uniform(1 - jitter, 1 + jitter) for wait in plain)

    def _plain(self, rng: random.Random) -> Iterator[float]:
        if self.zero:
            yield from repeat(0.0)
        first, *rest = self.values
        if self.kind == "constant":
            yield from repeat(first)
        elif self.kind == "exponential":
            while True:
                yield rng.expovariate(1 / first)
        elif self.kind == "lognormal":
            while True:
                yield rng.lognormvariate(math.log(first), rest[0])
        else:
            while True:
                yield rest[0]
                yield from repeat(0.0, int(first) - 1)
