"""What Claude models refuse beside thinking is left out, and thinking where a call is forced."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import SamplingParams
from lm_deluge.dialects.dialect import Ask, Written
from lm_deluge.dialects.messages import MESSAGES
from lm_deluge.models.resolving import resolve_model

BUDGETS, ADAPTIVE, NO_CLAUDE = "claude-opus-4-5", "claude-sonnet-4-6", "local-model"
TOOL = {"type": "function", "function": {"name": "f"}}
NAMED = {"type": "function", "function": {"name": "f"}}


def written(
    model: str, *, choice: Any = None, extra: dict[str, Any] | None = None, **params: Any
) -> Written:
    url = "https://gateway.example"
    return MESSAGES.write(
        Ask(
            info=resolve_model(f"anthropic:{model}", base_url=url, env_base_url=None),
            messages=[{"role": "user", "content": "Hi"}],
            params=SamplingParams(**params),
            tools=None if choice is None else [TOOL],
            tool_choice=choice,
            extra_body=extra,
        )
    )


def dropped(request: Written) -> list[str]:
    return [each.parameter for each in request.dropped]


@pytest.mark.parametrize("model", [BUDGETS, ADAPTIVE])
@pytest.mark.parametrize(("name", "value"), [("temperature", 0), ("top_p", 0.5)])
def test_sampling_that_thinking_excludes_is_left_out(model: str, name: str, value: float) -> None:
    request = written(model, reasoning_effort="high", **{name: value})
    assert "thinking" in request.body
    assert name not in request.body
    assert dropped(request) == [name]


@pytest.mark.parametrize(("name", "value"), [("temperature", 1), ("top_p", 0.95)])
def test_sampling_beside_which_it_thinks_is_sent(name: str, value: float) -> None:
    request = written(BUDGETS, reasoning_effort="high", **{name: value})
    assert (request.body[name], dropped(request)) == (value, [])


@pytest.mark.parametrize("effort", [None, "none"])
def test_sampling_without_thinking_is_sent(effort: Any) -> None:
    request = written(BUDGETS, reasoning_effort=effort, temperature=0)
    assert (request.body["temperature"], dropped(request)) == (0, [])


@pytest.mark.parametrize("model", [BUDGETS, ADAPTIVE])
@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_call_that_is_forced_comes_without_thinking(model: str, choice: Any) -> None:
    request = written(model, choice=choice, reasoning_effort="high", temperature=0)
    assert "thinking" not in request.body
    assert request.body["temperature"] == 0
    assert dropped(request) == ["reasoning_effort"]


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_call_that_is_not_forced_leaves_thinking(choice: str) -> None:
    request = written(BUDGETS, choice=choice, reasoning_effort="high")
    assert (request.body["thinking"]["type"], dropped(request)) == ("enabled", [])


def test_a_model_that_is_no_claude_is_asked_all_of_it() -> None:
    request = written(NO_CLAUDE, choice="required", reasoning_effort="high", temperature=0)
    assert {"thinking", "temperature", "tool_choice"} <= request.body.keys()
    assert dropped(request) == []


@pytest.mark.parametrize(("most", "budget"), [(4096, 2048), (64_000, 16_384)])
def test_thinking_leaves_room_in_an_answer_whose_size_the_providers_own_words_say(
    most: int, budget: int
) -> None:
    request = written(BUDGETS, extra={"max_tokens": most}, reasoning_effort="high")
    assert request.body["max_tokens"] == most
    assert request.body["thinking"]["budget_tokens"] == budget


def test_an_answer_that_they_leave_no_room_for_thinking_comes_without() -> None:
    request = written(
        BUDGETS, extra={"max_tokens": 1024}, max_new_tokens=64_000, reasoning_effort="low"
    )
    assert ("thinking" in request.body, dropped(request)) == (False, ["reasoning_effort"])


@pytest.mark.parametrize(
    ("model", "is_late"),
    [
        ("claude-opus-4-6", False),
        ("claude-opus-4-20250514", False),
        ("claude-opus-4-7", True),
        ("claude-opus-4.7", True),
        ("claude-opus-4-10", True),
        ("claude-opus-4-10-20270101", True),
        ("anthropic.claude-opus-4-12-v1:0", True),
        ("claude-opus-10", True),
        ("claude-4-7-opus", True),
        ("claude-sonnet-4-6", False),
    ],
)
def test_a_version_is_read_alike_for_effort_and_for_sampling(model: str, is_late: bool) -> None:
    request = written(model, reasoning_effort="xhigh", max_new_tokens=9000)
    assert (request.body.get("output_config") == {"effort": "xhigh"}) is is_late
    plain = written(model, temperature=0.5)
    assert ("temperature" not in plain.body) is is_late
