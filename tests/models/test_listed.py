"""What is listed of models: sizes, prices, what Claude models refuse, and the days on which models go."""

from __future__ import annotations

import logging
from datetime import date

import pytest

from lm_deluge import LLMClient, register_model
from lm_deluge.models import retiring
from lm_deluge.models.listed import facts_of, last_day_of
from lm_deluge.models.names import model_data
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import resolve_model


def resolve(name: str, base_url: str | None = None) -> ModelInfo:
    return resolve_model(name, base_url=base_url, env_base_url=None)


def test_a_prefixed_model_has_its_sizes_and_prices() -> None:
    info = resolve("anthropic:claude-opus-5-5")
    assert (info.context_window, info.max_output_tokens) == (1_000_000, 128_000)
    prices = (info.input_price, info.cached_input_price, info.cache_write_price, info.output_price)
    assert prices == (4, 0.2, 5, 20)
    assert resolve("gemini:gemini-3.8-flash").output_price == 3.75


def test_a_dated_release_is_what_it_is_a_release_of() -> None:
    assert facts_of("claude-sonnet-4-5-20250929", "messages") == facts_of(
        "claude-sonnet-4-5", "messages"
    )
    assert facts_of("gemini-2.5-pro-001", "gemini") == facts_of("gemini-2.5-pro", "gemini")


def test_of_an_unknown_model_and_in_another_dialect_nothing_is_known() -> None:
    assert not any(facts_of("claude-unheard-of", "messages").values())
    assert not any(facts_of("claude-opus-5-5", "gemini").values())
    assert resolve("anthropic:claude-unheard-of").max_output_tokens is None


def test_a_registration_knows_the_sizes_and_says_the_prices_itself() -> None:
    info = register_model("mine", model_id="claude-haiku-4-5", dialect="messages")
    assert (info.context_window, info.max_output_tokens) == (200_000, 64_000)
    assert (info.input_price, info.cache_write_price) == (None, None)
    own = register_model(
        "mine",
        model_id="claude-haiku-4-5",
        dialect="messages",
        max_output_tokens=9,
        cache_write_price=1,
    )
    assert (own.max_output_tokens, own.cache_write_price) == (9, 1.0)


def test_prices_beyond_a_bound_are_not_taken_for_those_below() -> None:
    assert resolve("anthropic:claude-haiku-5-5").priced_up_to == 100_000
    assert resolve("gemini:gemini-3.1-pro-preview").priced_up_to == 200_000


def test_every_entry_has_the_columns_that_it_says() -> None:
    columns = {"context_window", "max_output_tokens", "price", "priced_up_to"}
    for models in model_data()["models"].values():
        for name, facts in models.items():
            assert facts.keys() <= columns | {"retires_on", "replaced_by"}, name
            assert len(facts.get("price", [0] * 4)) == 4, name
            assert "replaced_by" not in facts or date.fromisoformat(facts["retires_on"]), name


def test_the_families_of_the_three_providers_are_listed_with_prices() -> None:
    """Their newest and what is in between; `gpt-6.2` is too new to have one."""
    for name in (
        *("gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-astra", "gpt-6-sol", "gpt-6-luna", "gpt-5.6-sol"),
        *("gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5", "gpt-5.5-pro", "gpt-5.4-nano", "gpt-5.2-pro"),
        *("anthropic:claude-fable-5-2", "anthropic:claude-mythos-5-2", "anthropic:claude-opus-4-8"),
        *("anthropic:claude-sonnet-5-5", "anthropic:claude-haiku-5-5", "gemini:gemini-4-argon"),
        *("gemini:gemini-3.8-flash", "gemini:gemini-3.5-flash-lite", "gemini:gemini-3-pro-preview"),
    ):
        info = resolve(name)
        assert info.input_price, name
        assert info.output_price, name
    for name in ("gpt-6.2-astra", "gpt-6.2-sol", "gemini:gemma-4-31b-it"):
        assert resolve(name).output_price is None


