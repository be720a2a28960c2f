"""Writes the models of lm_deluge/models/models.json: what they cost and hold, and until when they are served.

    pip install genai-prices && pip install --no-deps litellm
    python tests/models/make_models.py

Prices are those on which the two published sources agree; context (input tokens), the longest output, the
last day and the model to use instead are litellm's, which alone has them. Where the sources differ, or one
lacks a model, nothing is written, unless that stands in ``EXCEPTIONS`` with its reason. Neither package is
needed by the library or its tests. What a model takes is kept by hand, in the other parts of the file.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lm_deluge.models.claude import is_since

TARGET = Path(__file__).parents[2] / "lm_deluge" / "models" / "models.json"

#: By provider: its name in genai-prices, what stands before its models' names in litellm, and the models.
MODELS: dict[str, tuple[str, str, Sequence[str]]] = {
    "OpenAI": (
        "openai",
        "",
        (
            *("gpt-6.2-astra", "gpt-6.2-sol", "gpt-6.1-sol", "gpt-6.1-terra"),
            *("gpt-6-astra", "gpt-6-sol", "gpt-6-luna", "gpt-6-cyber", "gpt-6-rosalind"),
            *("gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.6-cyber"),
            *("gpt-5.5", "gpt-5.5-pro", "gpt-5.5-cyber"),
            *("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.4-pro"),
            *("gpt-5.3-chat-latest", "gpt-5.3-codex"),
            *("gpt-5.2", "gpt-5.2-chat-latest", "gpt-5.2-codex", "gpt-5.2-pro"),
            *("gpt-5.1", "gpt-5.1-chat-latest"),
            *("gpt-5.1-codex", "gpt-5.1-codex-max", "gpt-5.1-codex-mini"),
            *("gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "gpt-5-codex"),
            *("gpt-5-chat", "gpt-5-chat-latest"),
            *("gpt-rosalind-discovery", "gpt-rosalind-research"),
            *("gpt-daybreak-blue-latest", "gpt-daybreak-red-latest"),
            *("daybreak-blue-latest", "daybreak-red-latest"),
            *("o4-mini", "o4-mini-deep-research"),
            *("o3", "o3-mini", "o3-deep-research"),
            *("o1", "o1-mini", "o1-preview"),
            *("computer-use-preview", "chatgpt-4o-latest"),
            *("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"),
            *("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini"),
            *("gpt-4-turbo", "gpt-4-turbo-preview", "gpt-4-1106-preview", "gpt-4-0125-preview"),
            *("gpt-4", "gpt-3.5-turbo", "gpt-3.5-turbo-1106", "gpt-3.5-turbo-16k"),
        ),
    ),
    "Anthropic": (
        "anthropic",
        "",
        (
            *("claude-fable-5-2", "claude-fable-5-1", "claude-fable-5"),
            *("claude-mythos-5-2", "claude-mythos-5-1", "claude-mythos-5"),
            *("claude-opus-5-5", "claude-opus-5"),
            *("claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5"),
            *("claude-sonnet-5-5", "claude-sonnet-5", "claude-sonnet-4-6", "claude-sonnet-4-5"),
            *("claude-haiku-5-5", "claude-haiku-4-5"),
        ),
    ),
    "Google": (
        "google",
        "gemini/",
        (
            *("gemini-4-argon", "gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash"),
            *("gemini-3.5-flash", "gemini-3.5-flash-lite"),
            *("gemini-3.1-pro-preview", "gemini-3.1-flash-lite"),
            *("gemini-3-pro-preview", "gemini-3-flash-preview"),
            *("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"),
            *("gemma-4-31b-it", "gemma-4-26b-a4b-it"),
        ),
    ),
}

#: Where the sources differ, or one lacks a model: what this script says of it, by the reason to let it pass.
#: Prices on which they do not agree are left out; of two bounds the smaller one is taken, of two last days
#: the earlier one.
EXCEPTIONS: dict[str, Sequence[str]] = {
    "withdrawn, so that litellm does not list it any longer; at its last price": (
        "chatgpt-4o-latest: only in genai-prices",
        "gemini-3-pro-preview: only in genai-prices",
        "gpt-4-0125-preview: only in genai-prices",
        "gpt-4-turbo-preview: only in genai-prices",
        "o1-mini: only in genai-prices",
        "o1-preview: only in genai-prices",
    ),
    "litellm does not list it yet, so that its longest output is not known": (
        "claude-fable-5-2: only in genai-prices",
        "claude-mythos-5-2: only in genai-prices",
    ),
    "given to few, so that genai-prices does not list it": (
        "claude-mythos-5: only in litellm",
        "claude-mythos-5-1: only in litellm",
        "daybreak-blue-latest: only in litellm",
        "daybreak-red-latest: only in litellm",
        "gpt-daybreak-blue-latest: only in litellm",
        "gpt-daybreak-red-latest: only in litellm",
    ),
    "OpenAI's own package names it, and no price is published yet": (
        "gpt-6.2-astra: in neither",
        "gpt-6.2-sol: in neither",
    ),
    "the price of long prompts left litellm with the beta that had them": (
        "claude-sonnet-4-5: priced up to 200000 in genai-prices, None in litellm",
    ),
    "the price of long prompts is not in genai-prices yet": (
        "gpt-5.6-cyber: priced up to None in genai-prices, 272000 in litellm",
    ),
}

#: Last days that the providers' own packages name (openai 3.57, anthropic 2.14) and litellm does not.
ANNOUNCED: dict[str, str] = {
    "chatgpt-4o-latest": "2026-02-17",
    "claude-opus-4-5": "2027-01-22",
    "o1-mini": "2025-10-27",
    "o1-preview": "2025-07-28",
}

#: Context and longest output of withdrawn models, as litellm had them while it listed them.
SIZES: dict[str, tuple[int, int]] = {
    "chatgpt-4o-latest": (128_000, 16_384),
    "gpt-4-0125-preview": (128_000, 4_096),
    "gpt-4-turbo-preview": (128_000, 4_096),
    "o1-mini": (128_000, 65_536),
    "o1-preview": (128_000, 32_768),
}

#: The columns of a price, and litellm's names of them.
COLUMNS = {
    "input_mtok": "input_cost_per_token",
    "cache_read_mtok": "cache_read_input_token_cost",
    "cache_write_mtok": "cache_creation_input_token_cost",
    "output_mtok": "output_cost_per_token",
}

_LONG = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")


def litellms() -> dict[str, Any]:
    """Its table, without importing the package."""
    (path,) = (
        file
        for file in importlib.metadata.files("litellm") or ()
        if file.name == "model_prices_and_context_window_backup.json"
    )
    return dict(json.loads(Path(path.locate()).read_text("utf-8")))


def _first_tier(price: Any) -> tuple[float | None, int | None]:
    """A price of genai-prices: that of short prompts, and up to how many input tokens it holds."""
    if price is None:
        return None, None
    if hasattr(price, "base"):
        return float(price.base), min(tier.start for tier in price.tiers)
    return float(price), None


def of_genai(provider: Any, name: str) -> dict[str, Any] | None:
    """What genai-prices says of a model."""
    model = provider.find_model(name)
    if model is None:
        return None
    prices = model.get_prices(datetime.now(UTC))
    tiers = [_first_tier(getattr(prices, column)) for column in COLUMNS]
    bounds = [bound for _, bound in tiers if bound is not None]
    return {
        "price": [price or None for price, _ in tiers],
        "priced_up_to": min(bounds, default=None),
    }


def of_litellm(listed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What litellm says of a model."""
    if listed is None:
        return None
    costs = [listed.get(key) for key in COLUMNS.values()]
    bounds = [int(found[1]) * 1000 for key in listed if (found := _LONG.fullmatch(key))]
    last = listed.get("deprecation_date")
    return {
        "price": [None if not cost else round(cost * 1e6, 6) for cost in costs],
        "priced_up_to": min(bounds, default=None),
        "context_window": listed.get("max_input_tokens"),
        "max_output_tokens": listed.get("max_output_tokens"),
        "retires_on": None if last is None else date.fromisoformat(last).isoformat(),
        "replaced_by": (listed.get("successor_model") or "").rpartition("/")[2] or None,
        "sampling": listed.get("supports_sampling_params"),
    }


