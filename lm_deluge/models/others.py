"""What is known of the models of other providers than OpenAI, and of the last days of all.

The facts are data (`others.json`), made by a script from published sources (`tests/models/make_others.py`).
"""

from __future__ import annotations

import functools
import json
import re
from datetime import date
from typing import Any, Final

#: Ends of names that say which release of a model is meant: `-20250929`, `-001`.
_DATED: Final = re.compile(r"(.+?)-(?:\d{8}|\d{3})")


@functools.cache
def others_data() -> dict[str, Any]:
    """What `others.json` holds."""
    # Most programs ask OpenAI's models, or a server of their own.
    from importlib.resources import files

    text = files("lm_deluge.models").joinpath("others.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def facts_of(name: str, dialect: str) -> dict[str, Any]:
    """Sizes and prices of a model, as fields of `ModelInfo`; nothing of one that is not listed.

    Arguments:
        name: as its provider knows it; a dated release is what it is a release of.
        dialect: that in which its provider is asked.
    """
    facts = _entry(others_data()["models"].get(dialect, {}), name)
    if facts is None:
        return {}
    fresh, cached, written, output = facts.get("price", (None,) * 4)
    return {
        "context_window": facts.get("context_window"),
        "max_output_tokens": facts.get("max_output_tokens"),
        "input_price": fresh,
        "cached_input_price": cached,
        "cache_write_price": written,
        "output_price": output,
        "priced_up_to": facts.get("priced_up_to"),
    }


def last_day_of(name: str) -> date | None:
    """The last day on which a model's provider serves it at its own endpoint; None if none was named."""
    last = _entry(others_data()["retires_on"], name)
    return None if last is None else date.fromisoformat(last)


def _entry(listed: dict[str, Any], name: str) -> Any:
    """What is listed under a name, or else under that of which it is a dated release."""
    if name not in listed and (dated := _DATED.fullmatch(name)):
        name = dated[1]
    return listed.get(name)
