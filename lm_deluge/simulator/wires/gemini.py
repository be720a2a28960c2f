"""Gemini, as Google serves it: ``POST /v1beta/models/NAME:streamGenerateContent``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import attrs

from lm_deluge.servers.errors import google_error
from lm_deluge.simulator.checks.google import (
    check_call_signatures,
    check_gemini_body,
    check_gemini_key,
    check_gemini_model,
    said_by,
)
from lm_deluge.simulator.checks.refusals import Refused, error_reply
from lm_deluge.simulator.saying.events import dumps
from lm_deluge.simulator.saying.prompt import Function, Prompt
from lm_deluge.simulator.saying.results import rounds_of
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import count_prompt
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.gemini_events import GeminiPrinter, call_seal
from lm_deluge.simulator.wires.wire import Asked, Wire

__all__ = ["GeminiWire"]

_PATHS: Final = ("/v1beta/models/", "/v1/models/", "/v1alpha/models/")
_STREAMED: Final = ":streamGenerateContent"
_WHOLE: Final = ":generateContent"

_CHOICES: Final = {"ANY": "required", "NONE": "none"}


class GeminiWire(Wire):
    """``streamGenerateContent``, with ``alt=sse`` or as one array, and ``generateContent``."""

    def match(self, path: str) -> str | None:
        """Return the model and what is asked of it."""
        start = next((each for each in _PATHS if path.startswith(each)), None)
        if start is None or not path.endswith((_STREAMED, _WHOLE)):
            return None
        return unquote(path.removeprefix(start))

    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check and read a request. Raises `Refused`."""
        check_gemini_key(record.headers, record.query, self.served.api_key)
        model, _, method = named.rpartition(":")
        check_gemini_model(model, method, self.served.models)
        body = check_gemini_body(record.json)
        config = said_by(body, "generationConfig") or {}
        thinking = said_by(config, "thinkingConfig") or {}
        shows = said_by(thinking, "includeThoughts") is not False
        signs = model.startswith("gemini-3")
        seal = partial(call_seal, self.served.seed)
        check_call_signatures(body["contents"], seal, required=signs)
        printer = GeminiPrinter.for_request(
            seed=self.served.seed,
            index=index,
            model=model,
            signs=signs,
            is_array=record.query.get("alt") != "sse",
            usage=self.served.usage,
        )
        prompt = _prompt(body, config)
        return Asked(
            prompt=attrs.evolve(prompt, shows_reasoning=shows, hides_reasoning=signs),
            printer=printer,
            streamed=_STREAMED.endswith(method),
        )

    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the error in Google's shape, under the head that the request asked for."""
        return self.error(record, refused.status, refused.message, {})

    def error(
        self, record: ReceivedRequest, status: int, message: str | None, headers: Mapping[str, str]
    ) -> Reply:
        """Return an error of a fault."""
        return error_reply(
            google_error(status, message, headers, path=record.path, query=record.query)
        )


def _prompt(body: Mapping[str, Any], config: Mapping[str, Any]) -> Prompt:
    contents = body["contents"]
    system = said_by(body, "systemInstruction")
    calls, functions = _functions(body)
    mime = said_by(config, "responseMimeType")
    schema = said_by(config, "responseJsonSchema") or said_by(config, "responseSchema")
    messages = [*([system] if system else []), *contents]
    return Prompt(
        body=body,
        messages=messages,
        prompt_tokens=count_prompt([{"content": each.get("parts")} for each in messages]),
        stops=tuple(said_by(config, "stopSequences") or ()),
        limit=said_by(config, "maxOutputTokens"),
        calls=calls,
        functions=functions,
        answered=any(said_by(part, "functionResponse") for part in contents[-1]["parts"]),
        rounds=rounds_of((said_by(each, "role") != "model", _results(each)) for each in contents),
        as_json=mime == "application/json",
        schema=None if schema is None else _lowered(schema),
    )


def _results(content: Mapping[str, Any]) -> list[str]:
    told = [said_by(part, "functionResponse") for part in content["parts"]]
    answers = [said_by(each, "response") or {} for each in told if each]
    return [each.get("result") or each.get("error") or dumps(each) for each in answers]


def _functions(body: Mapping[str, Any]) -> tuple[str, tuple[Function, ...]]:
    declared = [
        each
        for tool in body.get("tools") or ()
        for each in said_by(tool, "functionDeclarations") or ()
    ]
    choice = said_by(said_by(body, "toolConfig") or {}, "functionCallingConfig") or {}
    allowed = said_by(choice, "allowedFunctionNames")
    return _CHOICES.get(choice.get("mode") or "AUTO", "auto"), tuple(
        Function(
            each["name"],
            said_by(each, "parametersJsonSchema")
            or _lowered(each.get("parameters") or {"type": "OBJECT"}),
        )
        for each in declared
        if not allowed or each["name"] in allowed
    )


def _lowered(schema: Any) -> Any:
    """Return a schema with JSON schema's own names of types: Google's are in capitals."""
    if isinstance(schema, list):
        return [_lowered(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else _lowered(value)
        for key, value in schema.items()
    }
