"""What an app asks for, in the library's words, as observers of its stream are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.engine.plan import ModelRequest
from lm_deluge.observers.stream_request import StreamRequest
from lm_deluge.proxy.asked import AppAsks
from lm_deluge.proxy.prompts import messages_in
from lm_deluge.values.redaction import Redactor

__all__ = ["request_of_app"]

#: What providers call what the library has a name for, where it is not the same.
_NAMES: Final = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "max_output_tokens": "max_new_tokens",
    "stop_sequences": "stop",
    "topP": "top_p",
    "maxOutputTokens": "max_new_tokens",
    "stopSequences": "stop",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_SAME: Final = frozenset(
    (
        *("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "n"),
        *("logprobs", "top_logprobs", "reasoning_effort", "tool_choice", "response_format"),
    )
)

#: What is told elsewhere, or of every stream.
_ELSEWHERE: Final = frozenset(
    (
        *("model", "stream", "tools", "messages", "prompt", "input", "instructions", "system"),
        *("contents", "systemInstruction", "system_instruction"),
    )
)


def request_of_app(asks: AppAsks, target: ModelRequest, redactor: Redactor) -> StreamRequest:
    """Return what an app asks for; what the library has no name for is in ``extra_body``."""
    body: Mapping[str, Any] = asks.body or {}
    parameters: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in body.items():
        known = _NAMES.get(name, name)
        if known in _SAME or known == "max_new_tokens":
            if value is not None:
                parameters[known] = value
        elif name == "generationConfig" and isinstance(value, Mapping):
            config = {_NAMES.get(key, key): item for key, item in value.items()}
            is_known = _SAME | {"max_new_tokens"}
            parameters |= {key: item for key, item in config.items() if key in is_known}
            if others := {key: item for key, item in config.items() if key not in is_known}:
                rest[name] = others
        elif name not in _ELSEWHERE:
            rest[name] = value
    reasoning = body.get("reasoning")
    if isinstance(reasoning, Mapping) and isinstance(effort := reasoning.get("effort"), str):
        parameters.setdefault("reasoning_effort", effort)
    tools = body.get("tools")
    return StreamRequest(
        model=target.info.name,
        model_id=target.info.model_id,
        dialect=target.dialect.name,
        parameters=parameters,
        messages=messages_in(target.dialect.name, body),
        tools=[tool for tool in tools if isinstance(tool, Mapping)]
        if isinstance(tools, list)
        else (),
        extra_body=rest,
        redactor=redactor,
    )
