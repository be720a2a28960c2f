"""Whose a model's name is, and who may serve it. The facts are data (`models.json`)."""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from typing import Any, Final

from lm_deluge.models.providers import OPENAI, PROVIDERS, split_prefix

#: `7b`, `8x7b`, `0.5b`, `135m`: how many parameters a model has, somewhere in its name. A single digit
#: before an `m` is a context window.
_SIZE: Final = re.compile(
    r"(?<![0-9.])(?:\d+x)?\d+(?:\.\d+)?b(?![a-z0-9])|(?<![a-z0-9.])\d{2,4}m(?![a-z0-9])"
)


@functools.cache
def model_data() -> dict[str, Any]:
    """What `models.json` holds."""
    # Not at the import of the package: the first model that is named needs it.
    from importlib.resources import files

    text = files("lm_deluge.models").joinpath("models.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def provider_of(name: str) -> str | None:
    """The display name of the provider, other than OpenAI, whose names begin like this one."""
    lowered = name.lower()
    dialect, _ = split_prefix(name)
    if dialect is not None:
        provider = PROVIDERS[dialect]
        return None if provider is OPENAI else provider.name
    foreign = model_data()["foreign"]
    return next((provider for prefix, provider in foreign if lowered.startswith(prefix)), None)


def without_dialect(name: str) -> str:
    """The name that stands after `openai:` and the like."""
    return split_prefix(name)[1]


def is_anybodys(name: str) -> bool:
    """Whether a server of the user's own may be taken to have a model of that name.

    That is a name with `/` or `:`, as hubs, routers and Ollama write them, unless one of the four
    dialects' prefixes begins it; a bare name with a parameter size or `distill` in it, or of an open
    family; and a bare name that begins like no provider's.
    """
    lowered = name.lower()
    if split_prefix(name)[0] is not None:
        return False
    if "/" in name or ":" in name:
        return True
    data = model_data()
    if lowered.startswith(tuple(data["closed"])):
        return False
    return (
        _SIZE.search(lowered) is not None
        or "distill" in lowered
        or any(fnmatch.fnmatchcase(lowered, pattern) for pattern in data["open_families"])
        or provider_of(name) is None
    )


def is_for_responses_alone(name: str) -> bool:
    """Whether a model of OpenAI's is served by its Responses API and not by chat completions."""
    patterns = model_data()["responses_only"]
    return not name.startswith("ft:") and any(fnmatch.fnmatchcase(name, one) for one in patterns)


def is_for_chat_alone(name: str) -> bool:
    """Whether a model is served by chat completions and not by OpenAI's Responses API."""
    patterns = model_data()["chat_only"]
    # A fine-tuned model is its owner's: where it is served is not known.
    return name.startswith("ft:") or any(fnmatch.fnmatchcase(name, one) for one in patterns)