def compared(
    name: str,
    theirs: Mapping[str, Any] | None,
    listed: Mapping[str, Any] | None,
    announced: str | None,
    problems: list[str],
) -> dict[str, Any]:
    """One model's entry; what the sources do not agree on goes to ``problems``.

    Arguments:
        theirs, listed: what genai-prices and litellm say, as ``of_genai`` and ``of_litellm`` give it.
        announced: the last day that the provider's own package names.
    """
    if theirs is None or listed is None:
        where = "in neither" if theirs is listed else "only in genai-prices"
        problems.append(f"{name}: {where if listed is None else 'only in litellm'}")
    theirs, listed = theirs or {}, listed or {}
    entry: dict[str, Any] = {}
    for column, kept in zip(
        ("context_window", "max_output_tokens"), SIZES.get(name, (None, None)), strict=True
    ):
        if (size := listed.get(column, kept)) is not None:
            entry[column] = size
    entry |= _prices(name, theirs, listed, problems)
    days = {"litellm": listed.get("retires_on"), "the provider's package": announced}
    named = {source: day for source, day in days.items() if day is not None}
    if len(set(named.values())) > 1:
        problems.append(
            f"{name}: its last day is " + ", ".join(f"{d} by {s}" for s, d in named.items())
        )
    if named:
        entry["retires_on"] = min(named.values())
        if listed.get("replaced_by"):
            entry["replaced_by"] = listed["replaced_by"]
    return entry


