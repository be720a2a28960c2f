"""What ``on_retry`` carries."""

from __future__ import annotations

from attrs import frozen

from lm_deluge.errors import StreamError

__all__ = ["Retry"]


@frozen
class Retry:
    """An attempt failed before any output, or can be taken up where it broke, and another follows.

    ``error``: why it failed. ``attempt``: the 1-based number of the attempt that failed.
    ``delay``: seconds until the next one is sent. ``next_model``: the model it will ask. ``resumed``: it goes
    on where this one broke, so that nothing of what was shown is said again.
    """

    error: StreamError
    attempt: int
    delay: float
    next_model: str
    resumed: bool = False
