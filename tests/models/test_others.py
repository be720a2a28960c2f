"""What is known of Anthropic's and Google's models, and of the days on which models go."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from lm_deluge import LLMClient, register_model
from lm_deluge.models import retiring
from lm_deluge.models.others import facts_of, last_day_of, others_data
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import resolve_model

MAKER = Path(__file__).parent / "make_others.py"


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
    assert facts_of("gemini-2.5-pro-001", "gemini") == facts_of("gemini-2.5-pro", "gemini") != {}


def test_of_an_unknown_model_and_in_another_dialect_nothing_is_known() -> None:
    assert facts_of("claude-unheard-of", "messages") == {}
    assert facts_of("claude-opus-5-5", "gemini") == facts_of("claude-opus-5-5", "chat") == {}
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
    data = others_data()
    for models in data["models"].values():
        for name, facts in models.items():
            assert facts.keys() <= {
                "context_window",
                "max_output_tokens",
                "price",
                "priced_up_to",
            }, name
            assert len(facts.get("price", [0] * 4)) == 4, name
    assert all(date.fromisoformat(last) for last in data["retires_on"].values())


# -- last days


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(retiring, "_told", set())
    return monkeypatch


def told_on(
    day: str, days: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, **asked: str
) -> list[str]:
    days.setattr(retiring, "today", lambda: date.fromisoformat(day))
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
    day: str, words: str | None, days: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = told_on(day, days, caplog)
    assert told == (
        []
        if words is None
        else [f"gpt-4o: its provider {words}; ask it which model to use instead"]
    )


def test_it_is_told_once(days: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert told_on("2027-01-01", days, caplog)
    assert not told_on("2027-01-01", days, caplog)


def test_at_another_address_nobody_knows_how_long_it_is_served(
    days: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not told_on("2027-01-01", days, caplog, base_url="http://127.0.0.1:9/v1")
    assert told_on("2027-01-01", days, caplog, base_url="https://eu.api.openai.com/v1")


def test_the_other_providers_models_are_told_of_at_their_endpoints(
    days: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert last_day_of("claude-sonnet-4-5") == date(2026, 11, 30)
    assert told_on("2026-11-26", days, caplog, name="anthropic:claude-sonnet-4-5-20250929")
    assert told_on("2026-11-26", days, caplog, name="gemini:gemini-2.5-flash")
    assert not told_on("2026-11-26", days, caplog, name="gemini:gemini-3.8-flash")


# -- the script


def sources(tmp_path: Path, litellms_price: float) -> str:
    """Packages that speak of one model as the real two do; returns the path that has them."""
    prices = tmp_path / "genai_prices"
    prices.mkdir()
    (prices / "__init__.py").touch()
    (prices / "data.py").write_text(
        "from types import SimpleNamespace as N\n"
        "price = N(input_mtok=2, cache_read_mtok=None, cache_write_mtok=None, output_mtok=4)\n"
        "model = N(get_prices=lambda when: price)\n"
        "providers = [N(id=name, find_model=lambda name: model) for name in ('anthropic', 'google')]\n"
    )
    entry = {
        "max_input_tokens": 5,
        "input_cost_per_token": litellms_price,
        "output_cost_per_token": 4e-6,
    }
    table = tmp_path / "litellm" / "model_prices_and_context_window_backup.json"
    table.parent.mkdir()
    everything = json.loads((MAKER.parents[2] / "lm_deluge/models/others.json").read_text())[
        "models"
    ]
    names = [*everything["messages"], *(f"gemini/{name}" for name in everything["gemini"])]
    table.write_text(json.dumps(dict.fromkeys(names, entry)))
    for package, files in (("genai_prices", ""), ("litellm", f"litellm/{table.name},,\n")):
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "RECORD").write_text(files)
    return str(tmp_path)


def test_where_the_sources_differ_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "tree" / "lm_deluge" / "models"
    (tmp_path / "tree" / "tests" / "models").mkdir(parents=True)
    target.mkdir(parents=True)
    script = tmp_path / "tree" / "tests" / "models" / "make_others.py"
    script.write_bytes(MAKER.read_bytes())
    (target / "models.json").write_text('{"models": {}}')
    outcomes = []
    for number, price in enumerate([3e-6, 2e-6]):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, script],
            env={"PYTHONPATH": sources(folder, price)},
            capture_output=True,
            text=True,
            check=False,
        )
        outcomes.append((done.returncode, (target / "others.json").exists()))
        if number == 0:
            assert "claude-opus-5: input_mtok is 2.0 in genai-prices, 3.0 in litellm" in done.stdout
    assert outcomes == [(1, False), (0, True)]
