"""What ``on_retry`` carries."""

from __future__ import annotations

from attrs import frozen

from lm_deluge.errors import StreamError

__all__ = ["Retry"]


@frozen
class Retry:
    """An attempt failed before any output, and another follows.

    ``error``: why it failed. ``attempt``: the 1-based number of the attempt that failed.
    ``delay``: seconds until the next one is sent. ``next_model``: the model it will ask.
    """

    error: StreamError
    attempt: int
    delay: float
    next_model: str
