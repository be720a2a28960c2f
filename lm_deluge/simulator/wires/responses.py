"""Responses, as OpenAI serves them: ``POST /v1/responses``, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs

from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.simulator.checks.request import check_body, check_content_type, check_key
from lm_deluge.simulator.checks.responses import check_responses_body
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.prompt import Function, Prompt
from lm_deluge.simulator.saying.results import rounds_of, text_in
from lm_deluge.simulator.saying.rules import DATED, Rules, find_rules
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import count_prompt
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.kept_responses import KeptResponses
from lm_deluge.simulator.wires.responses_events import ResponsesPrinter, reasoning_seal
from lm_deluge.simulator.wires.wire import Asked, KeptAnswer, Wire

__all__ = ["ResponsesWire"]

_PATH: Final = "/v1/responses"

#: What a response repeats of its request.
_ECHOED: Final = (
    "instructions max_output_tokens metadata parallel_tool_calls previous_response_id reasoning "
    "background store temperature tool_choice tools top_p"
).split()


@attrs.frozen
class ResponsesWire(Wire):
    """``POST /v1/responses``, streamed or not, and ``/v1/responses/ID`` of those that are kept."""

    _kept: KeptResponses = attrs.field(factory=KeptResponses, init=False)

    def match(self, path: str) -> str | None:
        """Return ``""`` for the path: the model is in the body."""
        return "" if path == _PATH else None

    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check and read a request. Raises `Refused`."""
        check_key(record.headers, self.served.api_key)
        check_content_type(record.headers)
        body = check_body(record.json)
        model = body["model"]
        rules = find_rules(model, served=self.served.models)
        if rules is None:
            raise Refused(
                400, f"The requested model '{model}' does not exist.", "model", "model_not_found"
            )
        seal = partial(reasoning_seal, self.served.seed)
        check_responses_body(body, rules, seal, is_known=self.served.models is None)
        prompt = _prompt(body, rules)
        options = body.get("stream_options") or {}
        printer = ResponsesPrinter.for_request(
            seed=self.served.seed,
            index=index,
            model=DATED.get(model, model),
            echoed={name: body[name] for name in _ECHOED if body.get(name) is not None},
            encrypts="reasoning.encrypted_content" in (body.get("include") or ()),
            reasons=prompt.hides_reasoning,
            obfuscation=options.get("include_obfuscation", True),
            usage=self.served.usage,
        )
        return Asked(prompt=prompt, printer=printer, streamed=bool(body.get("stream")))

    def keep(self, record: ReceivedRequest, answer: SimulatedAnswer) -> KeptAnswer | None:
        """Keep it unless ``store`` is false; return what is sent of one in the background."""
        if record.json.get("store") is False:
            return None
        return self._kept.keep(answer, background=bool(record.json.get("background")))

    def names_kept(self, path: str) -> bool:
        """Whether it is that of one response."""
        return path.startswith(f"{_PATH}/")

    def kept(self, record: ReceivedRequest) -> KeptAnswer | Reply:
        """Return what a request gets that names a response. Raises `Refused`."""
        check_key(record.headers, self.served.api_key)
        return self._kept.about(record, record.path.removeprefix(f"{_PATH}/"))

    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the error in OpenAI's shape."""
        return refused.reply()


def _prompt(body: Mapping[str, Any], rules: Rules) -> Prompt:
    given = body.get("input") or []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    system = [{"content": body["instructions"]}] if body.get("instructions") else []
    effort = (body.get("reasoning") or {}).get("effort") or rules.default_effort
    calls, functions = _functions(body)
    wanted = (body.get("text") or {}).get("format") or {}
    kind = wanted.get("type", "text")
    return Prompt(
        body=body,
        messages=[*system, *items],
        prompt_tokens=count_prompt([*system, *items]),
        limit=body.get("max_output_tokens"),
        calls=calls,
        functions=functions,
        answered=bool(items) and items[-1].get("type") == "function_call_output",
        rounds=rounds_of((each.get("role") == "user", _results(each)) for each in items),
        hides_reasoning=rules.reasoning and effort != "none",
        as_json=kind != "text",
        schema=(wanted.get("schema") or {}) if kind == "json_schema" else None,
    )


def _results(item: Mapping[str, Any]) -> list[str]:
    is_one = item.get("type") == "function_call_output"
    return [text_in(item.get("output"))] if is_one else []


def _functions(body: Mapping[str, Any]) -> tuple[str, tuple[Function, ...]]:
    choice = body.get("tool_choice") or "auto"
    functions = [
        Function(tool["name"], tool.get("parameters") or {"type": "object"})
        for tool in body.get("tools") or ()
        if tool["type"] == "function"
    ]
    if isinstance(choice, Mapping):
        functions = [each for each in functions if each.name == choice.get("name")]
        choice = "required" if functions else "auto"
    return choice, tuple(functions)
