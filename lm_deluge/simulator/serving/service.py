"""Which reply a request gets: routes, checks, and the answer behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any
from urllib.parse import unquote

import attrs

from lm_deluge.simulator.checks.refusals import Refused, json_reply
from lm_deluge.simulator.checks.request import check_key
from lm_deluge.simulator.faults.replies import sent_key
from lm_deluge.simulator.faults.table import FaultPlan
from lm_deluge.simulator.saying.answer import Pacing, make_answer
from lm_deluge.simulator.saying.rules import DATED, find_rules
from lm_deluge.simulator.saying.script import Writer
from lm_deluge.simulator.saying.steps import EOF, Paced, Reply, Step
from lm_deluge.simulator.saying.words import tokenize
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.spoken import WIRES
from lm_deluge.simulator.wires.wire import KeptAnswer, Served, Wire

Replies = Callable[[ReceivedRequest], "Reply | Iterable[Step] | str | None"]

_MODELS = "/v1/models"

#: Seconds of a wait after which is looked whether the answer was cancelled.
_LOOK = 0.02


@attrs.define(eq=False, kw_only=True)
class Service:
    """Decides on replies; writes nothing and waits for nothing."""

    writer: Writer
    pacing: Pacing
    faults: FaultPlan
    served: Served
    scripted: Replies | None
    spacing: float
    _asked: int = 0
    """Chat requests so far: faults are counted over these."""

    @cached_property
    def wires(self) -> tuple[Wire, ...]:
        """The dialects that are spoken."""
        return tuple(kind(self.served) for kind in WIRES)

    def reply(self, record: ReceivedRequest) -> Reply:
        """What a request gets. Whatever is wrong with the request is in the reply, not raised."""
        for wire in self.wires:
            if wire.names_kept(record.path):
                return self._said_again(wire, record)
            if (named := wire.match(record.path)) is None:
                continue
            if record.method != "POST":
                return wire.refuse(_wrong_method(record), record)
            return self._said(wire, record, named)
        try:
            if record.path == _MODELS or record.path.startswith(_MODELS + "/"):
                if record.method not in ("GET", "HEAD"):
                    raise _wrong_method(record)
                check_key(record.headers, self.served.api_key)
                return self._models_reply(record.path)
        except Refused as refused:
            return refused.reply()
        return Refused(404, f"Invalid URL ({record.method} {record.path})").reply()

    def _said(self, wire: Wire, record: ReceivedRequest, named: str) -> Reply:
        index = self._asked
        self._asked += 1
        said = None if self.scripted is None else self.scripted(record)
        if isinstance(said, Reply):
            return said
        if said is not None and not isinstance(said, str):
            return Reply(steps=said, spacing=self.spacing)
        fault = self.faults.pick(index)
        record.fault = None if fault is None else str(fault)
        if fault is not None and (early := fault.early(record, partial(wire.error, record))):
            return early
        writer = self.writer if said is None else attrs.evolve(self.writer, text=tokenize(said))
        try:
            asked = wire.ask(record, named, index)
            script = writer.write(asked.prompt)
        except Refused as refused:
            return wire.refuse(refused, record)
        answer = make_answer(
            script, asked.printer, streamed=asked.streamed, pacing=self.pacing, index=index
        )
        answer.credentials = sent_key(record)
        kept = wire.keep(record, answer)
        if kept is not None:
            answer = kept.answer
        reply = answer.reply() if fault is None else fault.late(answer)
        return reply if kept is None else _leaving_off(reply, kept)

    def _said_again(self, wire: Wire, record: ReceivedRequest) -> Reply:
        """What a request about an answer gets that was kept: streams of it have faults as the first had."""
        said = None if self.scripted is None else self.scripted(record)
        if isinstance(said, Reply):
            return said
        if said is not None and not isinstance(said, str):
            return Reply(steps=said, spacing=self.spacing)
        try:
            kept = wire.kept(record)
        except Refused as refused:
            return wire.refuse(refused, record)
        if isinstance(kept, Reply):
            return kept
        index = self._asked
        self._asked += 1
        fault = self.faults.pick(index)
        record.fault = None if fault is None else str(fault)
        if fault is None:
            return _leaving_off(kept.answer.reply(), kept)
        early = fault.early(record, partial(wire.error, record))
        return early or _leaving_off(fault.late(kept.answer), kept)

    def _models_reply(self, path: str) -> Reply:
        names = sorted(DATED) if self.served.models is None else list(self.served.models)
        if path == _MODELS:
            return json_reply({"object": "list", "data": [_model(name) for name in names]})
        name = unquote(path.removeprefix(_MODELS + "/"))
        if find_rules(name, served=self.served.models) is None:
            raise Refused(404, f"The model '{name}' does not exist", "model", "model_not_found")
        return json_reply(_model(name))


def _leaving_off(reply: Reply, kept: KeptAnswer) -> Reply:
    """The reply, which ends when the answer is cancelled."""
    return attrs.evolve(reply, steps=_until(reply.steps, kept.is_over))


def _until(steps: Iterable[Step], is_over: Callable[[], bool]) -> Iterator[Step]:
    for step in steps:
        for part in _paced(step) if isinstance(step, Paced) else _waited(step):
            if is_over():
                yield EOF
                return
            yield part


def _paced(step: Paced) -> Iterator[Step]:
    due = time.perf_counter()
    for data, wait in zip(step.pieces, step.waits, strict=True):
        due += wait
        yield from _waited(due - time.perf_counter())
        yield data


def _waited(step: Step) -> Iterator[Step]:
    """A step; a long wait in parts, after each of which it may be over."""
    if not isinstance(step, (int, float)):
        yield step
        return
    end = time.perf_counter() + step
    while (left := end - time.perf_counter()) > 0:
        yield min(left, _LOOK)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"}


def _wrong_method(record: ReceivedRequest) -> Refused:
    return Refused(
        405,
        f"Not allowed to {record.method} on {record.path} (HINT: Perhaps you meant to use a "
        "different HTTP method?)",
        code="method_not_supported",
    )
