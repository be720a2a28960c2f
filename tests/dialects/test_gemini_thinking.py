"""How hard a model of Google's is asked to think: in its family's words, where it takes any."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from lm_deluge import SamplingParams
from lm_deluge.dialects.dialect import Ask, Written
from lm_deluge.dialects.gemini import GEMINI
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import resolve_model


def info_of(model: str) -> ModelInfo:
    return resolve_model(f"gemini:{model}", base_url="https://gateway.example", env_base_url=None)


def written(info: ModelInfo, effort: Any) -> Written:
    params = SamplingParams(reasoning_effort=effort)
    return GEMINI.write(Ask(info=info, messages=[{"role": "user", "content": "Hi"}], params=params))


def thinking(model: str, effort: str) -> Any:
    request = written(info_of(model), effort)
    assert request.dropped == []
    return request.body["generationConfig"]["thinkingConfig"]


def why_not(info: ModelInfo, effort: str) -> str:
    request = written(info, effort)
    assert "generationConfig" not in request.body
    (dropped,) = request.dropped
    assert dropped.parameter == "reasoning_effort"
    return dropped.why


@pytest.mark.parametrize(
    "model",
    [
        "gemini-2.5-pro",
        "gemini-2.5-pro-preview-06-05",
        "models/gemini-2.5-pro",
        "gemini-pro-latest",
        "gemini-3-pro-preview",
        "gemini-3-flash-preview",
        "gemini-3.5-flash-lite",
        "gemini-4-argon",
    ],
)
def test_a_model_that_always_thinks_is_not_told_not_to(model: str) -> None:
    assert why_not(info_of(model), "none") == "the model always thinks"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-flash-lite", "my-model"])
def test_another_is(model: str) -> None:
    assert thinking(model, "none") == {"includeThoughts": False, "thinkingBudget": 0}


@pytest.mark.parametrize("model", ["gemini-1.5-pro", "gemini-2.0-flash"])
def test_a_model_that_does_not_think_is_not_told_to(model: str) -> None:
    assert why_not(info_of(model), "low") == "the model does not think first"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview", "my-model"])
def test_what_the_registry_says_that_it_does_not_take_is_left_out(model: str) -> None:
    info = info_of(model)
    deaf = attrs.evolve(info, accepts=info.accepts - {"reasoning_effort"})
    assert why_not(deaf, "low") == "the model does not take it"
    picky = attrs.evolve(info, efforts=("high",))
    assert why_not(picky, "low") == "the model does not take it"
    assert written(picky, "high").dropped == []


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3-flash-preview", "minimal", "minimal"),
        ("gemini-3.8-flash", "medium", "medium"),
        ("gemini-3-pro-preview", "minimal", "low"),
        ("gemini-3-pro-preview", "medium", "high"),
        ("gemini-3.1-pro-preview", "medium", "medium"),
        ("gemini-4-argon", "xhigh", "high"),
    ],
)
def test_the_third_family_and_later_ones_take_levels(model: str, effort: str, level: str) -> None:
    assert thinking(model, effort) == {"includeThoughts": True, "thinkingLevel": level}


def test_those_before_take_a_number_of_tokens() -> None:
    assert thinking("gemini-2.5-pro", "low") == {"includeThoughts": True, "thinkingBudget": 1024}
