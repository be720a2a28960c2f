"""The body of a request: what is sent, what is left out, what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from lm_deluge.config import SamplingParams
from lm_deluge.dialects.chat import request
from lm_deluge.dialects.chat.request import build_body, map_system_role
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import resolve_model

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
EVERYTHING = SamplingParams(
    temperature=0.5,
    top_p=0.9,
    max_new_tokens=10,
    json_mode=True,
    reasoning_effort="low",
    stop=["a", "b"],
    seed=7,
    presence_penalty=0.1,
    frequency_penalty=-0.1,
    top_logprobs=3,
    n=2,
)


def info(name: str = "gpt-4o") -> ModelInfo:
    return resolve_model(name, base_url="http://host/v1", env_base_url=None)


def body(name: str = "gpt-4o", params: SamplingParams | None = None, **given: Any) -> dict:
    made, _ = build_body(info(name), HI, params or SamplingParams(), **given)
    json.dumps(made)
    return made


def test_the_plainest_body_asks_for_a_stream_with_usage() -> None:
    assert body() == {
        "model": "gpt-4o",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_chat_model_is_sent_every_parameter_but_the_effort() -> None:
    sent = body("gpt-4o", EVERYTHING)
    for key in ("model", "messages", "stream", "stream_options"):
        del sent[key]
    assert sent == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 10,
        "response_format": {"type": "json_object"},
        "stop": ["a", "b"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logprobs": True,
        "top_logprobs": 3,
        "n": 2,
    }


def test_a_reasoning_model_is_sent_only_what_it_takes() -> None:
    assert set(body("o3", EVERYTHING)) == {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_completion_tokens",
        "response_format",
        "reasoning_effort",
        "seed",
        "n",
    }


def test_an_unknown_server_is_sent_everything_and_the_old_name_of_max_tokens() -> None:
    sent = body("my-model", EVERYTHING)
    assert sent["max_tokens"] == 10
    assert "max_completion_tokens" not in sent
    assert sent["reasoning_effort"] == "low"
    assert sent["temperature"] == 0.5


def test_sampling_depends_on_the_effort_in_force() -> None:
    cold = SamplingParams(temperature=0)
    assert body("gpt-5.1", cold)["temperature"] == 0
    assert body("gpt-5.1", cold.merged(reasoning_effort="none"))["temperature"] == 0
    assert "temperature" not in body("gpt-5.1", cold.merged(reasoning_effort="low"))
    assert "temperature" not in body("gpt-5.5", cold)
    assert body("gpt-5.5", cold, extra_body={"reasoning_effort": "none"})["temperature"] == 0
    assert "temperature" not in body("gpt-5", cold.merged(reasoning_effort="minimal"))


def dropped(name: str, **given: Any) -> list[tuple[str, str]]:
    _, left_out = build_body(info(name), HI, SamplingParams(**given))
    return [(each.parameter, each.why) for each in left_out]


def test_what_is_not_sent_is_told_with_the_reason() -> None:
    assert dropped("o3", temperature=0.5, stop="x", seed=7) == [
        ("temperature", "the model does not take it"),
        ("stop", "the model does not take it"),
    ]
    (taken_at,) = dropped("gpt-5.1", temperature=0, reasoning_effort="high")
    assert taken_at == ("temperature", "the model takes it only with reasoning_effort 'none'")
    (effort,) = dropped("gpt-5", reasoning_effort="xhigh")
    assert effort == ("reasoning_effort", "it takes minimal, low, medium, high, not 'xhigh'")


def test_what_was_not_set_is_not_told() -> None:
    assert dropped("o1-mini") == []


def test_stream_options_and_the_max_tokens_field_can_be_chosen() -> None:
    assert "stream_options" not in body(stream_options=False)
    sent = body(params=SamplingParams(max_new_tokens=5), max_tokens_field="max_tokens")
    assert sent["max_tokens"] == 5
    with pytest.raises(ValueError, match="max_tokens_field must be max_completion_tokens or"):
        body(max_tokens_field="max_new_tokens")


CHAT = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "U"},
    {"role": "assistant", "content": "A"},
    {"role": "user", "content": "U2"},
]


def test_the_system_message_of_a_reasoning_model_is_a_developer_message() -> None:
    before = copy.deepcopy(CHAT)
    sent = build_body(info("o3"), CHAT, SamplingParams())[0]["messages"]
    assert sent == [{"role": "developer", "content": "S"}, *CHAT[1:]]
    assert before == CHAT


def test_the_system_message_of_a_chat_model_stays() -> None:
    assert build_body(info(), CHAT, SamplingParams())[0]["messages"] == CHAT


def test_a_model_without_system_role_gets_it_in_the_first_user_message() -> None:
    before = copy.deepcopy(CHAT)
    sent = build_body(info("o1-mini"), CHAT, SamplingParams())[0]["messages"]
    assert sent == [{"role": "user", "content": "S\n\nU"}, *CHAT[2:]]
    assert before == CHAT


@pytest.mark.parametrize(
    ("messages", "made"),
    [
        ([{"role": "system", "content": "S"}], [{"role": "user", "content": "S"}]),
        (
            [{"role": "assistant", "content": "A"}, {"role": "developer", "content": "D"}],
            [{"role": "assistant", "content": "A"}, {"role": "user", "content": "D"}],
        ),
        (
            [{"role": "user", "content": "U", "name": "n"}, {"role": "system", "content": "S"}],
            [{"role": "user", "content": "S\n\nU", "name": "n"}],
        ),
        (
            [
                {"role": "system", "content": "S"},
                {"role": "developer", "content": [{"type": "text", "text": "D"}]},
                {"role": "user", "content": [{"type": "image_url"}]},
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "S"},
                        {"type": "text", "text": "D"},
                        {"type": "image_url"},
                    ],
                }
            ],
        ),
        (
            [{"role": "system", "content": ""}, {"role": "user", "content": "U"}],
            [{"role": "user", "content": "U"}],
        ),
        ([{"role": "user", "content": "U"}], [{"role": "user", "content": "U"}]),
    ],
)
def test_a_system_text_finds_its_place_in_any_conversation(messages: list, made: list) -> None:
    before = copy.deepcopy(messages)
    assert map_system_role(messages, "user-prefix") == made
    assert messages == before


def test_tools_pass_verbatim() -> None:
    other = {"type": "web_search", "x": 1}
    sent = body(tools=[TOOL, other], tool_choice="required")
    assert sent["tools"] == [TOOL, other]
    assert sent["tool_choice"] == "required"


def test_an_empty_list_of_tools_is_none() -> None:
    assert "tools" not in body(tools=[])


@pytest.mark.parametrize(
    ("tools", "error", "says"),
    [
        ("add", TypeError, "tools must be a list of dicts, not str"),
        (TOOL, TypeError, "tools must be a list of dicts, not dict"),
        ([TOOL, print], TypeError, r"tools\[1\] must be a dict"),
        ([{"name": "add"}], ValueError, r"tools\[0\] has no 'type'.*\['name'\]"),
        ([TOOL, {"type": "function"}], ValueError, r"tools\[1\]\['function'\] must be a dict"),
        ([{"type": "function", "function": {}}], ValueError, "with a 'name'"),
    ],
)
def test_a_tool_that_makes_no_sense_is_named(
    tools: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        body(tools=tools)


def test_a_tool_choice_needs_tools() -> None:
    for tools in (None, []):
        with pytest.raises(ValueError, match="tool_choice is given without tools"):
            body(tools=tools, tool_choice="auto")
    assert body(tool_choice="auto", extra_body={"tools": [TOOL]})["tools"] == [TOOL]


@pytest.mark.parametrize(("wrong", "error"), [(3, TypeError), (True, TypeError), ("", ValueError)])
def test_a_tool_choice_is_a_word_or_a_dict(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="tool_choice"):
        body(tools=[TOOL], tool_choice=wrong)


def test_a_response_format_passes_verbatim() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert body(response_format=schema)["response_format"] == schema


def test_json_mode_and_another_response_format_are_a_conflict() -> None:
    with pytest.raises(ValueError, match="json_mode and response_format"):
        body(params=SamplingParams(json_mode=True), response_format={"type": "text"})
    same = {"type": "json_object"}
    sent = body(params=SamplingParams(json_mode=True), response_format=same)
    assert sent["response_format"] == same


@pytest.mark.parametrize(
    ("wrong", "error"), [(dict, TypeError), ("json", TypeError), ({}, ValueError)]
)
def test_a_response_format_is_a_dict_with_a_type(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="response_format"):
        body(response_format=wrong)


def test_extra_body_wins_at_the_top_level() -> None:
    sent = body(
        params=SamplingParams(temperature=1),
        extra_body={"temperature": 0, "stream_options": None, "verbosity": "low"},
    )
    assert (sent["temperature"], sent["stream_options"], sent["verbosity"]) == (0, None, "low")


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"stream": False}, ValueError, "always streams"),
        ([("a", 1)], TypeError, "extra_body must be a dict, not list"),
        ({1: 2}, TypeError, "a key of extra_body"),
    ],
)
def test_an_extra_body_that_makes_no_sense_is_refused(
    wrong: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        body(extra_body=wrong)


def test_nothing_that_was_given_is_changed() -> None:
    given = {"tools": [TOOL], "extra_body": {"a": {}}, "response_format": {"type": "text"}}
    before = copy.deepcopy(given)
    body(**given)["tools"].append(1)
    assert given == before


def test_the_checks_of_headers_and_keys_are_at_hand_here() -> None:
    assert request.validate_headers({"a": "b"}) == {"a": "b"}
    assert request.validate_api_key("sk-x") == "sk-x"
