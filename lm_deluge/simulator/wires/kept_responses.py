"""Responses that are kept: looked up, streamed from any event on, cancelled, deleted."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import attrs

from lm_deluge.simulator.checks.refusals import Refused, bad_request, json_reply
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.responses_events import ResponsesPrinter
from lm_deluge.simulator.wires.wire import KeptAnswer

__all__ = ["STREAMABLE", "KeptResponses"]

#: Seconds from its beginning in which a response can be streamed again.
STREAMABLE: Final = 300.0

#: How many are kept, the latest ones.
_MOST: Final = 256


@attrs.frozen
class _NumberedEvent:
    number: int
    data: bytes
    at: float
    """Seconds after the request at which it happens."""


@attrs.define(eq=False, kw_only=True)
class _KeptResponse:
    """One response. Moments are seconds of ``time.perf_counter``."""

    answer: SimulatedAnswer
    printer: ResponsesPrinter
    background: bool
    events: list[_NumberedEvent]
    """None where no stream was asked for."""
    lasts: float
    """Seconds that it takes."""
    began: float = attrs.field(factory=time.perf_counter)
    cancelled: bool = False

    @property
    def status(self) -> str:
        """Of the response: the word for the end only once it is there."""
        if self.cancelled:
            return "cancelled"
        if time.perf_counter() < self.began + self.lasts:
            return "in_progress"
        return str(self.answer.whole["status"])

    def told(self) -> dict[str, Any]:
        """The response as it is now."""
        status = self.status
        if status == self.answer.whole["status"]:
            return dict(self.answer.whole)
        return self.printer.before(self.answer.script) | {"status": status}

    def after(self, number: int) -> SimulatedAnswer:
        """What is streamed of it after the event with that number, at the pace at which it happens."""
        now = time.perf_counter() - self.began
        rest = [event for event in self.events if event.number > number]
        waits = []
        for event in rest:
            waits.append(max(event.at - now, 0.0))
            now = max(event.at, now)
        return attrs.evolve(
            self.answer,
            ttft=0.0,
            opening=[],
            pieces=[event.data for event in rest],
            waits=waits,
            finishes=[],
            done=None,
        )


class KeptResponses:
    """Those of one server, by id."""

    def __init__(self) -> None:
        self._kept: dict[str, _KeptResponse] = {}

    def keep(self, answer: SimulatedAnswer, *, background: bool) -> KeptAnswer | None:
        """Keep one; return what is sent of it if it is made in the background."""
        printer = answer.printer
        assert isinstance(printer, ResponsesPrinter)
        events = _events_of(answer) if answer.streamed else []
        kept = _KeptResponse(
            answer=answer,
            printer=printer,
            background=background,
            events=events,
            lasts=events[-1].at if events else answer.ttft,
        )
        self._kept[printer.id] = kept
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        if not background:
            return None
        sent = answer
        if not answer.streamed:
            queued = printer.before(answer.script, queued=True)
            sent = attrs.evolve(
                answer, ttft=0.0, pieces=[json.dumps(queued).encode()], waits=[0.0], whole=queued
            )
        return KeptAnswer(answer=sent, is_over=lambda: kept.cancelled)

    def about(self, record: ReceivedRequest, path: str) -> KeptAnswer | Reply:
        """Return what a request gets for what follows ``/v1/responses/``. Raises `Refused`."""
        name, _, what = path.partition("/")
        kept = self._kept.get(name)
        if kept is None or what not in ("", "cancel"):
            raise Refused(404, f"Response with id '{name}' not found.")
        if what and record.method == "POST":
            if not kept.background:
                raise bad_request("Cannot cancel a synchronous response.")
            kept.cancelled = kept.cancelled or kept.status == "in_progress"
            return json_reply(kept.told())
        if not what and record.method == "DELETE":
            del self._kept[name]
            return json_reply({"id": name, "object": "response", "deleted": True})
        if what or record.method not in ("GET", "HEAD"):
            raise Refused(405, f"Not allowed to {record.method} on {record.path}", None)
        if record.query.get("stream") != "true":
            return json_reply(kept.told())
        return KeptAnswer(answer=_streamed(kept, record.query), is_over=lambda: kept.cancelled)


def _streamed(kept: _KeptResponse, query: dict[str, str]) -> SimulatedAnswer:
    if not kept.background or not kept.events:
        raise Refused(404, f"Response with id '{kept.printer.id}' cannot be streamed.")
    if time.perf_counter() - kept.began > STREAMABLE:
        raise bad_request(
            "This response can no longer be streamed because it is more than 5 minutes old."
        )
    after = query.get("starting_after", "-1")
    try:
        return kept.after(int(after))
    except ValueError:
        raise bad_request(
            f"Invalid type for 'starting_after': expected an integer, but got '{after}'.",
            "starting_after",
            "invalid_type",
        ) from None


def _events_of(answer: SimulatedAnswer) -> list[_NumberedEvent]:
    """The events of an answer and when they happen: a piece's wait is before it."""
    at = answer.ttft
    parts = [(data, at) for data in answer.opening]
    for data, wait in zip(answer.pieces, answer.waits, strict=True):
        at += wait
        parts.append((data, at))
    last = [*answer.finishes, answer.usage, answer.done]
    parts += [(data, at) for data in last if data is not None]
    return [
        _NumberedEvent(_number_in(block), block + b"\n\n", at)
        for data, at in parts
        for block in data.split(b"\n\n")
        if block
    ]


def _number_in(block: bytes) -> int:
    return int(json.loads(block.partition(b"data: ")[2])["sequence_number"])