def _prices(
    name: str, theirs: Mapping[str, Any], listed: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """The price on which those who have one agree, and the smaller of their bounds."""
    prices = {"genai-prices": theirs.get("price"), "litellm": listed.get("price")}
    told = {source: price for source, price in prices.items() if price and any(price)}
    bounds = [theirs.get("priced_up_to"), listed.get("priced_up_to")]
    if len(told) == 1 and theirs and listed:
        problems.append(f"{name}: priced by {next(iter(told))} alone")
    if len(told) == 2:
        differing = [
            f"{name}: {column} is {mine} in genai-prices, {other} in litellm"
            for column, mine, other in zip(COLUMNS, *told.values(), strict=True)
            if mine != other
        ]
        problems += differing
        if bounds[0] != bounds[1]:
            which = f"{bounds[0]} in genai-prices, {bounds[1]} in litellm"
            problems.append(f"{name}: priced up to {which}")
        if differing:
            return {}
    if not told:
        return {}
    known = [bound for bound in bounds if bound is not None]
    price = {"price": next(iter(told.values()))}
    return {**price, "priced_up_to": min(known)} if known else price


def check_sampling(
    name: str, listed: Mapping[str, Any] | None, refusing: Mapping[str, Any], problems: list[str]
) -> None:
    """Hold the part that is kept by hand against litellm: whether a Claude model takes ``temperature``."""
    refuses = is_since(name, refusing)
    if listed is not None and (listed["sampling"] is False) != refuses:
        problems.append(f"{name}: refuses_sampling says {refuses}, litellm {not refuses}")


def made(
    data: Mapping[str, Any], providers: Sequence[Any], table: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """All models by provider, from genai-prices' providers and litellm's table; and the problems."""
    problems: list[str] = []
    models: dict[str, Any] = {}
    for provider, (identity, before, names) in MODELS.items():
        theirs = next(one for one in providers if one.id == identity)
        models[provider] = {}
        for name in names:
            listed = of_litellm(table.get(before + name))
            models[provider][name] = compared(
                name, of_genai(theirs, name), listed, ANNOUNCED.get(name), problems
            )
            if provider == "Anthropic":
                check_sampling(name, listed, data["refuses_sampling"], problems)
    return models, problems


def written(data: Mapping[str, Any]) -> str:
    """The file's text: an entry a line."""
    return _nested(data, {"models": 2}, 0) + "\n"


def _nested(value: Any, depths: Mapping[str, int], indent: int) -> str:
    """JSON with an entry a line, down to a depth that goes by the key; one level where none is given."""
    inner = " " * (indent + 2)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = []
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        depth = depths.get(str(key), 1 if indent == 0 else 0)
        is_split = depth > 0 and isinstance(one, (dict, list))
        below = dict.fromkeys(one, depth - 1) if isinstance(one, dict) else {}
        text = _nested(one, below, indent + 2) if is_split else json.dumps(one, ensure_ascii=False)
        lines.append(
            f"{inner}{json.dumps(key)}: {text}" if isinstance(value, dict) else inner + text
        )
    return opening + "\n" + ",\n".join(lines) + "\n" + " " * indent + closing


def main() -> int:
    from genai_prices.data import providers

    data = json.loads(TARGET.read_text("utf-8"))
    models, problems = made(data, providers, litellms())
    allowed = {one: reason for reason, ones in EXCEPTIONS.items() for one in ones}
    for one in problems:
        print(f"{one} ({allowed[one]})" if one in allowed else one)
    for one in allowed.keys() - set(problems):
        print(f"no exception any longer: {one}")
    if set(problems) - allowed.keys():
        print("nothing is written: the sources differ", file=sys.stderr)
        return 1
    data["prices_as_of"] = datetime.now(UTC).date().isoformat()
    data["sources"] = [
        f"{name} {importlib.metadata.version(name)}" for name in ("genai-prices", "litellm")
    ]
    data["models"] = models
    TARGET.write_text(written(data), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
