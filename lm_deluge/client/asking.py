"""What a client says and counts of a request before it is sent, whatever its dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any

from lm_deluge.dialects.dialect import Dropped, Written
from lm_deluge.models.registry import ModelInfo
from lm_deluge.values.foreign import log

__all__ = ["characters_of", "warn_of_dropped", "warn_of_written"]

_warned: set[tuple[str, str]] = set()


def warn_of_written(info: ModelInfo, written: Written) -> None:
    """Log each parameter that was set and is not sent, and what is sent unasked, once for each model."""
    for each in written.dropped:
        warn_of_dropped(info, each)
    for assumed in written.assumed:
        if _is_first(info.name, assumed):
            log(WARNING, "%s: %s", info.name, assumed)


def warn_of_dropped(info: ModelInfo, dropped: Dropped) -> None:
    """Log a parameter that was set and is not sent, once for each model."""
    if _is_first(info.name, dropped.parameter):
        log(WARNING, "%s is not sent to %s: %s", dropped.parameter, info.name, dropped.why)


def _is_first(model: str, what: str) -> bool:
    """Whether this was not said of the model yet; from now on it was."""
    if (model, what) in _warned:
        return False
    _warned.add((model, what))
    return True


def characters_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many characters of text the messages hold."""
    total = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            total += len(content)
        elif isinstance(content, list):
            total += sum(
                len(part["text"])
                for part in content
                if isinstance(part, Mapping) and isinstance(part.get("text"), str)
            )
    return total
