"""Requests that were written for a provider's batch API, each as it is and for other APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.cli.running.asked import BatchBody, Row, RowAsks
from lm_deluge.cli.running.foreign import (
    from_contents,
    from_items,
    from_turns,
    listed,
)
from lm_deluge.values.foreign import shown, type_name

__all__ = ["WORDS", "body_of", "gemini_of", "params_of_anthropic"]

#: What the library calls a parameter, by what each API calls it.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "chat": {
        "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_new_tokens",
        "max_completion_tokens": "max_new_tokens", "stop": "stop", "seed": "seed",
        "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
        "logprobs": "logprobs", "top_logprobs": "top_logprobs", "n": "n",
        "reasoning_effort": "reasoning_effort",
    },
    "responses": {
        "temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_new_tokens",
        "top_logprobs": "top_logprobs",
    },
    "messages": {
        "temperature": "temperature", "top_p": "top_p", "max_tokens": "max_new_tokens",
        "stop_sequences": "stop",
    },
    "gemini": {
        "temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_new_tokens",
        "stopSequences": "stop", "seed": "seed", "candidateCount": "n",
        "presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty",
    },
}  # fmt: skip

#: What the client says itself.
_CLIENTS: Final = ("model", "messages", "stream", "stream_options", "tools", "tool_choice")

_CHAT: Final = (*_CLIENTS, "response_format")
_RESPONSES: Final = (*_CLIENTS, "input", "instructions", "background")
_MESSAGES: Final = (*_CLIENTS, "system")


def body_of(row: Row) -> RowAsks:
    """Read ``body`` of a line for OpenAI's batch API; the address says which API it is for."""
    body, url = _object(row, "body"), row.get("url")
    path = url.rstrip("/") if isinstance(url, str) else ""
    used = ("custom_id", "method", "url", "body")
    if path.endswith("/messages") or (not path and "anthropic_version" in body):
        return _messages(body, _id(row), used)
    if path.endswith("/responses") or (not path and "messages" not in body and "input" in body):
        return _responses(body, _id(row), used)
    if path.endswith(("/embeddings", "/moderations", "/images/generations", "/images/edits")):
        raise ValueError(
            f"{path} gives no answers: only requests that a model answers in text are asked"
        )
    if "messages" not in body and isinstance(body.get("prompt"), str):
        told = "requests to /v1/completions are asked by chat completions, a user's message each"
        message = {"role": "user", "content": body["prompt"]}
        said = {key: body[key] for key in body if key != "prompt"}
        return _chat({**said, "messages": [message]}, _id(row), used, told)
    return _chat(body, _id(row), used)


def params_of_anthropic(row: Row) -> RowAsks:
    """Read a line for Anthropic's batches (``params``), or for Bedrock's (``modelInput``)."""
    name = "params" if "params" in row else "modelInput"
    return _messages(_object(row, name), _id(row), ("custom_id", "recordId", name))


def gemini_of(row: Row) -> RowAsks:
    """Read a line for Google's batches: ``request``, and ``key`` if it has one."""
    request = _object(row, "request")
    system = request.get("systemInstruction", request.get("system_instruction"))
    messages = from_contents(system, request.get("contents"))
    config = request.get("generationConfig", request.get("generation_config"))
    said = _camel(config) if isinstance(config, dict) else {}
    return RowAsks(
        messages=messages,
        body=BatchBody(
            api="gemini",
            model=_model(request),
            messages=messages,
            params={"generationConfig": said} if said else {},
            sampling=_sampling("gemini", said),
        ),
        id=row.get("key"),
        used=("key", "request"),
    )


def _chat(
    body: Mapping[str, Any], name: Any, used: tuple[str, ...], told: str | None = None
) -> RowAsks:
    messages = listed(body.get("messages"), "messages")
    params = {key: body[key] for key in body if key not in _CHAT}
    return RowAsks(
        messages=messages,
        options=_given(body, "tools", "tool_choice", "response_format"),
        body=BatchBody(
            api="chat",
            model=_model(body),
            messages=messages,
            params=params,
            sampling=_sampling("chat", params),
        ),
        id=name,
        used=used,
        told=told,
    )


def _responses(body: Mapping[str, Any], name: Any, used: tuple[str, ...]) -> RowAsks:
    given = body.get("input")
    messages = from_items(body.get("instructions"), given)
    params = {key: body[key] for key in body if key not in _RESPONSES}
    sampling = _sampling("responses", params)
    reasoning, text = params.get("reasoning"), params.get("text")
    if isinstance(reasoning, dict) and reasoning.get("effort") is not None:
        sampling["reasoning_effort"] = reasoning["effort"]
    own = messages
    if isinstance(given, list):
        # The items go as they are, and win; the instructions are a system message's.
        params["input"] = given
        own = messages[:1] if body.get("instructions") else []
        own = [*own, *(said for said in messages[len(own) :] if said["role"] not in _LEADING)]
    return RowAsks(
        messages=messages,
        options=_given(body, "tools", "tool_choice"),
        body=BatchBody(
            api="responses",
            model=_model(body),
            messages=own or messages,
            params=params,
            sampling=sampling,
            form=_form(text),
        ),
        id=name,
        used=used,
    )


_LEADING: Final = ("system", "developer")


def _messages(body: Mapping[str, Any], name: Any, used: tuple[str, ...]) -> RowAsks:
    own = listed(body.get("messages"), "messages")
    system = body.get("system")
    params = {key: body[key] for key in body if key not in _MESSAGES}
    return RowAsks(
        messages=from_turns(system, own),
        options=_given(body, "tools", "tool_choice"),
        body=BatchBody(
            api="messages",
            model=_model(body),
            messages=[{"role": "system", "content": system}, *own] if system else own,
            params=params,
            sampling=_sampling("messages", params),
        ),
        id=name,
        used=used,
    )


def _object(row: Row, name: str) -> dict[str, Any]:
    found = row[name]
    if not isinstance(found, dict):
        raise TypeError(f'"{name}" must be an object, not {type_name(found)}')
    return found


def _id(row: Row) -> Any:
    return row.get("custom_id", row.get("recordId"))


def _model(body: Mapping[str, Any]) -> str | None:
    model = body.get("model")
    if model is not None and (not isinstance(model, str) or not model.strip()):
        raise TypeError(f"the body's model must be a name, not {shown(model, 60)}")
    return model


def _given(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if body.get(name) not in (None, [])}


def _sampling(api: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said in the library's words of the parameters that it knows."""
    return {
        field: params[name] for name, field in WORDS[api].items() if params.get(name) is not None
    }


def _form(text: Any) -> dict[str, Any] | None:
    """Return the answer's form as chat completions nest it."""
    given = text.get("format") if isinstance(text, dict) else None
    if not isinstance(given, dict) or given.get("type") in (None, "text"):
        return None
    schema = {key: value for key, value in given.items() if key != "type"}
    return {"type": given["type"], **({"json_schema": schema} if schema else {})}


def _camel(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys as the API's JSON has them; Google's clients for Python write others."""
    made: dict[str, Any] = {}
    for key, value in config.items():
        first, *rest = key.split("_")
        made[first + "".join(word.capitalize() for word in rest)] = value
    return made