# -- sampling


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        *(
            (f"claude-{name}", True)
            for name in ("haiku-4-5", "sonnet-4-5", "sonnet-4-6", "opus-4-5")
        ),
        *(
            (f"claude-{name}", True)
            for name in ("opus-4-6-20260205", "3-5-haiku", "opus-4-20250514")
        ),
        *(
            (f"claude-{name}", False)
            for name in ("opus-4-7", "opus-4-7-20260416", "opus-4-8", "opus-5")
        ),
        *(
            (f"claude-{name}", False)
            for name in ("opus-5-5", "sonnet-5", "sonnet-5-5", "haiku-5-5")
        ),
        *((f"claude-{name}", False) for name in ("fable-5", "fable-5-2", "mythos-5-1")),
        ("unheard-of", True),
    ],
)
def test_it_is_known_which_claude_models_take_sampling(name: str, takes: bool) -> None:
    asked = [
        resolve(f"anthropic:{name}"),
        resolve(f"anthropic:{name}", "http://127.0.0.1:9"),
        register_model("mine", model_id=name, dialect="messages"),
    ]
    for info in asked:
        assert (info.takes("temperature"), info.takes("top_p"), info.takes("stop")) == (
            takes,
            takes,
            True,
        )
    own = register_model("mine", model_id=name, dialect="messages", accepts=["temperature"])
    assert own.takes("temperature")


# -- last days


def told_on(
    day: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, **asked: str
) -> list[str]:
    monkeypatch.setattr(retiring, "today", lambda: date.fromisoformat(day))
    caplog.clear()
    with caplog.at_level(logging.WARNING, "lm_deluge"):
        LLMClient(
            asked.get("name", "gpt-4o"), base_url=asked.get("base_url"), api_key="k"
        ).open_stream("hi")
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-11-15", None),
        ("2026-11-16", "serves it until 2027-01-14, 59 more days"),
        ("2027-01-13", "serves it until 2027-01-14, one more day"),
        ("2027-01-14", "serves it until 2027-01-14, its last day"),
        ("2027-01-15", "was to serve it until 2027-01-14 only"),
    ],
)
def test_less_than_sixty_days_before_its_last_one_a_model_is_told_of(
    day: str, words: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = told_on(day, monkeypatch, caplog)
    assert told == (
        [] if words is None else [f"gpt-4o: its provider {words}; it names gpt-6-luna instead"]
    )


def test_it_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert told_on("2027-01-01", monkeypatch, caplog)
    assert not told_on("2027-01-01", monkeypatch, caplog)


def test_at_another_address_nobody_knows_how_long_it_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not told_on("2027-01-01", monkeypatch, caplog, base_url="http://127.0.0.1:9/v1")
    assert told_on("2027-01-01", monkeypatch, caplog, base_url="https://eu.api.openai.com/v1")


def test_the_other_providers_models_are_told_of_at_their_endpoints(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert last_day_of("claude-sonnet-4-5", "messages") == date(2026, 11, 30)
    (told,) = told_on(
        "2026-11-26", monkeypatch, caplog, name="anthropic:claude-sonnet-4-5-20250929"
    )
    assert told.endswith("4 more days; it names anthropic:claude-sonnet-5-5 instead")
    assert told_on("2026-11-26", monkeypatch, caplog, name="gemini:gemini-2.5-flash")
    assert not told_on("2026-11-26", monkeypatch, caplog, name="gemini:gemini-3.8-flash")


def test_where_no_other_model_is_named_the_provider_is_to_be_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (told,) = told_on("2026-12-24", monkeypatch, caplog, name="anthropic:claude-opus-4-5")
    assert told.endswith("29 more days; ask it which model to use instead")


# -- registered with a prefix


@pytest.mark.parametrize(
    ("name", "dialect", "variable"),
    [
        ("openai:mine", "chat", "OPENAI_API_KEY"),
        ("openai-responses:mine", "responses", "OPENAI_API_KEY"),
        ("anthropic:mine", "messages", "ANTHROPIC_API_KEY"),
        ("gemini:mine", "gemini", "GEMINI_API_KEY"),
    ],
)
def test_a_prefix_says_a_registrations_dialect(name: str, dialect: str, variable: str) -> None:
    info = register_model(name, max_output_tokens=9)
    assert (info.name, info.model_id, info.dialect) == (name, "mine", dialect)
    assert info.api_key_env == variable
    assert resolve(name) == resolve(name, None)
    assert (resolve(name).dialect, resolve(name).max_output_tokens) == (dialect, 9)
    own = register_model(name, model_id="theirs", base_url="http://127.0.0.1:9")
    assert (own.model_id, own.dialect, own.api_key_env) == ("theirs", dialect, None)


def test_by_another_dialect_a_registrations_name_is_sent_as_it_is_written() -> None:
    info = register_model("openai:x", base_url="http://127.0.0.1:9", dialect="messages")
    assert (info.model_id, info.dialect) == ("openai:x", "messages")
    with pytest.raises(ValueError, match="names no model after its prefix"):
        register_model("gemini:")
