"""What handlers did wrong, in plain strings."""

from __future__ import annotations

from attrs import frozen

__all__ = ["HandlerFailure"]


@frozen
class HandlerFailure:
    """What a handler did wrong, as plain strings: nothing here keeps the stream or a frame alive.

    ``handler``: its class or function name. ``method``: the method or signal it failed in.
    ``type``, ``message``: of the first such exception. ``count``: how often it happened.
    """

    handler: str
    method: str
    type: str
    message: str
    count: int = 1
