"""Which names stream, and what their models take."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

import lm_deluge.models.registry
from lm_deluge.config import EFFORTS, SamplingParams
from lm_deluge.errors import UnsupportedModelError
from lm_deluge.models.registry import (
    MAX_TOKENS_FIELDS,
    SYSTEM_ROLES,
    ModelInfo,
    known_models,
    register_model,
    unregister_model,
)
from lm_deluge.models.resolving import resolve_model

DATA = json.loads(Path(lm_deluge.models.__file__).with_name("models.json").read_text("utf-8"))
PARAMETERS = set(attrs.fields_dict(SamplingParams))
SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs")


def resolve(name: str, base_url: str | None = None, env: str | None = None) -> ModelInfo:
    return resolve_model(name, base_url=base_url, env_base_url=env)


def test_the_data_is_consistent() -> None:
    rules = DATA["rules"]
    for name, rule in rules.items():
        assert set(rule["takes"]) <= PARAMETERS, name
        assert set(rule.get("takes_at", {})) <= set(rule.get("efforts", ())) <= set(EFFORTS), name
        assert all(set(names) <= PARAMETERS for names in rule.get("takes_at", {}).values()), name
        assert rule.get("default_effort", "low") in rule.get("efforts", EFFORTS), name
        assert rule.get("system_role", "system") in SYSTEM_ROLES, name
        assert rule.get("max_tokens_field", "max_tokens") in MAX_TOKENS_FIELDS, name
    assert {rule for _, rule in DATA["families"]} <= set(rules)
    for pattern in (*DATA["open_families"], *DATA["closed"]):
        assert pattern == pattern.lower()
    for models in DATA["models"].values():
        for name, model in models.items():
            assert model.get("max_output_tokens", 0) <= model.get("context_window", 1e9), name
            price, cached, fresh, output = model.get("price", (1, None, None, 2))
            assert 0 < price < output, name
            assert cached is None or 0 < cached < price, name
            assert fresh is None or price < fresh < output, name


def test_the_data_says_when_its_prices_held() -> None:
    assert DATA["prices_as_of"]
    assert DATA["sources"]


def test_no_foreign_prefix_hides_an_openai_name() -> None:
    for prefix, _ in DATA["foreign"]:
        assert prefix == prefix.lower()
        assert not any(name.startswith(prefix) for name in DATA["models"]["OpenAI"])


ISSUE_LIST = (
    "gpt-4o gpt-4o-mini gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4-turbo gpt-4 gpt-3.5-turbo o1 "
    "o1-mini o1-preview o3 o3-mini o4-mini gpt-5 gpt-5-mini gpt-5-nano gpt-5-chat-latest gpt-5.1"
)


@pytest.mark.parametrize("name", ISSUE_LIST.split())
def test_the_listed_models_are_known_with_context_and_price(name: str) -> None:
    info = resolve(name)
    assert (info.name, info.model_id, info.origin) == (name, name, "builtin")
    assert info.base_url == "https://api.openai.com/v1"
    assert info.api_key_env == "OPENAI_API_KEY"
    assert info.max_tokens_field == "max_completion_tokens"
    assert info.context_window
    assert info.max_output_tokens
    assert info.input_price
    assert info.output_price


@pytest.mark.parametrize("name", ["o1", "o3", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini"])
def test_reasoning_models_take_no_sampling_at_any_effort(name: str) -> None:
    info = resolve(name)
    assert info.reasoning
    assert info.system_role == "developer"
    for effort in (None, *EFFORTS):
        assert not any(info.takes(parameter, effort) for parameter in SAMPLING)
        assert info.takes("max_new_tokens", effort)


@pytest.mark.parametrize("name", ["gpt-5.1", "gpt-5.2", "gpt-5.4-mini", "gpt-5.2-2025-12-11"])
def test_later_reasoning_models_take_sampling_when_they_do_not_reason(name: str) -> None:
    info = resolve(name)
    for parameter in SAMPLING:
        assert info.takes(parameter, "none")
        # Their default effort is "none"; one that they do not know leaves it in force.
        assert info.takes(parameter)
        assert info.takes(parameter, "minimal")
        assert not info.takes(parameter, "low")


def test_a_model_that_reasons_by_default_takes_sampling_only_at_effort_none() -> None:
    info = resolve("gpt-5.5")
    assert info.takes("temperature", "none")
    assert not info.takes("temperature")


@pytest.mark.parametrize("name", ["gpt-5-chat", "gpt-5-chat-latest", "gpt-4o", "gpt-4.1-nano"])
def test_chat_models_take_sampling_always_and_no_effort(name: str) -> None:
    info = resolve(name)
    assert all(info.takes(parameter) for parameter in SAMPLING)
    assert not info.reasoning
    assert not any(info.takes_effort(effort) for effort in EFFORTS)


@pytest.mark.parametrize(
    ("name", "efforts"),
    [
        ("o3", "low medium high"),
        ("gpt-5", "minimal low medium high"),
        ("gpt-5.1", "none low medium high"),
        ("gpt-5.2", "none low medium high xhigh"),
        ("gpt-5.1-chat-latest", "medium"),
        ("o1-mini", ""),
    ],
)
def test_each_model_takes_its_own_efforts(name: str, efforts: str) -> None:
    info = resolve(name)
    assert [effort for effort in EFFORTS if info.takes_effort(effort)] == efforts.split()


@pytest.mark.parametrize("name", ["o1-mini", "o1-preview", "o1-mini-2024-09-12"])
def test_the_first_reasoning_models_know_no_system_role(name: str) -> None:
    assert resolve(name).system_role == "user-prefix"


def test_stop_is_for_models_that_take_it() -> None:
    assert resolve("gpt-4o").takes("stop")
    assert not resolve("o3").takes("stop")
    assert not resolve("o4-mini").takes("stop")


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("o3-2025-04-16", "o3"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
    ],
)
def test_a_snapshot_is_its_model(name: str, base: str) -> None:
    assert resolve(name) == attrs.evolve(resolve(base), name=name, model_id=name)


def test_a_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    assert resolve("gpt-4o-2024-05-13").input_price == 5.0


def test_a_fine_tuned_model_is_its_base_without_a_price() -> None:
    info = resolve("ft:gpt-4o-mini-2024-07-18:org::id")
    assert info.model_id == "ft:gpt-4o-mini-2024-07-18:org::id"
    assert info.context_window == 128000
    assert (info.input_price, info.cached_input_price, info.output_price) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "reasoning", "takes_temperature"),
    [
        ("gpt-4o-audio-preview", False, True),
        ("gpt-4.5-preview", False, True),
        ("chatgpt-4o-next", False, True),
        ("gpt-5.9-nano", True, False),
        ("gpt-5-search-api", True, False),
        ("gpt-5.3-chat-next", True, False),
        ("gpt-7", True, False),
        ("o5", True, False),
        ("o3-pro", True, False),
        ("ft:gpt-4.7:org::id", False, True),
    ],
)
def test_names_shaped_like_openais_stream_by_their_family_without_a_price(
    name: str, *, reasoning: bool, takes_temperature: bool
) -> None:
    info = resolve(name)
    assert (info.origin, info.model_id) == ("family", name)
    assert info.reasoning is reasoning
    assert info.takes("temperature") is takes_temperature
    assert info.input_price is None
    assert info.context_window is None


def test_the_base_url_is_argument_then_registration_then_environment_then_openai() -> None:
    env = "http://env/v1/"
    assert resolve("gpt-4o").base_url == "https://api.openai.com/v1"
    assert resolve("gpt-4o", None, env).base_url == "http://env/v1"
    assert resolve("gpt-4o", None, " ").base_url == "https://api.openai.com/v1"
    register_model("gpt-4o", base_url="http://registered/v1")
    assert resolve("gpt-4o", None, env).base_url == "http://registered/v1"
    assert resolve("gpt-4o", "http://argument/v1", env).base_url == "http://argument/v1"


def test_a_malformed_url_says_whose_it_is() -> None:
    with pytest.raises(ValueError, match="base_url"):
        resolve("gpt-4o", "nonsense")
    with pytest.raises(ValueError, match="OPENAI_BASE_URL"):
        resolve("gpt-4o", None, "nonsense")


def test_another_providers_model_streams_with_a_base_url_or_a_registration() -> None:
    info = resolve("claude-4", "http://argument/v1")
    assert (info.origin, info.base_url) == ("unknown", "http://argument/v1")
    register_model("claude-5", base_url="http://registered/v1")
    assert resolve("claude-5").base_url == "http://registered/v1"


def test_an_unknown_name_is_refused_with_the_nearest_known_ones() -> None:
    with pytest.raises(UnsupportedModelError, match="you mean 'gpt-4o'") as caught:
        resolve("gtp-4o")
    assert "gpt-4o" in caught.value.suggestions
    assert caught.value.provider is None
    with pytest.raises(UnsupportedModelError, match="you mean 'gpt-4o'"):
        resolve("GPT-4o")
    with pytest.raises(UnsupportedModelError) as caught:
        resolve("zzzzzz")
    assert "Did you mean" not in str(caught.value)
    assert caught.value.suggestions == ()


def test_an_unknown_name_streams_with_any_base_url_and_takes_what_servers_know() -> None:
    for info in (resolve("my-model", "http://a/v1"), resolve("my-model", None, "http://a/v1")):
        assert (info.model_id, info.base_url) == ("my-model", "http://a/v1")
        assert info.max_tokens_field == "max_tokens"
        assert info.system_role == "system"
        assert all(info.takes(parameter, "high") for parameter in PARAMETERS)
        assert info.takes_effort("xhigh")


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), (" ", ValueError), (None, TypeError)]
)
def test_a_name_is_text(name: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="model"):
        resolve(name)  # type: ignore[arg-type]


def test_a_registration_says_everything_about_a_model() -> None:
    register_model(
        "mine",
        base_url="https://host/v1/",
        api_key_env="MY_KEY",
        model_id="org/mine",
        auth_header="api-key",
        query={"api-version": "1"},
        headers={"X-Title": "t"},
        stream_options=False,
        max_tokens_field="max_completion_tokens",
        accept_eof=True,
        reasoning=True,
        accepts=["temperature", "reasoning_effort"],
        efforts=["low"],
        system_role="developer",
        context_window=8,
        max_output_tokens=4,
        input_price=1,
        cached_input_price=0,
        output_price=2.5,
    )
    assert resolve("mine") == ModelInfo(
        name="mine",
        model_id="org/mine",
        origin="registered",
        reasoning=True,
        accepts=frozenset({"temperature", "reasoning_effort"}),
        efforts=("low",),
        system_role="developer",
        max_tokens_field="max_completion_tokens",
        stream_options=False,
        accept_eof=True,
        context_window=8,
        max_output_tokens=4,
        input_price=1.0,
        cached_input_price=0.0,
        output_price=2.5,
        base_url="https://host/v1",
        api_key_env="MY_KEY",
        auth_header="api-key",
        query={"api-version": "1"},
        headers={"X-Title": "t"},
    )
    assert "mine" in known_models()


def test_a_local_server_needs_no_key_and_openai_does() -> None:
    assert register_model("local", base_url="http://localhost:1/v1").api_key_env is None
    assert register_model("nickname", model_id="gpt-4o").api_key_env == "OPENAI_API_KEY"


def test_a_registration_inherits_what_openais_model_takes_but_not_its_price() -> None:
    azure = register_model("gpt-4o", base_url="https://azure/v1", auth_header="api-key")
    assert azure.max_tokens_field == "max_completion_tokens"
    assert azure.context_window == 128000
    assert azure.input_price is None
    fast = register_model("fast", model_id="o3")
    assert (fast.model_id, fast.reasoning, fast.system_role) == ("o3", True, "developer")
    assert not fast.takes("temperature")


def test_an_unregistered_model_is_the_builtin_one_again() -> None:
    register_model("gpt-4o", base_url="https://azure/v1")
    unregister_model("gpt-4o")
    unregister_model("gpt-4o")
    assert resolve("gpt-4o").origin == "builtin"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": ""}, ValueError),
        ({"name": 3}, TypeError),
        ({"base_url": "host"}, ValueError),
        ({"api_key_env": ""}, ValueError),
        ({"api_key_env": 3}, TypeError),
        ({"model_id": ""}, ValueError),
        ({"auth_header": "a b"}, ValueError),
        ({"dialect": None}, TypeError),
        ({"query": "a=b"}, TypeError),
        ({"headers": {"a": "b\r\n"}}, ValueError),
        ({"stream_options": None}, TypeError),
        ({"accept_eof": 1}, TypeError),
        ({"reasoning": "yes"}, TypeError),
        ({"max_tokens_field": "max_new_tokens"}, ValueError),
        ({"system_role": "bot"}, ValueError),
        ({"accepts": ["max_tokens"]}, ValueError),
        ({"accepts": "temperature"}, TypeError),
        ({"accepts": 3}, TypeError),
        ({"efforts": ["huge"]}, ValueError),
        ({"context_window": 0}, ValueError),
        ({"max_output_tokens": 1.5}, TypeError),
        ({"input_price": -1}, ValueError),
        ({"output_price": "1"}, TypeError),
        ({"cached_input_price": float("nan")}, ValueError),
    ],
)
def test_a_registration_that_makes_no_sense_names_the_field(
    wrong: dict, error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        register_model(**{"name": "mine", **wrong})
    assert "mine" not in known_models()


def test_the_repr_of_a_model_shows_nothing_secret() -> None:
    shown = repr(
        register_model(
            "mine",
            base_url="https://u:hush@host/v1",
            query={"key": "hush"},
            headers={"X-Key": "hush"},
        )
    )
    assert "hush" not in shown
    assert "https://host/v1" in shown
