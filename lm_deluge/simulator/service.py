"""Which reply a request gets: routes, checks, and the answer behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import attrs

from lm_deluge.simulator.answer import Answer, Pacing, make_answer
from lm_deluge.simulator.checks import (
    check_body,
    check_chat,
    check_content_type,
    check_key,
    unknown_model,
)
from lm_deluge.simulator.chunks import Printer
from lm_deluge.simulator.fault_replies import sent_key
from lm_deluge.simulator.faults import FaultPlan
from lm_deluge.simulator.received import ReceivedRequest
from lm_deluge.simulator.refusals import Refused, azure_reply, json_reply
from lm_deluge.simulator.rules import DATED, Rules, find_rules, lenient_rules
from lm_deluge.simulator.script import Writer
from lm_deluge.simulator.steps import Reply, Step
from lm_deluge.simulator.words import tokenize

Replies = Callable[[ReceivedRequest], "Reply | Iterable[Step] | str | None"]

_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"
_AZURE = "/openai/deployments/"
_AZURE_CHAT = "/chat/completions"
_AZURE_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your resource."
)


@attrs.define(eq=False, kw_only=True)
class Service:
    """Decides on replies; writes nothing and waits for nothing."""

    writer: Writer
    pacing: Pacing
    faults: FaultPlan
    models: Collection[str] | None
    api_key: str | None
    usage: bool | Mapping[str, Any]
    reasoning_field: str
    scripted: Replies | None
    spacing: float
    _asked: int = 0
    """Chat requests so far: faults are counted over these."""

    def reply(self, record: ReceivedRequest) -> Reply:
        """What a request gets. Whatever is wrong with the request is in the reply, not raised."""
        deployment = _deployment(record.path)
        if deployment is not None or record.path == _CHAT:
            if record.method != "POST":
                return _wrong_method(record)
            return self._chat_reply(record, deployment)
        try:
            if record.path == _MODELS or record.path.startswith(_MODELS + "/"):
                if record.method not in ("GET", "HEAD"):
                    return _wrong_method(record)
                check_key(record.headers, self.api_key)
                return self._models_reply(record.path)
        except Refused as refused:
            return refused.reply()
        return _not_found(record)

    def _chat_reply(self, record: ReceivedRequest, deployment: str | None) -> Reply:
        index = self._asked
        self._asked += 1
        said = None if self.scripted is None else self.scripted(record)
        if isinstance(said, Reply):
            return said
        if said is not None and not isinstance(said, str):
            return Reply(steps=said, spacing=self.spacing)
        fault = self.faults.pick(index)
        record.fault = None if fault is None else str(fault)
        if fault is not None and (early := fault.early(record, index)):
            return early
        writer = self.writer if said is None else attrs.evolve(self.writer, text=tokenize(said))
        try:
            answer = self._answer(record, deployment, writer, index)
        except Refused as refused:
            if deployment is not None and refused.status == 401:
                return azure_reply(401, "401", _AZURE_KEY)
            return refused.reply()
        if deployment is not None and "api-version" not in record.query:
            return azure_reply(404, "404", "Resource not found")
        answer.credentials = sent_key(record)
        return answer.reply() if fault is None else fault.late(answer)

    def _answer(
        self, record: ReceivedRequest, deployment: str | None, writer: Writer, index: int
    ) -> Answer:
        if deployment is not None:
            key = record.headers.get("api-key")
            bearer = {"Authorization": f"Bearer {key}"} if key else record.headers
            check_key(bearer, self.api_key)
        else:
            check_key(record.headers, self.api_key)
        check_content_type(record.headers)
        body = check_body(record.json, deployment)
        model = body["model"]
        rules = self._rules(model, deployment)
        check_chat(body, rules)
        printer = Printer.for_request(
            body,
            seed=self.pacing.seed,
            index=index,
            model=DATED.get(model, model),
            reasons=rules.reasoning,
            reasoning_field=self.reasoning_field,
        )
        return make_answer(
            writer.write(body, rules),
            printer,
            body,
            pacing=self.pacing,
            usage=self.usage,
            index=index,
            azure=deployment is not None,
        )

    def _rules(self, model: str, deployment: str | None) -> Rules:
        if deployment is not None:
            return lenient_rules(model)
        rules = find_rules(model, served=self.models)
        if rules is None:
            raise unknown_model(model)
        return rules

    def _models_reply(self, path: str) -> Reply:
        names = sorted(DATED) if self.models is None else list(self.models)
        if path == _MODELS:
            return json_reply({"object": "list", "data": [_model(name) for name in names]})
        name = unquote(path.removeprefix(_MODELS + "/"))
        if find_rules(name, served=self.models) is None:
            raise Refused(404, f"The model '{name}' does not exist", "model", "model_not_found")
        return json_reply(_model(name))


def _deployment(path: str) -> str | None:
    if not path.startswith(_AZURE) or not path.endswith(_AZURE_CHAT):
        return None
    return unquote(path[len(_AZURE) : -len(_AZURE_CHAT)]) or None


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"}


def _not_found(record: ReceivedRequest) -> Reply:
    return Refused(404, f"Invalid URL ({record.method} {record.path})").reply()


def _wrong_method(record: ReceivedRequest) -> Reply:
    return Refused(
        405,
        f"Not allowed to {record.method} on {record.path} (HINT: Perhaps you meant to use a "
        "different HTTP method?)",
        code="method_not_supported",
    ).reply()
