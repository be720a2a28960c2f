"""Messages, as Anthropic serves them: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs

from lm_deluge.servers.errors import anthropic_error
from lm_deluge.simulator.checks.anthropic import (
    check_limits,
    check_messages_body,
    check_messages_head,
    claude_rules,
)
from lm_deluge.simulator.checks.refusals import Refused, error_reply
from lm_deluge.simulator.checks.turns import blocks_in, check_thoughts
from lm_deluge.simulator.saying.prompt import Function, Prompt
from lm_deluge.simulator.saying.results import rounds_of, text_in
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import count_prompt
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.messages_events import MessagesPrinter, thinking_seal
from lm_deluge.simulator.wires.wire import Asked, Wire

__all__ = ["MessagesWire"]

_PATH: Final = "/v1/messages"

_CHOICES: Final = {"any": "required", "tool": "required", "none": "none"}


class MessagesWire(Wire):
    """``POST /v1/messages``, streamed or not."""

    def match(self, path: str) -> str | None:
        """Return ``""`` for the path: the model is in the body."""
        return "" if path == _PATH else None

    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check and read a request. Raises `Refused`."""
        version = check_messages_head(record.headers, self.served.api_key)
        body = check_messages_body(record.json, version)
        check_limits(body, claude_rules(body["model"], self.served.models))
        thinking = body.get("thinking") or {}
        thinks = thinking.get("type") in ("enabled", "adaptive")
        check_thoughts(body["messages"], partial(thinking_seal, self.served.seed), required=thinks)
        printer = MessagesPrinter.for_request(
            seed=self.served.seed,
            index=index,
            model=body["model"],
            shows_thinking=thinking.get("display") != "omitted",
            thinks=thinks,
            caches=b'"cache_control"' in record.body,
            usage=self.served.usage,
        )
        prompt = attrs.evolve(_prompt(body), hides_reasoning=thinks)
        return Asked(prompt=prompt, printer=printer, streamed=bool(body.get("stream")))

    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the error in Anthropic's shape."""
        return self.error(record, refused.status, refused.message, {})

    def error(
        self, record: ReceivedRequest, status: int, message: str | None, headers: Mapping[str, str]
    ) -> Reply:
        """Return an error of a fault."""
        request_id = f"req_011C{record.index:020d}"
        return error_reply(anthropic_error(status, message, headers, request_id=request_id))


def _prompt(body: Mapping[str, Any]) -> Prompt:
    messages = body["messages"]
    calls, functions = _functions(body)
    last = blocks_in(messages[-1])
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    system = [{"content": body["system"]}] if body.get("system") else []
    return Prompt(
        body=body,
        messages=[*system, *messages],
        prompt_tokens=count_prompt([*system, *messages]),
        stops=tuple(body.get("stop_sequences") or ()),
        limit=body["max_tokens"],
        calls=calls,
        functions=functions,
        answered=any(block.get("type") == "tool_result" for block in last),
        rounds=rounds_of((each["role"] == "user", _results(each)) for each in messages),
        shows_reasoning=(body.get("thinking") or {}).get("type") != "disabled",
        as_json=bool(wanted),
        schema=wanted.get("schema"),
    )


def _results(message: dict[str, Any]) -> list[str]:
    blocks = blocks_in(message)
    return [text_in(each.get("content")) for each in blocks if each.get("type") == "tool_result"]


def _functions(body: Mapping[str, Any]) -> tuple[str, tuple[Function, ...]]:
    choice = body.get("tool_choice") or {"type": "auto"}
    functions = [
        Function(tool["name"], tool["input_schema"])
        for tool in body.get("tools") or ()
        if "input_schema" in tool
    ]
    if choice["type"] == "tool":
        functions = [each for each in functions if each.name == choice["name"]]
    return _CHOICES.get(choice["type"], "auto"), tuple(functions)
