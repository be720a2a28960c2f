"""What is known of an app's stream before it begins, and of its one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from lm_deluge.config import Limits
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.plan import ModelRequest
from lm_deluge.engine.reading import phase_of
from lm_deluge.observers.stream import Stream
from lm_deluge.proxy.asked import AppAsks
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import FailedAttempt

__all__ = ["AppAttempt", "AppAttempts", "AppStream", "WatchedPlan"]


class AppStream(Stream):
    """A stream of an app that a proxy passes on. To cancel it ends the watching alone: the app's bytes go on.

    ``app_retry``: which one of the app's own retries it is, ``None`` for a first request. ``fault``: the
    one that the proxy injected. ``connected``: seconds that the connection to the provider took, 0 for one
    that was open; ``None`` where there was none. They are part of every wait: t0 is before them.
    """

    app_retry: int | None = None
    fault: str | None = None
    connected: float | None = None


@frozen(eq=False, kw_only=True)
class WatchedPlan:
    """What is known of a stream before it begins.

    ``targets`` holds the one model asked; ``asks``: what for.
    """

    targets: tuple[ModelRequest, ...]
    asks: AppAsks
    redactor: Redactor
    tags: Mapping[str, Any]
    limits: Limits
    handler_wait: float
    pricing: None = None


class AppAttempt:
    """The app's one request, as far as it is told."""

    def __init__(self, plan: WatchedPlan) -> None:
        target = self.target = plan.targets[0]
        self.answer: AnswerReader = target.dialect.answer(
            choices=target.choices,
            limits=plan.limits,
            accept_eof=target.info.accept_eof,
            redactor=plan.redactor,
        )
        self.decided = 0.0
        self.request_id: str | None = None
        self.has_head = False

    @property
    def phase(self) -> str:
        return phase_of(self.answer, has_head=self.has_head)


class AppAttempts:
    """The app's retries are requests of their own, so there is never more than one."""

    def __init__(self, plan: WatchedPlan) -> None:
        self.current = AppAttempt(plan)
        self.number = 0
        self.failed: list[FailedAttempt] = []
