"""Request checks, with the statuses, codes and words of the real service.

The wordings come from recorded replies and from bug reports that quote them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lm_deluge.simulator.checks.calls import check_openai_name
from lm_deluge.simulator.checks.messages import check_messages
from lm_deluge.simulator.checks.parameters import CHAT, STREAM_OPTIONS
from lm_deluge.simulator.checks.refusals import (
    Refused,
    bad_request,
    empty_array,
    listed,
    masked,
    missing,
    not_one_of,
    wrong_type,
)
from lm_deluge.simulator.checks.schemas import check_openai_form, check_openai_function
from lm_deluge.simulator.saying.rules import Rules

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank "
    "username) if you're accessing the API from your browser and are prompted for a username and "
    "password. You can obtain an API key from https://platform.openai.com/account/api-keys."
)
_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
    "valid JSON. If you have trouble figuring out how to fix this, please contact us through our "
    "help center at help.openai.com.)"
)

# name: lowest, highest, whole numbers only
_RANGES: tuple[tuple[str, float, float, bool], ...] = (
    ("temperature", 0, 2, False),
    ("top_p", 0, 1, False),
    ("presence_penalty", -2, 2, False),
    ("frequency_penalty", -2, 2, False),
    ("n", 1, 128, True),
    ("max_tokens", 1, math.inf, True),
    ("max_completion_tokens", 1, math.inf, True),
    ("top_logprobs", 0, 20, True),
    ("seed", -(2**63), 2**63 - 1, True),
)
_TOOLS = ("function", "custom")
_TOOL_CHOICES = ("none", "auto", "required")
_FORMATS = ("json_object", "json_schema", "text")
_BOOLEANS = ("stream", "logprobs", "store", "parallel_tool_calls")
# Refused by value: the default passes.
_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def check_key(headers: Mapping[str, str], expected: str | None) -> None:
    """Raises `Refused` (401) for a request without a bearer key, or with another than ``expected``."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise Refused(401, _NO_KEY)
    if expected is not None and key != expected:
        raise Refused(
            401,
            f"Incorrect API key provided: {masked(key)}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raises `Refused` (400) unless the body is said to be JSON."""
    given = headers.get("Content-Type", "")
    plain = given.partition(";")[0].strip().lower()
    if plain != "application/json":
        raise bad_request(
            f"Unsupported content type: '{plain}'. This API method only accepts 'application/json' "
            f"requests, but you specified the header 'Content-Type: {given}'. Please try again with "
            "a supported content type.",
            code="unsupported_content_type",
        )


def check_body(body: Any, deployment: str | None = None) -> dict[str, Any]:
    """Return the body with its model. Raises `Refused` (400) unless it is an object that names one.

    A deployment on Azure stands for the model, whatever the body says.
    """
    if not isinstance(body, dict):
        raise bad_request(_NOT_JSON)
    if deployment is not None:
        return body | {"model": deployment}
    model = body.get("model")
    if model is None or model == "":
        raise bad_request("you must provide a model parameter")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    return body


def unknown_model(model: str) -> Refused:
    """A 404."""
    return Refused(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def check_chat(body: dict[str, Any], rules: Rules) -> None:
    """Raises `Refused` (400) for a chat request that the real service would not answer."""
    unknown = [name for name in body if name not in CHAT]
    if unknown and rules.strict:
        plural = "s" if len(unknown) > 1 else ""
        raise bad_request(
            f"Unrecognized request argument{plural} supplied: {', '.join(sorted(unknown))}"
        )
    check_messages(body, rules)
    _check_types_and_ranges(body)
    _check_stop(body)
    _check_combinations(body, rules)
    _check_tools(body)
    _check_response_format(body, rules)
    _check_model_limits(body, rules)


def _check_types_and_ranges(body: dict[str, Any]) -> None:
    for name, low, high, whole in _RANGES:
        value = body.get(name)
        if value is None:
            continue
        number = "integer" if whole else "decimal"
        right = isinstance(value, int if whole else (int, float))
        if isinstance(value, bool) or not right:
            raise wrong_type(name, "an integer" if whole else "a decimal", value)
        if value < low:
            raise bad_request(
                f"Invalid '{name}': {number} below minimum value. Expected a value >= {low}, but "
                f"got {value} instead.",
                name,
                f"{number}_below_min_value",
            )
        if value > high:
            raise bad_request(
                f"Invalid '{name}': {number} above maximum value. Expected a value <= {high}, but "
                f"got {value} instead.",
                name,
                f"{number}_above_max_value",
            )
    for name in _BOOLEANS:
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise wrong_type(name, "a boolean", body[name])


def _check_stop(body: dict[str, Any]) -> None:
    stop = body.get("stop")
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(item, str) for item in stop):
        raise wrong_type("stop", "one of a string or array of strings", stop)
    if len(stop) > 4:
        raise bad_request(
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an "
            f"array with length {len(stop)} instead.",
            "stop",
            "array_above_max_length",
        )


def _check_combinations(body: dict[str, Any], rules: Rules) -> None:
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise bad_request(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
        )
    options = body.get("stream_options")
    if options is not None:
        if not body.get("stream"):
            raise bad_request(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
            )
        if not isinstance(options, dict):
            raise wrong_type("stream_options", "an object", options)
        for name in options:
            if rules.strict and name not in STREAM_OPTIONS:
                path = f"stream_options.{name}"
                raise bad_request(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
    both = body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None
    if both and rules.strict:
        raise bad_request(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                raise bad_request(
                    f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are "
                    "specified.",
                    name,
                )
        return
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    if not tools:
        raise empty_array("tools")
    names = [_tool_name(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    _check_tool_choice(body.get("tool_choice"), names)


def _tool_name(tool: Any, path: str) -> str:
    if not isinstance(tool, dict):
        raise wrong_type(path, "an object", tool)
    if "type" not in tool:
        raise missing(f"{path}.type")
    if tool["type"] not in _TOOLS:
        raise not_one_of(_TOOLS, f"{path}.type", tool["type"])
    inner = tool.get(tool["type"])
    if not isinstance(inner, dict):
        raise missing(f"{path}.{tool['type']}")
    name = check_openai_name(inner.get("name"), f"{path}.{tool['type']}.name")
    if tool["type"] == "function":
        check_openai_function(inner, f"{path}.function.parameters")
    return name


def _check_tool_choice(choice: Any, names: list[str]) -> None:
    if isinstance(choice, dict):
        wanted = choice.get("function")
        name = wanted.get("name") if isinstance(wanted, dict) else None
        if choice.get("type") == "function" and name not in names:
            raise bad_request(
                f"Tool choice 'function' with name '{name}' not found in 'tools' parameter.",
                "tool_choice",
            )
    elif choice is not None and choice not in _TOOL_CHOICES:
        raise not_one_of(_TOOL_CHOICES, "tool_choice", choice)


def _check_response_format(body: dict[str, Any], rules: Rules) -> None:
    wanted = body.get("response_format")
    if wanted is None:
        return
    if not isinstance(wanted, dict):
        raise wrong_type("response_format", "an object", wanted)
    if "type" not in wanted:
        raise missing("response_format.type")
    if wanted["type"] not in _FORMATS and rules.strict:
        raise not_one_of(_FORMATS, "response_format.type", wanted["type"])
    if wanted["type"] == "json_schema":
        if not isinstance(wanted.get("json_schema"), dict):
            raise missing("response_format.json_schema")
        if rules.strict:
            check_openai_form(wanted["json_schema"], "response_format.json_schema")
    names_json = "json" in str(body["messages"]).lower()
    if wanted["type"] == "json_object" and rules.strict and not names_json:
        raise bad_request(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            "messages",
        )


def _unsupported(name: str) -> Refused:
    return bad_request(
        f"Unsupported parameter: '{name}' is not supported with this model.",
        name,
        "unsupported_parameter",
    )


def _check_model_limits(body: dict[str, Any], rules: Rules) -> None:
    effort = _effort(body, rules)
    if body.get("max_tokens") is not None and not rules.max_tokens:
        raise bad_request(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if effort in rules.sampling_at:
        return
    for name, default in _DEFAULTS.items():
        value = body.get(name)
        if value is None:
            continue
        if not rules.default_values_only or name != "temperature":
            raise _unsupported(name)
        if value != default:
            raise bad_request(
                f"Unsupported value: '{name}' does not support {value} with this model. Only the "
                f"default ({default}) value is supported.",
                name,
                "unsupported_value",
            )
    for name in ("logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            raise _unsupported(name)
    if body.get("stop") is not None and not rules.stop:
        raise _unsupported("stop")


def _effort(body: dict[str, Any], rules: Rules) -> str | None:
    effort = body.get("reasoning_effort")
    if effort is None or not rules.strict:
        return rules.default_effort if rules.efforts else ("-" if rules.reasoning else None)
    if not rules.efforts:
        if rules.reasoning:
            raise _unsupported("reasoning_effort")
        raise bad_request("Unrecognized request argument supplied: reasoning_effort")
    if effort not in rules.efforts:
        raise bad_request(
            f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. "
            f"Supported values are: {listed(rules.efforts)}.",
            "reasoning_effort",
            "unsupported_value",
        )
    return str(effort)
