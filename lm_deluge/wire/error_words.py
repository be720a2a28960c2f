"""What an error object says, in the shapes that servers nest it in: its words, and who says them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

from lm_deluge.errors import APIStatusError, ProviderError, StreamError
from lm_deluge.wire.keeping import text_or_none
from lm_deluge.wire.surrogates import without_surrogates

__all__ = ["param_at_fault", "reported_error", "told_by", "type_of", "words_in"]

#: Where an error object says in words what went wrong, in the order of trust.
_SAYS: Final = (
    "message",
    "detail",
    "details",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",
    "status_msg",
)

#: What is often only a heading, and all there is elsewhere.
_HEADS: Final = ("reason", "title", "error", "errors")

#: What holds the error object itself.
_HOLDS: Final = ("error", "errors", "detail", "details", "message")

#: What tells the object that is the error from what it stands in.
_NAMES: Final = ("type", "code", "param")

#: How deep is looked, and how many items of a list are told.
_NESTING: Final = 5
_MOST: Final = 5


def words_in(body: object, nesting: int = _NESTING) -> str | None:
    """Return what an error says in words, wherever in it they stand; ``None`` where there are none."""
    if isinstance(body, str):
        return body if body.strip() else None
    if not nesting:
        return None
    if isinstance(body, list):
        told = [words_in(item, nesting - 1) for item in body[:_MOST]]
        return "; ".join([words for words in told if words]) or None
    if not isinstance(body, Mapping):
        return None
    for key in _SAYS:
        if isinstance(body.get(key), str) and body[key].strip():
            return _at(body.get("loc"), body[key])
    held = [body[key] for key in _HOLDS if isinstance(body.get(key), (dict, list))]
    for value in [*held, *(value for value in body.values() if isinstance(value, dict))]:
        if words := words_in(value, nesting - 1):
            return words
    for key in _HEADS:
        if isinstance(body.get(key), str) and body[key].strip():
            return str(body[key])
    return None


def param_at_fault(error: StreamError, statuses: Collection[int]) -> str | None:
    """Return the parameter that an error of the request names, ``""`` where it names none.

    ``None`` for any other error: it is neither a reply with one of the ``statuses``, nor inside an answer.
    """
    if isinstance(error, APIStatusError):
        if error.status_code not in statuses:
            return None
    elif not isinstance(error, ProviderError):
        return None
    param = told_by(error.body).get("param")
    return param if isinstance(param, str) else ""


def told_by(body: object) -> Mapping[str, Any]:
    """Return the object that names the error's type and code: the innermost that names any."""
    found: Mapping[str, Any] = {}
    for _ in range(_NESTING):
        if isinstance(body, list):
            body = next((item for item in body if isinstance(item, Mapping)), None)
        if not isinstance(body, Mapping):
            break
        # A status tells less, and may be of what is inside.
        names = _NAMES if any(found.get(key) for key in _NAMES) else (*_NAMES, "status")
        if not found or any(body.get(key) for key in names):
            found = body
        # The items of a validation are many, and none is the error.
        inner = (body.get("error"), body.get("detail"), body.get("errors"))
        held = [value for value in inner if isinstance(value, Mapping)]
        body = held[0] if held else inner[2]
    return found


def type_of(fields: Mapping[str, Any]) -> str | None:
    """Return what an error object calls itself: its ``type``, or its ``status`` in a word (Gemini)."""
    for key in ("type", "status"):
        value = fields.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def reported_error(
    body: object,
    words: Callable[[Any], str | None] = words_in,
    *,
    event: str = "",
    beside: Mapping[str, Any] | None = None,
) -> ProviderError:
    """Return the exception for an error that came inside an answer: an object, a text, anything else.

    Its class is that of the status that the same error has as a reply, and ``ProviderError``; where
    nothing in it says what failed, ``ProviderError`` alone. ``words``: what finds in it what went wrong;
    where that is nothing, all of it is shown. ``event``: the type of the event that it is.
    ``beside``: the object that it is a field of, whose type and code are those of a text.
    """
    # Few streams fail, and all would import these.
    from lm_deluge.wire.error_table import status_told
    from lm_deluge.wire.errors_inside import inside_class
    from lm_deluge.wire.waits import told_wait

    try:
        body = without_surrogates(body, frozenset())
    except RecursionError:
        body = "an error object nested too deeply to be shown"
    fields = told_by(beside if isinstance(body, str) and beside else body)
    told = words(body) or json.dumps(body, ensure_ascii=False)
    message = f"the provider reported an error: {told}"
    code = fields.get("code")
    known: dict[str, Any] = {
        "body": body,
        "type": text_or_none(type_of(fields)),
        "code": code if isinstance(code, (str, int)) else None,
    }
    status = status_told(fields, body, event)
    if status is None:
        error = ProviderError(message, **known)
    else:
        param = text_or_none(fields.get("param"))
        reply = inside_class(status)(message, status_code=status, param=param, **known)
        error = cast("ProviderError", reply)
    error.retry_after = told_wait(beside if fields is beside else body, told)
    return error


def _at(place: object, words: str) -> str:
    """Say of what in the request a validation speaks (FastAPI)."""
    if not isinstance(place, list) or not place:
        return words
    return f"{'.'.join(map(str, place))}: {words}"
