"""What is listed of a model: its sizes and prices, its last day, and what its provider serves instead.

The facts are data (`models.json`), made by a script from published sources (`tests/models/make_models.py`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from lm_deluge.models.claude import is_since
from lm_deluge.models.names import model_data
from lm_deluge.models.providers import OPENAI, PROVIDERS, Provider

#: Ends of names that say which release of a model is meant: `-20250929`, `-001`, `-2024-08-06`, `-0125`.
_DATED: Final = re.compile(r"(.+?)-(?:\d{8}|\d{3,4}|\d{4}-\d{2}-\d{2})")

#: What those who do not take any cannot be asked with, of SamplingParams.
_SAMPLING: Final = frozenset({"temperature", "top_p"})


def facts_of(name: str, dialect: str) -> dict[str, Any]:
    """Sizes and prices of a model, as fields of `ModelInfo`; nothing of one that is not listed.

    Arguments:
        name: as its provider knows it; a dated release is what it is a release of.
        dialect: that in which its provider is asked.
    """
    facts = _entry(_provider(dialect), name)
    fresh, cached, written, output = facts.get("price") or (None,) * 4
    return {
        "context_window": facts.get("context_window"),
        "max_output_tokens": facts.get("max_output_tokens"),
        "input_price": fresh,
        "cached_input_price": cached,
        "cache_write_price": written,
        "output_price": output,
        "priced_up_to": facts.get("priced_up_to"),
    }


def refused_by(name: str, dialect: str) -> frozenset[str]:
    """The fields of SamplingParams that a Claude model is known to refuse; none of other models."""
    if dialect != "messages":
        return frozenset()
    refuses = is_since(name, model_data()["refuses_sampling"])
    return _SAMPLING if refuses else frozenset()


def refuses_both(name: str) -> bool:
    """Whether a Claude model is known to refuse `temperature` beside `top_p`, and takes either alone."""
    return is_since(name, model_data()["refuses_both"])


def last_day_of(name: str, dialect: str) -> date | None:
    """The last day on which a model's provider serves it at its own endpoint; None if none was named."""
    last = _entry(_provider(dialect), name).get("retires_on")
    return None if last is None else date.fromisoformat(last)


def replacement_of(name: str, dialect: str) -> str | None:
    """The model that its provider names for one that goes, as it is asked in that dialect."""
    instead: str | None = _entry(_provider(dialect), name).get("replaced_by")
    return instead


def _provider(dialect: str) -> Provider:
    """Whose models are listed for a dialect; those of OpenAI for one that another package brings."""
    return PROVIDERS.get(dialect, OPENAI)


def _entry(provider: Provider, name: str) -> dict[str, Any]:
    """What is listed under a name, or else under that of which it is a release, dated or fine-tuned."""
    listed: dict[str, dict[str, Any]] = model_data()["models"][provider.name]
    if name.startswith("ft:"):
        name = name.split(":")[1]
    if name not in listed and (dated := _DATED.fullmatch(name)):
        name = dated[1]
    return listed.get(name, {})
