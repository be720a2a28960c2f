"""What a stream's timeline is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.usage import Usage

__all__ = ["TimelineContent", "TimelineSource"]


class TimelineChoice(Protocol):
    """What a timeline takes from a ``Choice``."""

    @property
    def index(self) -> int: ...
    @property
    def completion(self) -> str: ...
    @property
    def reasoning(self) -> str | None: ...


class TimelineContent(Protocol):
    """What a timeline takes from an ``APIResponse`` or a ``Partial``; and ``model`` and ``cost`` where
    there are any."""

    @property
    def choices(self) -> Sequence[TimelineChoice]: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def finish_reason(self) -> str | None: ...


@frozen(eq=False)
class TimelineSource:
    """What ``timeline`` is built from when somebody asks for it.

    ``outcome``: ``"complete"``, ``"error"``, or ``"open"`` while the stream goes on.
    """

    arrivals: Arrivals
    stream_id: str
    model: str
    queued: float
    at: str
    tags: Mapping[str, Any]
    outcome: str
    error: str | None
    phase: str | None
    elapsed: float
    attempts: int
    redactor: Redactor = field(factory=Redactor)
