"""Tells whoever asks a model that its last day is near, or why a server does not have it any longer."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from lm_deluge.models.listed import last_day_of, replacement_of
from lm_deluge.models.providers import OPENAI, PROVIDERS, split_prefix
from lm_deluge.values.once import log_once

if TYPE_CHECKING:
    from lm_deluge.errors import APIStatusError
    from lm_deluge.models.registry import ModelInfo

#: Days before the last one from which on it is told.
NOTICE: Final = 60

#: Statuses that say that there is no such thing; those and others that say so of a model in words.
_GONE: Final = frozenset({404, 410})
_STATUSES: Final = _GONE | {400, 403, 422}
_WORDS: Final = (
    *("not found", "not exist", "not supported", "not available", "no longer", "unavailable"),
    *("unknown model", "invalid model", "deprecated", "decommissioned", "retired", "discontinued"),
    *("shut down", "end of life", "end-of-life", "sunset"),
)


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()


def tell_of_last_day(info: ModelInfo) -> None:
    """Tell the logger, once in a process, of a model that has less than 60 days left; refuse nothing."""
    name = info.model_id
    last = last_day_of(name, info.dialect)
    if last is None:
        return
    left = (last - today()).days
    if left >= NOTICE:
        return
    if left < 0:
        when = f"was to serve it until {last} only"
    else:
        days = "its last day" if left == 0 else "one more day" if left == 1 else f"{left} more days"
        when = f"serves it until {last}, {days}"
    instead = _instead_of(info)
    what = "ask it which model to use instead" if instead is None else f"it names {instead} instead"
    log_once(("last day", name), "%s: its provider %s; %s", name, when, what)


def explain_retirement(error: APIStatusError, info: ModelInfo) -> None:
    """Say in an error that a server has no such model, why: its day was over, or a prefix was sent.

    Nothing is said of a model whose provider named no last day, or one that is far, nor in other errors.
    """
    prefixed, bare = split_prefix(info.model_id)
    if prefixed is not None and _is_of_no_model(error, info):
        # A prefix is taken off a name, unless `dialect=` or a registration says how to send it.
        _add_hint(error, f"the name was sent as it is written; without the prefix it is {bare!r}")
        return
    last = last_day_of(info.model_id, info.dialect)
    if last is None or (last - today()).days >= NOTICE or not _is_of_no_model(error, info):
        return
    provider = PROVIDERS.get(info.dialect, OPENAI).name
    served = "serves" if last >= today() else "served"
    hint = f"{provider} {served} {info.model_id} until {last}"
    if (instead := _instead_of(info)) is not None:
        hint = f"{hint} and names {instead} instead"
    _add_hint(error, hint)


def _add_hint(error: APIStatusError, hint: str) -> None:
    error.message = f"{error.message}. Hint: {hint}"
    error.args = (error.message, *error.args[1:])


def _instead_of(info: ModelInfo) -> str | None:
    """How the model that the provider names instead is asked for: with the prefix of the one that goes."""
    instead = replacement_of(info.model_id, info.dialect)
    if instead is None or info.origin == "registered":
        return instead
    return info.name.removesuffix(split_prefix(info.name)[1]) + instead


def _is_of_no_model(error: APIStatusError, info: ModelInfo) -> bool:
    """Whether a server says that there is no such model, or none any longer, in one of many words."""
    if error.status_code not in _STATUSES:
        return False
    if error.code == "model_not_found":
        return True
    message = error.message.lower()
    if "model" not in message and info.model_id.lower() not in message:
        return False
    return error.status_code in _GONE or any(words in message for words in _WORDS)
