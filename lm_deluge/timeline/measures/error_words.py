"""What broke, in words that a person uses, for every class of ``lm_deluge.errors`` and every phase.

A reader of a report knows neither our classes nor HTTP's statuses: "the connection broke after some
text", not ``ConnectionLostError (between_tokens)``. The class stays beside it, for whoever writes a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from attrs import define, field

from lm_deluge.values.timeline import CANCELLED

if TYPE_CHECKING:  # the words alone need no numpy
    from lm_deluge.timeline.measures.failures import Failures
    from lm_deluge.timeline.measures.groups import Group

__all__ = ["PHASES", "ErrorKind", "ending_words", "error_kinds", "error_words", "retry_words"]

PHASES: Final = ("connect", "first_token", "between_tokens", "tail", "total", None)
"""What a stream can have waited for when it ended; ``None`` where the log does not tell."""

#: What happened, as a clause, by class.
_WHAT: Final = {
    "StreamError": "the stream ended with an error",
    "APIError": "the server, or the way to it, failed",
    "APIConnectionError": "the server could not be reached",
    "APITimeoutError": "the wait was too long",
    "ConnectionLostError": "the connection broke",
    "APIStatusError": "the server refused the request",
    "BadRequestError": "the server could make no sense of the request (400)",
    "AuthenticationError": "the key was missing or refused (401)",
    "PermissionDeniedError": "the key may not do this (403)",
    "NotFoundError": "the server knows no such model or address (404)",
    "ConflictError": "another request was in the way (409)",
    "UnprocessableEntityError": "the server could not work on the request (422)",
    "RateLimitError": "the server was too busy (429)",
    "InternalServerError": "the server failed or was overloaded (500 or above)",
    "ProviderError": "the provider reported an error",
    "AnswerCutError": "the answer was cut off",
    "ProtocolError": "the server sent something that is no answer",
    "LimitExceededError": "the answer was larger than a limit that was set",
    "StreamCancelled": "the reader left",
    "HandlerError": "a handler of the application failed",
    "SchemaError": "the answer was not of the form that was asked for",
    "PromptError": "the prompt made no sense",
    "UnsupportedModelError": "nobody said where the model is served",
}

#: Classes with words of their own for what was waited for.
_OWN: Final = {
    ("APITimeoutError", "connect"): "no answer at all: the server could not be reached in time",
    ("APITimeoutError", "first_token"): "no answer at all: nothing came in time",
    (
        "APITimeoutError",
        "between_tokens",
    ): "the answer stopped after some text: no more came in time",
    (
        "APITimeoutError",
        "tail",
    ): "the text was there, but the end of the answer did not come in time",
    ("APITimeoutError", "total"): "the answer was not whole in the time that it was given",
    ("APIConnectionError", "first_token"): "no answer at all: the server hung up",
    ("APIConnectionError", "between_tokens"): "the server hung up after some text",
    ("APIConnectionError", "tail"): "the server hung up at the very end, after the text",
    ("ConnectionLostError", "tail"): "the connection broke at the very end, after the text",
}

#: Classes of which nothing was sent, whatever the phase.
_UNSENT: Final = frozenset({"PromptError", "UnsupportedModelError"})

_BEFORE: Final = frozenset({"connect", "first_token"})
_NAME: Final = re.compile(r"[\w.]+")


def error_words(error: str) -> str:
    """Return what happened, as a clause: ``"the connection broke"``. ``error``: the name of a class."""
    if error in _WHAT:
        return _WHAT[error]
    if error in ("unknown", "") or not _NAME.search(error):
        return "an error without a name"
    return f"an error this version does not know: {error}"


def ending_words(error: str, phase: str | None, *, text: bool | None = None) -> str:
    """Return how a stream ended: ``"the connection broke after some text"``.

    ``error``: the name of a class, ``phase``: what it waited for. ``text``: whether any visible text
    had come; ``None`` where unknown: then the phase says it.
    """
    what = error_words(error)
    if error in _UNSENT:
        return f"nothing was sent: {what}"
    seen = phase in ("between_tokens", "tail") if text is None else text
    own = _OWN.get((error, phase or ""))
    if seen:
        if own is not None and phase not in _BEFORE:
            return own
        after = "at the very end, after the text" if phase == "tail" else "after some text"
        return f"{what} {after}" if error in _WHAT else f"{what} ({after})"
    if phase in ("between_tokens", "tail"):
        # Output had come, but none that a reader sees: thinking, or a call of a tool.
        return f"{what} before any visible text"
    if error == CANCELLED:
        return f"{what} before any output"
    if own is not None and phase in _BEFORE:
        return own
    return f"no answer at all: {own or what}"


def retry_words(error: str) -> str:
    """Return why an attempt failed that another followed, which is before any output as a rule."""
    if error == "APITimeoutError":
        return "nothing came in time"
    return error_words(error)


@define
class ErrorKind:
    """Streams of a group that ended in the same words.

    ``names``: the classes and phases behind them, as the log has them. ``tokens``: pieces received,
    ``seconds``: from t0 to the ending, ``ids``; one entry per stream. ``cancelled``: nothing failed.
    """

    words: str
    cancelled: bool
    names: dict[str, int] = field(factory=dict)
    tokens: list[int] = field(factory=list)
    seconds: list[float] = field(factory=list)
    ids: list[str] = field(factory=list)

    @property
    def count(self) -> int:
        """How many streams."""
        return len(self.tokens)

    @property
    def classes(self) -> str:
        """The classes alone, the most frequent first: ``"ConnectionLostError"``."""
        names = sorted(self.names, key=lambda name: -self.names[name])
        return ", ".join(dict.fromkeys(name.partition(" ")[0] for name in names))

    @property
    def logged(self) -> str:
        """Classes and phases as the log has them: ``"ConnectionLostError (between_tokens)"``."""
        return ", ".join(sorted(self.names, key=lambda name: -self.names[name]))


def error_kinds(group: Group) -> list[ErrorKind]:
    """Return the group's failures and cancellations by their words, the most frequent first."""
    kinds: dict[str, ErrorKind] = {}
    for failures in group.failures.values():
        for words, tokens, seconds, stream in _worded(failures):
            kind = kinds.get(words)
            if kind is None:
                kind = kinds[words] = ErrorKind(words, failures.cancelled)
            name = f"{failures.error} ({failures.phase})" if failures.phase else failures.error
            kind.names[name] = kind.names.get(name, 0) + 1
            kind.tokens.append(tokens)
            kind.seconds.append(seconds)
            kind.ids.append(stream)
    return sorted(kinds.values(), key=lambda kind: (-kind.count, kind.words))


def _worded(failures: Failures) -> Iterator[tuple[str, int, float, str]]:
    words = {
        text: ending_words(failures.error, failures.phase, text=text) for text in (False, True)
    }
    for tokens, seconds, stream in zip(
        failures.tokens, failures.seconds, failures.ids, strict=True
    ):
        yield words[tokens > 0], tokens, seconds, stream
