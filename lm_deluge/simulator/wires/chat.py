"""Chat completions, as OpenAI and Azure serve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from lm_deluge.simulator.checks.refusals import Refused, azure_reply
from lm_deluge.simulator.checks.request import (
    check_body,
    check_chat,
    check_content_type,
    check_key,
    unknown_model,
)
from lm_deluge.simulator.saying.prompt import Function, Prompt
from lm_deluge.simulator.saying.results import rounds_of, text_in
from lm_deluge.simulator.saying.rules import DATED, Rules, find_rules, lenient_rules
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import count_prompt
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.chat_chunks import ChunkPrinter
from lm_deluge.simulator.wires.wire import Asked, Wire

__all__ = ["AzureChatWire", "ChatWire"]

_PATH: Final = "/v1/chat/completions"
_AZURE: Final = "/openai/deployments/"
_AZURE_CHAT: Final = "/chat/completions"
_AZURE_KEY: Final = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your resource."
)


class ChatWire(Wire):
    """``POST /v1/chat/completions``."""

    def match(self, path: str) -> str | None:
        """Return ``""`` for the path: the model is in the body."""
        return "" if path == _PATH else None

    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check and read a request. Raises `Refused`."""
        check_key(record.headers, self.served.api_key)
        check_content_type(record.headers)
        body = check_body(record.json)
        rules = find_rules(body["model"], served=self.served.models)
        if rules is None:
            raise unknown_model(body["model"])
        return self.asked(body, rules, index)

    def asked(
        self, body: dict[str, Any], rules: Rules, index: int, *, azure: bool = False
    ) -> Asked:
        """Check a body that names its model, and read it. Raises `Refused`."""
        check_chat(body, rules)
        printer = ChunkPrinter.for_request(
            body,
            seed=self.served.seed,
            index=index,
            model=DATED.get(body["model"], body["model"]),
            reasons=rules.reasoning,
            reasoning_field=self.served.reasoning_field,
            usage=self.served.usage,
            azure=azure,
        )
        prompt = prompt_of(body, rules)
        return Asked(prompt=prompt, printer=printer, streamed=bool(body.get("stream")))

    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the error in OpenAI's shape."""
        return refused.reply()


class AzureChatWire(ChatWire):
    """``POST /openai/deployments/NAME/chat/completions``."""

    def match(self, path: str) -> str | None:
        """Return the deployment's name."""
        if not path.startswith(_AZURE) or not path.endswith(_AZURE_CHAT):
            return None
        return unquote(path[len(_AZURE) : -len(_AZURE_CHAT)]) or None

    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check and read a request. Raises `Refused`."""
        key = record.headers.get("api-key")
        bearer = {"Authorization": f"Bearer {key}"} if key else record.headers
        check_key(bearer, self.served.api_key)
        check_content_type(record.headers)
        body = check_body(record.json, named)
        asked = self.asked(body, lenient_rules(named), index, azure=True)
        if "api-version" not in record.query:
            raise Refused(404, "Resource not found")
        return asked

    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the error: Azure's own where the gateway refuses, else OpenAI's."""
        if refused.status == 401:
            return azure_reply(401, "401", _AZURE_KEY)
        if refused.status == 404:
            return azure_reply(404, "404", refused.message)
        return refused.reply()


def prompt_of(body: Mapping[str, Any], rules: Rules) -> Prompt:
    """Read a body that passed the checks."""
    messages = body.get("messages")
    effort = body.get("reasoning_effort") or rules.default_effort
    last = (messages or [{}])[-1]
    stop = body.get("stop")
    calls, functions = _functions(body)
    wanted = body.get("response_format") or {}
    kind = wanted.get("type")
    return Prompt(
        body=body,
        messages=messages,
        prompt_tokens=count_prompt(messages),
        count=body.get("n") or 1,
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        least=_whole(body, "min_tokens"),
        fills=body.get("ignore_eos") is True,
        calls=calls,
        functions=functions,
        answered=isinstance(last, Mapping) and last.get("role") == "tool",
        rounds=rounds_of(_said(each) for each in messages or () if isinstance(each, Mapping)),
        hides_reasoning=rules.reasoning and effort != "none",
        as_json=kind in ("json_object", "json_schema"),
        schema=wanted["json_schema"].get("schema") or {} if kind == "json_schema" else None,
    )


def _said(message: Mapping[str, Any]) -> tuple[bool, list[str]]:
    role = message.get("role")
    return role == "user", [text_in(message.get("content"))] if role == "tool" else []


def _functions(body: Mapping[str, Any]) -> tuple[str, tuple[Function, ...]]:
    functions = [tool["function"] for tool in body.get("tools") or () if "function" in tool]
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        functions = [function for function in functions if function["name"] == name]
        choice = "required"
    found = [
        Function(each["name"], each.get("parameters", {"type": "object"})) for each in functions
    ]
    return choice, tuple(found)


def _whole(body: Mapping[str, Any], name: str) -> int:
    """Return a number that servers of open models take: 0 where there is none."""
    value = body.get(name)
    return value if type(value) is int and value > 0 else 0
