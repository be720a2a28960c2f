"""Answers in the shape of the batch API that their line was written for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from lm_deluge import APIResponse
from lm_deluge.cli.running.earlier import Params, batch_id
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.dialects.going_back import content_of
from lm_deluge.errors import APIStatusError, APITimeoutError, StreamCancelled, StreamError
from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.response import Choice
from lm_deluge.values.usage import Usage

__all__ = ["batch_row_of"]

#: What Anthropic calls the ends of answers.
_STOPS: Final = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use",
    "content_filter": "refusal",
}  # fmt: skip

#: What a response of Responses repeats of its request, and what it says where that says nothing.
_REPEATED: Final[Mapping[str, Any]] = {
    "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "temperature": None,
    "top_p": None, "max_output_tokens": None, "metadata": {}, "reasoning": None, "text": None,
    "truncation": "disabled",
}  # fmt: skip


def batch_row_of(
    line: PromptLine, model: str, params: Params, outcome: APIResponse | StreamError
) -> dict[str, Any]:
    """Return one line of batch results, as the API writes it that the line was written for."""
    api = line.body.api if line.body is not None else "chat"
    if api == "messages":
        return {"custom_id": line.id, "result": _result(outcome)}
    known = batch_id(line, model, params)
    row: dict[str, Any] = {"id": known, "custom_id": line.id}
    if isinstance(outcome, APIResponse):
        if api == "responses":
            body = _response_body(outcome, known, line.asked)
        else:
            body = _completion(outcome, known)
        request = outcome.request_id or known.removeprefix("batch_")
        row["response"] = {"status_code": 200, "request_id": request, "body": body}
        return {**row, "error": None}
    if isinstance(outcome, APIStatusError) and outcome.status_code is not None:
        row["response"] = {
            "status_code": outcome.status_code,
            "request_id": outcome.request_id or "",
            "body": {"error": _error_object(outcome)},
        }
        return {**row, "error": None}
    error = {"code": _code(outcome), "message": str(outcome)}
    return {**row, "response": None, "error": error}


def _code(error: StreamError) -> str:
    """Return OpenAI's word for it where it has one."""
    if isinstance(error, APITimeoutError):
        return "request_timeout"
    if isinstance(error, StreamCancelled):
        return "batch_cancelled"
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _error_object(error: APIStatusError) -> dict[str, Any]:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error")
        return inner if isinstance(inner, dict) else body
    told = body if isinstance(body, str) and body else str(error)
    return {"message": told, "type": error.type, "param": error.param, "code": error.code}


def _completion(answer: APIResponse, known: str) -> dict[str, Any]:
    """Return an answer as chat completions have it that are not streamed."""
    body: dict[str, Any] = {
        "id": answer.response_id or known,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model_external or answer.model,
        "choices": [_chat_choice(choice) for choice in answer.choices],
        "usage": _chat_usage(answer.usage),
        "service_tier": answer.service_tier,
        "system_fingerprint": answer.system_fingerprint,
    }
    return {**{key: answer.extra[key] for key in answer.extra if key not in body}, **body}


def _chat_choice(choice: Choice) -> dict[str, Any]:
    calls = [call.to_openai() for call in choice.tool_calls]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.completion if choice.completion or not calls else None,
        "refusal": choice.refusal,
    }
    if choice.refusal and not choice.completion:
        message["content"] = None
    if calls:
        message["tool_calls"] = calls
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if "annotations" in choice.extra:
        message["annotations"] = choice.extra["annotations"]
    said = {"index": choice.index, "message": message, "logprobs": choice.logprobs}
    return {**said, "finish_reason": choice.finish_reason}


def _chat_usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    if "prompt_tokens" in usage.raw:
        return usage.raw
    made: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": _total(usage),
    }
    if usage.cache_read_tokens is not None:
        made["prompt_tokens_details"] = {"cached_tokens": usage.cache_read_tokens}
    if usage.reasoning_tokens is not None:
        made["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return made


def _total(usage: Usage) -> int | None:
    if usage.total_tokens is not None:
        return usage.total_tokens
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens


def _response_body(answer: APIResponse, known: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer as Responses has it, with what was ``asked`` for, which it repeats."""
    cut = answer.finish_reason in ("length", "content_filter")
    why = "max_output_tokens" if answer.finish_reason == "length" else "content_filter"
    return {
        "id": answer.response_id or known,
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": why} if cut else None,
        "model": answer.model_external or answer.model,
        "output": [item for choice in answer.choices for item in _items(choice, known)],
        **{name: asked.get(name, usual) for name, usual in _REPEATED.items()},
        "usage": _responses_usage(answer.usage),
    }


def _items(choice: Choice, known: str) -> list[dict[str, Any]]:
    came = content_of(choice.extra)
    if came and all(item.get("type") not in ("text", "tool_use", "thinking") for item in came):
        return came
    parts: list[dict[str, Any]] = []
    if choice.completion:
        parts.append({"type": "output_text", "text": choice.completion, "annotations": []})
    if choice.refusal:
        parts.append({"type": "refusal", "refusal": choice.refusal})
    said = {"type": "message", "id": f"msg_{known}", "status": "completed", "role": "assistant"}
    items: list[dict[str, Any]] = [{**said, "content": parts}] if parts else []
    for call in choice.tool_calls:
        asked = {"type": "function_call", "call_id": call.id, "name": call.name}
        items.append({**asked, "arguments": call.arguments, "status": "completed"})
    return items


def _responses_usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": _total(usage),
    }


def _result(outcome: APIResponse | StreamError) -> dict[str, Any]:
    """Return an answer, or how it failed, as Anthropic's batches have it."""
    if isinstance(outcome, APIResponse):
        return {"type": "succeeded", "message": _message(outcome)}
    if isinstance(outcome, StreamCancelled):
        return {"type": "canceled"}
    kind, told = "api_error", str(outcome)
    if isinstance(outcome, APIStatusError):
        found = _error_object(outcome)
        kind = str(found.get("type") or outcome.type or kind)
        told = str(found.get("message") or told)
    return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": told}}}


def _arguments(call: ToolCall) -> Any:
    try:
        return call.parsed()
    except ValueError:
        return call.arguments


def _message(answer: APIResponse) -> dict[str, Any]:
    first = answer.choices[0] if answer.choices else Choice()
    came = content_of(first.extra)
    if not came or any(item.get("type") in ("message", "reasoning") for item in came):
        came = [{"type": "text", "text": first.completion}] if first.completion else []
        for call in first.tool_calls:
            said = {"type": "tool_use", "id": call.id, "name": call.name}
            came.append({**said, "input": _arguments(call)})
    usage = answer.usage
    counted = {} if usage is None else usage.raw
    if usage is not None and "input_tokens" not in counted:
        counted = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    raw = answer.finish_reason_raw
    known = {*_STOPS.values(), "stop_sequence", "pause_turn"}
    return {
        "id": answer.response_id,
        "type": "message",
        "role": "assistant",
        "model": answer.model_external or answer.model,
        "content": came,
        "stop_reason": raw if raw in known else _STOPS.get(answer.finish_reason or ""),
        "stop_sequence": None,
        "usage": counted,
    }
