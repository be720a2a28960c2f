"""Writes lm_deluge/models/others.json: what Anthropic's and Google's models cost and hold, and all last days.

    pip install genai-prices && pip install --no-deps litellm
    python tests/models/make_others.py

Prices are those on which the two published sources agree; where they do not, nothing is written, unless the
difference stands below with its reason. Context (input tokens), the longest output and the last days are
litellm's, which alone has them. Neither package is needed by the library or its tests.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "lm_deluge" / "models" / "others.json"

#: By dialect: the provider's name in genai-prices and in litellm, and the models.
MODELS = {
    "messages": (
        "anthropic",
        "",
        [
            "claude-fable-5",
            "claude-fable-5-1",
            "claude-fable-5-2",
            "claude-haiku-4-5",
            "claude-haiku-5-5",
            "claude-mythos-5-2",
            "claude-opus-4-5",
            "claude-opus-4-6",
            "claude-opus-4-7",
            "claude-opus-4-8",
            "claude-opus-5",
            "claude-opus-5-5",
            "claude-sonnet-4-5",
            "claude-sonnet-4-6",
            "claude-sonnet-5",
            "claude-sonnet-5-5",
        ],
    ),
    "gemini": (
        "google",
        "gemini/",
        [
            "gemini-2.5-flash",
            "gemini-2.5-flash-lite",
            "gemini-2.5-pro",
            "gemini-3-flash-preview",
            "gemini-3.1-flash-lite",
            "gemini-3.1-pro-preview",
            "gemini-3.5-flash",
            "gemini-3.5-flash-lite",
            "gemini-3.6-flash",
            "gemini-3.7-flash",
            "gemini-3.8-flash",
            "gemini-4-argon",
            "gemma-4-26b-a4b-it",
            "gemma-4-31b-it",
        ],
    ),
}

#: Where the sources differ, or one lacks a model: the reason. What is not agreed on is left out.
EXCEPTIONS: dict[str, str] = {
    "claude-fable-5-2": "litellm does not list it yet, so that its longest output is not known",
    "claude-mythos-5-2": "litellm does not list it yet, so that its longest output is not known",
}

#: The columns of a price, and litellm's names of them.
COLUMNS = {
    "input_mtok": "input_cost_per_token",
    "cache_read_mtok": "cache_read_input_token_cost",
    "cache_write_mtok": "cache_creation_input_token_cost",
    "output_mtok": "output_cost_per_token",
}


def litellms() -> dict[str, Any]:
    """Its table, without importing the package."""
    (path,) = (
        file
        for file in importlib.metadata.files("litellm") or ()
        if file.name == "model_prices_and_context_window_backup.json"
    )
    return dict(json.loads(path.locate().read_text("utf-8")))


def first_tier(price: Any) -> tuple[float | None, int | None]:
    """A price of genai-prices: that of short prompts, and up to how many input tokens it holds."""
    if price is None:
        return None, None
    if hasattr(price, "base"):
        return float(price.base), min(tier.start for tier in price.tiers)
    return float(price), None


def genais(provider: Any, name: str) -> tuple[list[float | None], int | None] | None:
    """What genai-prices says of a model: its prices, and up to how many input tokens they hold."""
    model = provider.find_model(name)
    if model is None:
        return None
    prices = model.get_prices(datetime.now(UTC))
    tiers = [first_tier(getattr(prices, column)) for column in COLUMNS]
    bounds = [bound for _, bound in tiers if bound is not None]
    return [price for price, _ in tiers], min(bounds, default=None)


def per_million(price: float | None) -> float | None:
    return None if price is None else round(price * 1e6, 6)


def compared(name: str, theirs: Any, listed: Any, problems: list[str]) -> dict[str, Any]:
    """One model's entry; what the sources do not agree on goes to ``problems``."""
    entry: dict[str, Any] = {}
    if listed is not None:
        entry["context_window"] = listed.get("max_input_tokens")
        entry["max_output_tokens"] = listed.get("max_output_tokens")
    if theirs is None or listed is None:
        problems.append(f"{name}: only in {'litellm' if theirs is None else 'genai-prices'}")
    if theirs is not None:
        prices, bound = theirs
        others = (
            prices if listed is None else [per_million(listed.get(key)) for key in COLUMNS.values()]
        )
        for column, mine, other in zip(COLUMNS, prices, others, strict=True):
            if (mine or None) != (other or None):
                problems.append(f"{name}: {column} is {mine} in genai-prices, {other} in litellm")
        if any(prices):
            entry["price"] = prices
            if bound is not None:
                entry["priced_up_to"] = bound
    return entry


def main() -> int:
    from genai_prices.data import providers

    table = litellms()
    written: dict[str, Any] = {
        "about": "Made by tests/models/make_others.py. Prices: USD per 1M tokens [input, cached input, "
        "cache write, output], null where there is none; `priced_up_to`: input tokens beyond which another "
        "price holds. `context_window`: input tokens. `retires_on`: the last day at the provider's own "
        "endpoint, by name.",
        "as_of": datetime.now(UTC).date().isoformat(),
        "sources": [
            f"{name} {importlib.metadata.version(name)}" for name in ("genai-prices", "litellm")
        ],
        "models": {},
        "retires_on": {},
    }
    problems: list[str] = []
    for dialect, (provider_id, before, names) in MODELS.items():
        provider = next(one for one in providers if one.id == provider_id)
        models = written["models"][dialect] = {}
        for name in names:
            listed = table.get(before + name)
            models[name] = compared(name, genais(provider, name), listed, problems)
    ours = json.loads((TARGET.parent / "models.json").read_text("utf-8"))["models"]
    keys = [
        *((name, name) for name in ours),
        *((f"{before}{name}", name) for _, before, names in MODELS.values() for name in names),
    ]
    for key, name in sorted(keys, key=lambda pair: pair[1]):
        last = table.get(key, {}).get("deprecation_date")
        if last is not None:
            written["retires_on"][name] = date.fromisoformat(last).isoformat()
    unknown = [one for one in problems if one.split(":")[0] not in EXCEPTIONS]
    for one in problems:
        print(one if one in unknown else f"{one} ({EXCEPTIONS[one.split(':')[0]]})")
    if unknown:
        print("nothing is written: the sources differ", file=sys.stderr)
        return 1
    TARGET.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
