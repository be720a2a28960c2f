"""Checks of a Gemini request, with the statuses and words of the real service."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from lm_deluge.simulator.checks.calls import check_gemini_name
from lm_deluge.simulator.checks.parameters import GEMINI, GENERATION_CONFIG
from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.simulator.checks.schemas import check_gemini_json_schema, check_gemini_schema
from lm_deluge.simulator.values import is_number

__all__ = [
    "check_call_signatures",
    "check_gemini_body",
    "check_gemini_key",
    "check_gemini_model",
    "said_by",
]

_PART: Final = (
    "text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode "
    "codeExecutionResult toolCall toolResponse videoMetadata mediaResolution partMetadata"
).split()
_MODES: Final = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
#: What a call that another model made is signed with.
_SKIPPING: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
# name: lowest, highest
_RANGES: Final = {"temperature": (0, 2), "topP": (0, 1)}
_UNREAD: Final = re.compile(r"application/(?:vnd\.|msword|zip|octet-stream)")
_MODEL: Final = re.compile(r"(gemini|gemma)-\d.*|gemini-(flash|pro|flash-lite)-latest")


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def said_by(value: Any, name: str) -> Any:
    """Return a field by its name, which may be given in camels or in snakes."""
    if not isinstance(value, Mapping):
        return None
    return value[name] if name in value else value.get(_snake(name))


def check_gemini_key(
    headers: Mapping[str, str], query: Mapping[str, str], expected: str | None
) -> None:
    """Raises `Refused` for no key (403) and for a wrong one (400, as this service does)."""
    bearer = headers.get("Authorization", "").removeprefix("Bearer ")
    key = headers.get("x-goog-api-key") or query.get("key") or bearer
    if not key:
        raise Refused(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if expected is not None and key != expected:
        raise Refused(400, "API key not valid. Please pass a valid API key.")


def check_gemini_model(model: str, method: str, served: Collection[str] | None) -> None:
    """Raises `Refused` (404) for a model that is not served."""
    known = _MODEL.fullmatch(model) if served is None else model in served
    if not known:
        raise Refused(
            404,
            f"models/{model} is not found for API version v1beta, or is not supported for {method}. "
            "Call ListModels to see the list of available models and their supported methods.",
        )


def check_gemini_body(body: Any) -> dict[str, Any]:
    """Return the body. Raises `Refused` (400) for one that the real service would not answer."""
    if not isinstance(body, dict):
        raise Refused(400, "Invalid JSON payload received. Expected an object.")
    _check_names(body, GEMINI, "")
    config = said_by(body, "generationConfig") or {}
    _check_names(config, GENERATION_CONFIG, "generation_config")
    _check_config(config)
    _check_schemas(config)
    names = _check_declared(body.get("tools") or [])
    _check_mode(said_by(body, "toolConfig"), names)
    _check_contents(body.get("contents"))
    return body


def _check_names(value: Any, known: Collection[str], where: str) -> None:
    if not isinstance(value, dict):
        raise Refused(400, f"Invalid value at '{where}': expected an object")
    accepted = {*known, *map(_snake, known)}
    for name in value:
        if name not in accepted:
            at = f" at '{where}'" if where else ""
            raise Refused(
                400,
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.',
            )


def _check_config(config: Mapping[str, Any]) -> None:
    for name, (low, high) in _RANGES.items():
        value = said_by(config, name)
        if value is not None and not (is_number(value) and low <= value <= high):
            raise Refused(
                400,
                f"* GenerateContentRequest.generation_config.{_snake(name)}: {_snake(name)} must be "
                f"in the range [{low}, {high}].",
            )
    most = said_by(config, "maxOutputTokens")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise Refused(400, "max_output_tokens must be positive.")
    if (said_by(config, "candidateCount") or 1) != 1:
        raise Refused(400, "Multiple candidates is not enabled for this model")
    stops = said_by(config, "stopSequences") or []
    if not isinstance(stops, list) or len(stops) > 5:
        raise Refused(400, "The number of stop sequences must be at most 5.")


def _check_schemas(config: Mapping[str, Any]) -> None:
    own, plain = said_by(config, "responseSchema"), said_by(config, "responseJsonSchema")
    if own is None and plain is None:
        return
    if own is not None and plain is not None:
        raise Refused(400, "Only one of response_schema and response_json_schema may be set.")
    if said_by(config, "responseMimeType") != "application/json":
        raise Refused(
            400,
            "* GenerateContentRequest.generation_config.response_schema: only allowed when "
            "response_mime_type is 'application/json'.",
        )
    if own is not None:
        check_gemini_schema(own, "generation_config.response_schema")
    else:
        check_gemini_json_schema(plain, "generation_config.response_json_schema")


def _check_declared(tools: Any) -> set[str]:
    if not isinstance(tools, list):
        raise Refused(400, "Invalid value at 'tools': expected a list")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        for number, each in enumerate(said_by(tool, "functionDeclarations") or ()):
            where = f"tools[{index}].function_declarations[{number}]"
            name = check_gemini_name(each.get("name"), where)
            if (schema := said_by(each, "parameters")) is not None:
                check_gemini_schema(schema, f"{where}.parameters")
            if (schema := said_by(each, "parametersJsonSchema")) is not None:
                check_gemini_json_schema(schema, f"{where}.parameters_json_schema")
            if name in names:
                raise Refused(400, f"Duplicate function declaration found: {name}")
            names.add(name)
    return names


def _check_mode(given: Any, names: set[str]) -> None:
    choice = said_by(given, "functionCallingConfig") or {}
    mode = choice.get("mode", "AUTO")
    if mode not in _MODES:
        raise Refused(
            400,
            "Invalid value at 'tool_config.function_calling_config.mode' "
            f'(type.googleapis.com/google.ai.generativelanguage.v1beta.Mode), "{mode}"',
        )
    if mode == "ANY" and not names:
        raise Refused(400, "Function calling mode ANY requires at least one function declaration.")
    for name in said_by(choice, "allowedFunctionNames") or ():
        if name not in names:
            raise Refused(400, f"allowed_function_names: {name} is not declared.")


def _check_contents(contents: Any) -> None:
    if not isinstance(contents, list) or not contents:
        raise Refused(400, "* GenerateContentRequest.contents: contents is not specified")
    called: list[str] = []
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        _check_names(content, ("role", "parts"), where)
        if content.get("role", "user") not in ("user", "model"):
            raise Refused(400, "Please use a valid role: user, model.")
        parts = content.get("parts")
        if not isinstance(parts, list) or not parts:
            raise Refused(
                400,
                f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.",
            )
        for number, part in enumerate(parts):
            _check_names(part, _PART, f"{where}.parts[{number}]")
            _check_media(part, f"{where}.parts[{number}]")
        answers = [said_by(part, "functionResponse") for part in parts]
        _check_answers([each for each in answers if each is not None], called)
        called = [
            check_gemini_name(each.get("name"), f"{where}.parts[{number}].function_call")
            for number, part in enumerate(parts)
            if (each := said_by(part, "functionCall"))
        ]


def _check_media(part: Mapping[str, Any], where: str) -> None:
    inline, by_address = said_by(part, "inlineData"), said_by(part, "fileData")
    if inline is not None and not (said_by(inline, "mimeType") and said_by(inline, "data")):
        raise Refused(400, f"{where}.inline_data: mime_type and data are required.")
    if by_address is not None and not said_by(by_address, "fileUri"):
        raise Refused(400, f"{where}.file_data: file_uri is required.")
    if inline is not None and _UNREAD.match(said_by(inline, "mimeType")):
        raise Refused(400, f"Unsupported MIME type: {said_by(inline, 'mimeType')}")


def _check_answers(answers: list[Any], called: list[str]) -> None:
    if len(answers) != len(called):
        raise Refused(
            400,
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn.",
        )
    for answer in answers:
        if not isinstance(answer.get("response"), dict):
            raise Refused(400, "Invalid value at 'function_response.response': expected an object")
        if answer.get("name") not in called:
            raise Refused(400, f"Function response {answer.get('name')!r} has no function call.")


def check_call_signatures(
    contents: list[Any], seal: Callable[[str, Any], str], *, required: bool
) -> None:
    """Raises `Refused` (400) for a signature that is not as it was sent, or missing.

    ``seal`` returns the signature of a call by its name and arguments; ``required``: whether the model
    wants the first call of each step of this turn to be signed.
    """
    this_turn = max(
        (at for at, content in enumerate(contents) if _is_a_question(content)), default=-1
    )
    for at, content in enumerate(contents):
        parts = [part for part in content["parts"] if said_by(part, "functionCall")]
        for number, part in enumerate(parts):
            call = said_by(part, "functionCall")
            signature = said_by(part, "thoughtSignature")
            if signature is None:
                if required and number == 0 and at > this_turn:
                    raise Refused(
                        400,
                        "Function call is missing a thought_signature in functionCall parts. This is "
                        "required for tools to work correctly, and missing thought_signature may lead "
                        "to degraded model performance. Additional data, function call "
                        f"`default_api:{call['name']}` , position {at + 1}. Please refer to "
                        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                    )
            elif signature in _SKIPPING:
                continue
            # Base64 is taken in either alphabet, as in all of this service's JSON.
            elif _plain(signature) != seal(call["name"], call.get("args") or {}):
                raise Refused(400, "Corrupted thought signature.")


def _is_a_question(content: Any) -> bool:
    answers = any(said_by(part, "functionResponse") for part in content["parts"])
    return content.get("role", "user") == "user" and not answers


def _plain(blob: Any) -> str:
    return str(blob).replace("-", "+").replace("_", "/")
