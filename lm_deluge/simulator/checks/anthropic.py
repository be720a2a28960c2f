"""Checks of a Messages request, with the statuses and words of the real service."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import attrs

from lm_deluge.simulator.checks.calls import check_claude_name
from lm_deluge.simulator.checks.parameters import MESSAGES
from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.simulator.checks.schemas import check_claude_schema
from lm_deluge.simulator.checks.turns import check_turns
from lm_deluge.simulator.values import is_number

__all__ = ["check_limits", "check_messages_body", "check_messages_head", "claude_rules"]

_VERSIONS: Final = ("2023-01-01", "2023-06-01", "2026-10-21")
#: The version that knows no sampling parameters, whatever their values.
_NO_SAMPLING: Final = "2026-10-21"
_SAMPLING: Final = ("temperature", "top_k", "top_p")

# name: lowest, highest
_RANGES: Final = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 10**9)}
_CHOICES: Final = ("auto", "any", "tool", "none")


@attrs.frozen
class ClaudeRules:
    """What a family of models takes.

    ``most``: the highest ``max_tokens``; ``samples``: ``temperature``, ``top_p`` and ``top_k``.
    """

    most: int
    thinks: bool = True
    samples: bool = True


# First match wins.
_TABLE: Final = tuple(
    (re.compile(pattern), rules)
    for pattern, rules in (
        (r"claude-3-7-.+", ClaudeRules(128_000)),
        (r"claude-3-5-.+", ClaudeRules(8_192, thinks=False)),
        (r"claude-(3|2|instant).*", ClaudeRules(4_096, thinks=False)),
        (r"claude-opus-4(-[01](-.+)?|-\d{8})?", ClaudeRules(32_000)),
        (r"claude-opus-4-[7-9](-.+)?", ClaudeRules(128_000, samples=False)),
        (r"claude-[a-z]+-4.*", ClaudeRules(64_000)),
        (r"claude-(opus|sonnet|haiku|fable|mythos)-\d.*", ClaudeRules(128_000, samples=False)),
    )
)


def claude_rules(model: str, served: Collection[str] | None) -> ClaudeRules:
    """Return the rules of a model. Raises `Refused` (404) for one that is not served."""
    found = next((rules for pattern, rules in _TABLE if pattern.fullmatch(model)), None)
    if served is not None:
        found = (found or ClaudeRules(128_000)) if model in served else None
    if found is None:
        raise Refused(404, f"model: {model}", type="not_found_error")
    return found


def check_messages_head(headers: Mapping[str, str], key: str | None) -> str:
    """Return the version of the API. Raises `Refused` (401, 400) for a wrong key or version."""
    given = headers.get("x-api-key") or headers.get("Authorization", "").removeprefix("Bearer ")
    if not given.strip():
        raise Refused(401, "x-api-key header is required", type="authentication_error")
    if key is not None and given != key:
        raise Refused(401, "invalid x-api-key", type="authentication_error")
    version = headers.get("anthropic-version")
    if version is None:
        raise Refused(400, "anthropic-version: header is required")
    if version not in _VERSIONS:
        raise Refused(400, f'anthropic-version: "{version}" is not a valid version')
    return version


def check_messages_body(body: Any, version: str) -> dict[str, Any]:
    """Return the body. Raises `Refused` (400) for one that the real service would not answer."""
    if not isinstance(body, dict):
        raise Refused(400, "The request body is not valid JSON: expected an object")
    for name in ("model", "messages", "max_tokens"):
        if body.get(name) is None:
            raise Refused(400, f"{name}: Field required")
    if not isinstance(body["model"], str):
        raise Refused(400, "model: Input should be a valid string")
    refused = _SAMPLING if version == _NO_SAMPLING else ()
    for name in body:
        if name not in MESSAGES or name in refused:
            raise Refused(400, f"{name}: Extra inputs are not permitted")
    _check_values(body)
    config = body.get("output_config")
    for form, where in (
        (config.get("format") if isinstance(config, dict) else None, "output_config.format"),
        (body.get("output_format"), "output_format"),
    ):
        if form is not None:
            check_claude_schema(form, where)
    names = _check_tools(body.get("tools"))
    _check_choice(body.get("tool_choice"), names)
    check_turns(body["messages"])
    return body


def check_limits(body: Mapping[str, Any], rules: ClaudeRules) -> None:
    """Raises `Refused` (400) for what this model does not take."""
    wanted = body["max_tokens"]
    if wanted > rules.most:
        raise Refused(
            400,
            f"max_tokens: {wanted} > {rules.most}, which is the maximum allowed number of output "
            f"tokens for {body['model']}",
        )
    refused = () if rules.samples else _SAMPLING
    for name in refused:
        if name in body:
            raise Refused(400, f"`{name}` is not supported by {body['model']}.")
    _check_thinking(body, rules)


def _check_values(body: Mapping[str, Any]) -> None:
    most = body["max_tokens"]
    if not isinstance(most, int) or isinstance(most, bool):
        raise Refused(400, "max_tokens: Input should be a valid integer")
    if most < 1:
        raise Refused(400, "max_tokens: Input should be greater than or equal to 1")
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if not is_number(value):
            raise Refused(400, f"{name}: Input should be a valid number")
        if value < low:
            raise Refused(400, f"{name}: Input should be greater than or equal to {low}")
        if value > high:
            raise Refused(400, f"{name}: range: 0..1")
    if not isinstance(body.get("stream", False), bool):
        raise Refused(400, "stream: Input should be a valid boolean")
    system = body.get("system", "")
    if not isinstance(system, (str, list)):
        raise Refused(400, "system: Input should be a valid list")
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise Refused(400, "stop_sequences: Input should be a valid list")
    if any(not stop.strip() for stop in stops):
        raise Refused(400, "stop_sequences: each stop sequence must contain non-whitespace")


def _check_tools(tools: Any) -> set[str]:
    if tools is None:
        return set()
    if not isinstance(tools, list):
        raise Refused(400, "tools: Input should be a valid list")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        where = f"tools.{index}"
        if not isinstance(tool, dict):
            raise Refused(400, f"{where}: Input should be a valid dictionary")
        kind = tool.get("type", "custom")
        wanted = ("name", "input_schema") if kind == "custom" else ()
        for name in wanted:
            if tool.get(name) is None:
                raise Refused(400, f"{where}.custom.{name}: Field required")
        if kind == "custom":
            check_claude_name(tool["name"], f"{where}.custom.name")
        schema = tool.get("input_schema")
        if kind == "custom" and (not isinstance(schema, dict) or schema.get("type") != "object"):
            raise Refused(400, f"{where}.custom.input_schema.type: Field required")
        if tool.get("name") in names:
            raise Refused(400, "tools: Tool names must be unique.")
        names.add(str(tool.get("name")))
    return names


def _check_choice(choice: Any, names: set[str]) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in _CHOICES:
        raise Refused(
            400,
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected "
            f"tags: {', '.join(map(repr, _CHOICES))}",
        )
    if kind in ("any", "tool") and not names:
        raise Refused(400, "tool_choice: may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in names:
        raise Refused(400, f"Tool '{choice.get('name')}' not found in provided tools")


def _check_thinking(body: Mapping[str, Any], rules: ClaudeRules) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "disabled", "adaptive"):
        raise Refused(
            400,
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: 'disabled', 'enabled', 'adaptive'",
        )
    if kind == "disabled":
        return
    if not rules.thinks:
        raise Refused(400, f"'{body['model']}' does not support thinking.")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int):
            raise Refused(400, "thinking.enabled.budget_tokens: Field required")
        if budget < 1024:
            raise Refused(
                400,
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            )
        if budget >= body["max_tokens"]:
            raise Refused(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature", 1) != 1:
        raise Refused(400, "`temperature` may only be set to 1 when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise Refused(400, "Thinking may not be enabled when tool_choice forces tool use.")
