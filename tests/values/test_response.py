"""What a stream leaves behind, as Python values and as JSON."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import date
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import (
    APIResponse,
    Choice,
    FailedAttempt,
    HandlerFailure,
    Message,
    Partial,
    ToolCall,
    Usage,
)

text = st.text(max_size=8)
number = st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 2**70)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(text, json_values, max_size=3)

usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    total_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    raw=json_objects,
)
choices = st.builds(
    Choice,
    index=st.integers(0, 200),
    completion=text,
    finish_reason=st.none() | text,
    reasoning=st.none() | text,
    refusal=st.none() | text,
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            id=st.none() | text,
            name=text,
            arguments=text,
            extra=json_objects,
        ),
        max_size=2,
    ),
    logprobs=st.none() | json_objects,
    extra=json_objects,
)
received = {
    "choices": st.lists(choices, max_size=3),
    "usage": st.none() | usages,
    "model_external": st.none() | text,
    "response_id": st.none() | text,
    "request_id": st.none() | text,
    "system_fingerprint": st.none() | text,
    "service_tier": st.none() | text,
    "ttft": st.none() | number,
    "extra": json_objects,
}
responses = st.builds(
    APIResponse,
    **received,
    model=text,
    model_used=text,
    cost=st.none() | number,
    elapsed=number,
    attempts=st.integers(1, 9),
    failed_attempts=st.lists(
        st.builds(FailedAttempt, model=text, error=text, message=text, delay=number), max_size=2
    ),
    tags=json_objects,
    handler_failures=st.lists(
        st.builds(
            HandlerFailure,
            handler=text,
            method=text,
            type=text,
            message=text,
            count=st.integers(1, 9),
        ),
        max_size=2,
    ),
    missing=st.lists(text, max_size=2),
)
partials = st.builds(Partial, **received)


def test_the_strategies_above_fill_every_field() -> None:
    own = {"model", "model_used", "cost", "elapsed", "attempts", "failed_attempts", "tags"}
    for kind, expected in (
        (Partial, set(received)),
        (APIResponse, set(received) | own | {"handler_failures", "missing"}),
    ):
        assert {field.name for field in attrs.fields(kind) if field.init} == expected


@settings(max_examples=40, deadline=None)
@given(responses | partials)
def test_what_is_written_as_json_is_read_back(response: Any) -> None:
    written = json.dumps(response.to_dict(), allow_nan=False)
    again = type(response).from_dict(json.loads(written))
    assert again == response
    assert type(again) is type(response)
    assert again.to_dict() == response.to_dict()
    assert again.timeline is None


@settings(max_examples=40, deadline=None)
@given(responses | partials)
def test_a_response_survives_pickling_and_copying(response: Any) -> None:
    for again in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response)):
        assert again == response


def test_unknown_keys_are_ignored_at_every_depth() -> None:
    written = APIResponse(
        model="m",
        choices=[Choice(tool_calls=[ToolCall("a", "f")])],
        usage=Usage(input_tokens=1),
        failed_attempts=[FailedAttempt(model="m", error="e", message="", delay=0.0)],
        handler_failures=[HandlerFailure("H", "on_start", "E", "m")],
    ).to_dict()
    expected = APIResponse.from_dict(written)
    for place in (
        written,
        written["choices"][0],
        written["choices"][0]["tool_calls"][0],
        written["usage"],
        written["failed_attempts"][0],
        written["handler_failures"][0],
    ):
        place["of_a_later_version"] = 1
    assert APIResponse.from_dict(written) == expected


def test_what_is_missing_has_its_default() -> None:
    assert APIResponse.from_dict({"model": "m"}) == APIResponse(model="m")
    assert Partial.from_dict({}) == Partial()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("choices", None),
        ("choices", {}),
        ("choices", [3]),
        ("choices", [{"index": "0"}]),
        ("choices", [{"tool_calls": [{"id": 3}]}]),
        ("usage", []),
        ("usage", {"input_tokens": "many"}),
        ("model", None),
        ("model_used", 3),
        ("model_external", 3),
        ("response_id", []),
        ("request_id", 3),
        ("system_fingerprint", 3),
        ("service_tier", 3),
        ("ttft", "fast"),
        ("cost", "1"),
        ("elapsed", None),
        ("attempts", 1.5),
        ("failed_attempts", [{}]),
        ("tags", []),
        ("handler_failures", [{"handler": 3}]),
    ],
)
def test_a_wrong_shape_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^APIResponse\.from_dict: {field}: "):
        APIResponse.from_dict({"model": "m", field: value})


def test_a_missing_model_names_its_field() -> None:
    with pytest.raises(ValueError, match=r"^APIResponse\.from_dict: model is missing"):
        APIResponse.from_dict({})


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_dict_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="a dict is expected"):
        Partial.from_dict(data)


def test_tags_that_json_cannot_hold_are_written_as_it_can() -> None:
    class Variant:
        def __str__(self) -> str:
            return "B"

    tags = {"pair": (1, 2), "variant": Variant(), "day": date(2026, 11, 22)}
    written = json.loads(json.dumps(APIResponse(model="m", tags=tags).to_dict()))
    assert written["tags"] == {"pair": [1, 2], "variant": "B", "day": "2026-11-22"}


def test_without_choices_everything_of_choice_0_is_empty() -> None:
    partial = Partial(choices=[Choice(index=1, completion="b")])
    assert (partial.completion, partial.text, partial.tool_calls) == ("", "", [])
    assert (partial.finish_reason, partial.reasoning, partial.refusal) == (None, None, None)
    assert partial.logprobs is None
    assert partial.content == Message.ai("")


def test_choice_0_is_found_by_its_index_and_not_by_its_place() -> None:
    call = ToolCall("a", "f", "{}")
    first = Choice(
        index=0,
        completion="a",
        finish_reason="stop",
        reasoning="r",
        refusal="no",
        tool_calls=[call],
        logprobs={"content": []},
    )
    response = APIResponse(model="m", choices=[Choice(index=1, completion="b"), first])
    assert str(response) == response.completion == "a"
    assert response.finish_reason == "stop"
    assert (response.reasoning, response.refusal) == ("r", "no")
    assert response.tool_calls == [call]
    assert response.logprobs == {"content": []}
    assert response.content == Message("assistant", "a", tool_calls=[call], refusal="no")


def test_the_content_can_be_changed_without_changing_the_response() -> None:
    response = APIResponse(model="m", choices=[Choice(tool_calls=[ToolCall("a", "f")])])
    response.content.tool_calls.clear()
    assert len(response.tool_calls) == 1


# Usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, (None, None, None, None, None)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 12,
                "total_tokens": 21,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 8},
            },
            (9, 12, 21, 4, 8),
        ),
        (
            {"prompt_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
            (0, None, None, 0, None),
        ),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}, (1, 2, 9, None, None)),
        (
            {"prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 1},
            (None, None, None, 3, None),
        ),
        ({"cached_tokens": 3}, (None, None, None, 3, None)),
        ({"reasoning_tokens": 5, "completion_tokens_details": None}, (None, None, None, None, 5)),
        ({"prompt_tokens_details": {}, "completion_tokens_details": {}}, (None,) * 5),
        ({"prompt_tokens_details": 3, "completion_tokens_details": "x"}, (None,) * 5),
        ({"prompt_tokens": "9", "completion_tokens": True, "total_tokens": []}, (None,) * 5),
        ({"prompt_tokens": float("nan"), "total_tokens": float("inf")}, (None,) * 5),
        ({"prompt_tokens": 9.0, "total_tokens": None}, (9, None, None, None, None)),
    ],
)
def test_usage_is_read_from_what_servers_send(usage: dict[str, Any], expected: Any) -> None:
    made = Usage.from_openai(usage)
    assert (
        made.input_tokens,
        made.output_tokens,
        made.total_tokens,
        made.cache_read_tokens,
        made.reasoning_tokens,
    ) == expected
    assert made.raw == usage
    assert made.raw is not usage


def test_usage_says_what_it_counted_and_not_what_was_sent_besides() -> None:
    usage = Usage.from_openai({"prompt_tokens": 9, "vendor": {"x": 1}})
    assert "vendor" not in repr(usage)
    assert "input_tokens=9" in repr(usage)
