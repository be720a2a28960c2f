"""What the simulator refuses in Messages, Gemini and Responses, and in whose words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.sse import post

BLOCK = {"type": "text", "text": "Hi"}
TOOL = {"name": "now", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "now", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "noon"}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def turns(*contents: Any) -> dict[str, Any]:
    """Messages of the user and the assistant in turn."""
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[at % 2], "content": content} for at, content in enumerate(contents)
        ]
    }


def formed(form: Any) -> dict[str, Any]:
    """What asks Messages for a form of the answer."""
    return {"output_config": {"format": form}}


def formed_by(**schema: Any) -> dict[str, Any]:
    """The same, with the schema of an object."""
    return formed({"type": "json_schema", "schema": {"type": "object", **schema}})


#: What is asked beside a proper request, and a part of what is said to it.
MESSAGES: list[tuple[Any, str]] = [
    ({"model": 3}, "model: Input should be a valid string"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ({"max_tokens": 10**9}, "which is the maximum allowed number of output tokens"),
    ({"seed": 1}, "seed: Extra inputs are not permitted"),
    ({"temperature": "hot"}, "temperature: Input should be a valid number"),
    ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ({"temperature": 2}, "temperature: range: 0..1"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"system": 3}, "system: Input should be a valid list"),
    ({"stop_sequences": "stop"}, "stop_sequences: Input should be a valid list"),
    ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"tools": {}}, "tools: Input should be a valid list"),
    ({"tools": ["now"]}, "tools.0: Input should be a valid dictionary"),
    ({"tools": [{"name": "now"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{**TOOL, "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tool_choice": "auto"}, "tool_choice: Input tag 'None' found"),
    ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while providing tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found"),
    ({"thinking": {"type": "deep"}}, "thinking: Input tag 'deep' found"),
    ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    ({"thinking": {**THINKING, "budget_tokens": 9}}, "greater than or equal to 1024"),
    ({"thinking": THINKING}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    (
        {
            "model": "claude-sonnet-4-5",
            "thinking": THINKING,
            "max_tokens": 2000,
            "temperature": 0.5,
        },
        "may only be set to 1",
    ),
    ({"model": "claude-opus-4-7", "top_p": 0.99}, "`top_p` is not supported by claude-opus-4-7"),
    (
        {"thinking": THINKING, "max_tokens": 2000, "tools": [TOOL], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    ({"model": "claude-3-haiku-20240307", "thinking": THINKING}, "does not support thinking"),
    ({"messages": "Hi"}, "messages: Input should be a valid list"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": ["Hi"]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "system", "content": "Be brief."}]}, 'Unexpected role "system"'),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should be"),
    (turns(3), "messages.0.content: Input should be a valid list"),
    (turns("Hi", "", "Hi"), "all messages must have non-empty content"),
    (turns(["Hi"]), "messages.0.content.0: Input should be a valid dictionary"),
    (turns([{"text": "Hi"}]), "messages.0.content.0.type: Field required"),
    (turns([{"type": "text"}]), "messages.0.content.0.text.text: Field required"),
    (turns([{**BLOCK, "text": ""}]), "text content blocks must be non-empty"),
    (turns([USE]), "`tool_use` blocks can only be in `assistant` messages"),
    (turns("Hi", [{**USE, "input": "x"}]), "tool_use.input: Input should be a valid dictionary"),
    (turns("Hi", [RESULT]), "`tool_result` blocks can only be in `user` messages"),
    (turns("Hi", "Hm", [RESULT]), "unexpected `tool_use_id` found"),
    (turns("Hi", [{**USE, "name": ""}]), "tool_use.name: String should match pattern"),
    (turns("Hi", [{**USE, "name": "a.b"}]), "'^[a-zA-Z0-9_-]{1,128}$'"),
    (turns("Hi", [{**USE, "name": 3}]), "tool_use.name: Input should be a valid string"),
    (turns("Hi", [{**USE, "id": "f:0"}]), "tool_use.id: String should match pattern"),
    (turns("Hi", [USE], [{**RESULT, "tool_use_id": "f:0"}]), "tool_result.tool_use_id: String"),
    ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
    (formed({"type": "json"}), "output_config.format.type: Input should be 'json_schema'"),
    (formed({"type": "json_schema"}), "output_config.format.schema: Field required"),
    (formed_by(), "'additionalProperties' must be explicitly set to false"),
    (formed_by(additionalProperties=True), "'additionalProperties: true' is not supported"),
    (
        formed_by(additionalProperties=False, properties={"a": {"type": "string", "maxLength": 3}}),
        "For 'string' type, property 'maxLength' is not supported",
    ),
    (
        formed_by(additionalProperties=False, properties={"a": {"type": "array", "minItems": 2}}),
        "'minItems' values other than 0 or 1",
    ),
    (formed_by(additionalProperties=False, oneOf=[]), "Schema type 'oneOf' is not supported"),
    (
        formed_by(additionalProperties=False, properties={"a": {"$ref": "#"}}),
        "Recursive schemas are not supported: '#' refers to itself",
    ),
    (
        formed_by(
            additionalProperties=False,
            properties={"a": {"$ref": "#/$defs/A"}},
            **{"$defs": {"A": {"anyOf": [{"$ref": "#/$defs/B"}]}, "B": {"$ref": "#/$defs/A"}}},
        ),
        "Recursive schemas are not supported: '#/$defs/A' refers to itself",
    ),
    (turns("Hi", [USE], "so?"), "`tool_use` ids were found without `tool_result` blocks"),
    (turns("Hi", [USE]), "`tool_use` ids were found without `tool_result` blocks"),
]

PARTS = [{"text": "Hi"}]
NOW = [{"functionDeclarations": [{"name": "now"}]}]
CALL = {"functionCall": {"name": "now", "args": {}}}
ANSWER = {"functionResponse": {"name": "now", "response": {}}}


def said(*parts: Any) -> dict[str, Any]:
    """Contents of the user and the model in turn."""
    roles = ("user", "model")
    return {"contents": [{"role": roles[at % 2], "parts": each} for at, each in enumerate(parts)]}


def configured(**config: Any) -> dict[str, Any]:
    """What asks Gemini for a form of the answer."""
    return {"generationConfig": {"responseMimeType": "application/json", **config}}


GEMINI: list[tuple[Any, str]] = [
    ({"prompt": 1}, 'Unknown name "prompt"'),
    ({"generationConfig": [1]}, "Invalid value at 'generation_config': expected an object"),
    ({"generationConfig": {"heat": 1}}, "Unknown name \"heat\" at 'generation_config'"),
    ({"generationConfig": {"temperature": 3}}, "temperature must be in the range [0, 2]"),
    ({"generationConfig": {"maxOutputTokens": 0}}, "max_output_tokens must be positive."),
    ({"generation_config": {"candidate_count": 2}}, "Multiple candidates is not enabled"),
    ({"generationConfig": {"stopSequences": list("abcdef")}}, "must be at most 5"),
    ({"tools": {"now": 1}}, "Invalid value at 'tools': expected a list"),
    ({"tools": [{"functionDeclarations": [{"name": "1"}]}]}, "Invalid function name"),
    ({"tools": NOW * 2}, "Duplicate function declaration found: now"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, '"SOME"'),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        "at least one function declaration",
    ),
    (
        {"tools": NOW, "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["x"]}}},
        "x is not declared",
    ),
    (configured(responseJsonSchema={}, responseMimeType="text/plain"), "response_mime_type is"),
    (configured(responseJsonSchema={}, responseSchema={}), "Only one of response_schema and"),
    (configured(response_schema={"additionalProperties": False}), 'name "additionalProperties"'),
    (
        configured(responseSchema={"properties": {"a": {"$ref": "#"}}}),
        "\"$ref\" at 'generation_config.response_schema.properties.a'",
    ),
    (configured(responseJsonSchema={"$ref": "#", "title": "T"}), "only $-prefixed properties"),
    (
        {"tools": [{"functionDeclarations": [{"name": "now", "parameters": {"$schema": "x"}}]}]},
        "Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters'",
    ),
    ({"contents": []}, "contents is not specified"),
    ({"contents": ["Hi"]}, "Invalid value at 'contents[0]': expected an object"),
    ({"contents": [{"role": "system", "parts": PARTS}]}, "Please use a valid role: user, model."),
    (said([]), "contents[0].parts: contents.parts must not be empty."),
    (said([{"words": "Hi"}]), "Unknown name \"words\" at 'contents[0].parts[0]'"),
    (said(PARTS, [{"functionCall": {"name": "a b"}}]), "parts[0].function_call.name: Invalid"),
    (said(PARTS, [{"functionCall": {"args": {}}}]), "Must start with a letter or an underscore"),
    (said(PARTS, [CALL], PARTS), "equal to the number of function call parts"),
    (said(PARTS, [CALL], [{"functionResponse": {"name": "now"}}]), "'function_response.response'"),
    (
        said(PARTS, [CALL], [{"functionResponse": {"name": "x", "response": {}}}]),
        "Function response 'x' has no function call.",
    ),
]

FUNCTION = {"type": "function", "name": "now", "parameters": {}}
CALLED = {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "noon"}

RESPONSES: list[tuple[Any, str]] = [
    ({"messages": []}, "this parameter has moved to"),
    ({"heat": 1}, "Unknown parameter: 'heat'."),
    ({"max_output_tokens": "9"}, "'max_output_tokens': expected an integer"),
    ({"max_output_tokens": 1}, "Expected a value >= 16"),
    ({"temperature": "hot"}, "'temperature': expected a decimal"),
    ({"temperature": 3}, "decimal above maximum value"),
    ({"temperature": -1}, "decimal below minimum value"),
    ({"store": "no"}, "'store': expected a boolean"),
    ({"text": "json"}, "'text': expected an object"),
    ({"tools": {}}, "'tools': expected an array of objects"),
    ({"tools": ["now"]}, "'tools[0]': expected an object"),
    ({"tools": [{"name": "now"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "x"}},
        "not found in 'tools'",
    ),
    ({"tool_choice": "any"}, "Invalid value: 'any'"),
    ({"tool_choice": "required"}, "must be specified with 'tools'"),
    ({"reasoning": {"effort": "low"}}, "'reasoning.effort' is not supported with this model"),
    ({"model": "gpt-5", "reasoning": {"effort": "huge"}}, "Unsupported value: 'huge'"),
    ({"model": "gpt-5", "temperature": 0.5}, "'temperature' is not supported with this model"),
    ({"include": ["reasoning.encrypted_content"]}, "Encrypted content is not supported"),
    ({"input": None}, "Missing required parameter: 'input'"),
    ({"input": 3}, "'input': expected one of a string or array of objects"),
    ({"input": []}, "input"),
    ({"input": ["Hi"]}, "'input[0]': expected an object"),
    ({"input": [{"type": "function_call"}]}, "input[0].call_id"),
    ({"input": [{"role": "robot", "content": "Hi"}]}, "Invalid value: 'robot'"),
    ({"input": [{"role": "user", "content": 3}]}, "'input[0].content': expected one of"),
    (
        {"input": [{"role": "user", "content": [{"type": "output_text"}]}]},
        "Invalid value: 'output_text'",
    ),
    ({"input": [{**CALLED, "name": "a.b"}]}, "'input[0].name': string does not match pattern"),
    ({"input": [{**CALLED, "name": ""}]}, "'input[0].name': empty string"),
    ({"input": [{**CALLED, "name": "n" * 65}]}, "'input[0].name': string too long"),
    ({"input": [{**CALLED, "call_id": "c" * 65}]}, "with maximum length 64, but got a string"),
    ({"tools": [{**FUNCTION, "name": "a b"}]}, "'tools[0].name': string does not match"),
    (
        {"text": {"format": {"type": "json_schema", "schema": {}, "strict": True}}},
        "Missing required parameter: 'text.format.name'.",
    ),
    (
        {"text": {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": {}}}},
        "Invalid schema for response_format 'a': schema must be a JSON Schema of 'type: \"object\"'",
    ),
    ({"tools": [{**FUNCTION, "parameters": {"type": "array"}}]}, "got 'type: \"array\"'."),
    (
        {"tools": [{**FUNCTION, "parameters": {"type": "object"}, "strict": True}]},
        "Invalid schema for function 'now': In context=(), 'additionalProperties' is required",
    ),
    ({"input": [OUTPUT]}, "No tool call found for function call output with call_id c1."),
    ({"input": [CALLED]}, "No tool output found for function call c1."),
]


def asked(name: str, known: str = "c1") -> dict[str, Any]:
    """Messages of chat completions with a call, and what came of it."""
    call = {"id": known, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": known, "content": "noon"},
        ]
    }


def strictly(name: str = "a", **schema: Any) -> dict[str, Any]:
    """What asks for an object in the strict form."""
    schema = {"type": "object", "additionalProperties": False, **schema}
    form = {"name": name, "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def with_a(**schema: Any) -> dict[str, Any]:
    """The same of an object with one member."""
    return strictly(properties={"a": schema}, required=["a"])


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

CHAT: list[tuple[Any, str]] = [
    (asked("a.b"), "'messages[1].tool_calls[0].function.name': string does not match pattern"),
    (asked(""), "'messages[1].tool_calls[0].function.name': empty string"),
    (asked("n" * 65), "with maximum length 64, but got a string with length 65"),
    (asked("now", "c" * 41), "string too long. Expected a string with maximum length 40"),
    ({"tools": [{"type": "function", "function": {"name": "n" * 65}}]}, "string too long"),
    (
        {"messages": [{"role": "assistant", "content": [IMAGE]}]},
        "Image URLs are only allowed for messages with role 'user'",
    ),
    (strictly("a b"), "'response_format.json_schema.name': string does not match pattern"),
    (strictly(type="array"), "got 'type: \"array\"'."),
    (strictly(anyOf=[]), "not have 'anyOf' at the top level"),
    (strictly(additionalProperties=True), "In context=(), 'additionalProperties' is required"),
    (strictly(properties={"a": {"type": "null"}}), "including every key in properties."),
    (strictly(properties={"a": {"type": "null"}}, required=[]), "Missing 'a'."),
    (strictly(required=["b"]), "Extra required key 'b' supplied."),
    (with_a(), "In context=('properties', 'a'), schema must have a 'type' key."),
    (with_a(type="array"), "array schema missing items."),
    (with_a(type=["object", "null"]), "In context=('properties', 'a'), 'additionalProperties'"),
    (
        with_a(type="array", items={"type": "null"}, uniqueItems=True),
        "'uniqueItems' is not permitted",
    ),
    (with_a(anyOf=[{"type": "null"}, {"not": {}}]), "('properties', 'a', 'anyOf', '1'), 'not' is"),
    (with_a(**{"$ref": "#", "title": "T"}), "$ref cannot have keywords {'title'}."),
    (with_a(oneOf=[]), "'oneOf' is not permitted."),
    (strictly(properties={}, patternProperties={}), "'patternProperties' is not permitted."),
]

WIRES: dict[str, tuple[str, dict[str, Any], dict[str, str], list[tuple[Any, str]]]] = {
    "messages": (
        "/v1/messages",
        {"model": "claude-sonnet-5-5", "max_tokens": 500, **turns("Hi")},
        {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"},
        MESSAGES,
    ),
    "gemini": (
        "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        said(PARTS),
        {"x-goog-api-key": "sk-test"},
        GEMINI,
    ),
    "chat": (
        "/v1/chat/completions",
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
        {"Authorization": "Bearer sk-test"},
        CHAT,
    ),
    "responses": (
        "/v1/responses",
        {"model": "gpt-4o", "input": "Hi"},
        {"Authorization": "Bearer sk-test"},
        RESPONSES,
    ),
}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.mark.parametrize(
    ("wire", "case"), [(wire, case) for wire in WIRES for case in range(len(WIRES[wire][3]))]
)
async def test_a_request_that_makes_no_sense_is_refused_in_the_services_words(
    wire: str, case: int, sim: Simulator
) -> None:
    path, proper, headers, cases = WIRES[wire]
    more, words = cases[case]
    status, body = await post(f"{sim.url}{path}", proper | more, **headers)
    error = json.loads(body)["error"]
    assert (status, words in error["message"]) == (400, True), body


@pytest.mark.parametrize("wire", WIRES)
async def test_a_proper_request_is_answered(wire: str, sim: Simulator) -> None:
    path, proper, headers, _ = WIRES[wire]
    status, _ = await post(f"{sim.url}{path}", proper, **headers)
    assert status == 200


@pytest.mark.parametrize("wire", WIRES)
async def test_a_body_that_is_no_object_is_refused(wire: str, sim: Simulator) -> None:
    path, _, headers, _ = WIRES[wire]
    status, body = await post(f"{sim.url}{path}", [1], **headers)  # type: ignore[arg-type]
    assert status == 400
    assert json.loads(body)["error"]["message"]
