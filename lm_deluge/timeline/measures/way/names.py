"""The names of what is told of the way, as rules and the ``--json`` object have them."""

from __future__ import annotations

__all__ = [
    "DELAYS",
    "ON_SCREEN",
    "PLACES",
    "SEEN",
    "SEEN_CROSSING",
    "SEEN_DISTRIBUTIONS",
    "SEEN_POOLED",
    "STATIONS",
    "WAITS",
    "WORDS",
]

STATIONS = ("queued", "provider", "process", "network", "painting")
"""Where a wait comes from, in the order of the way."""

WAITS = (*STATIONS, "total")
"""Of the wait for the first text."""

DELAYS = ("process", "network", "painting", "total")
"""Of the pieces after it."""

PLACES = ("process", "browser", "painted")
"""Where gaps and stalls are looked at: arrived at our process, in the browser, on the screen."""

ON_SCREEN = ("ttfa", "ttft")
"""Seconds from the request until the first text is painted; two names of one figure."""

SEEN_DISTRIBUTIONS = (
    *(f"seen.{name}" for name in ON_SCREEN),
    *(f"seen.wait.{name}" for name in WAITS),
    *(f"seen.delay.{name}" for name in DELAYS),
    *(f"seen.gap.{name}" for name in PLACES),
)
"""What is given as a distribution."""

SEEN_POOLED = (
    *(f"seen.delay.{name}" for name in DELAYS),
    *(f"seen.gap.{name}" for name in PLACES),
)
"""Distributions of many numbers a reader."""

SEEN_CROSSING = ("seen.wait.network", "seen.delay.network", "seen.delay.total")
"""Distributions of times from one clock to another, known to within a bound."""

_STALLS = tuple(
    f"seen.stalls.{place}.{what}" for place in PLACES for what in ("count", "total", "longest")
)

SEEN = ("seen.streams", "seen.share", "seen.hidden", "seen.readers", *_STALLS)
"""What is one number."""

WORDS = {
    "queued": "queued",
    "provider": "connecting and thinking (provider)",
    "process": "our process (handlers, busy loop)",
    "network": "relay and network",
    "painting": "painting",
    "total": "all of it",
    "browser": "in the browser",
    "painted": "painted",
}
"""The stations and places as people read them."""
