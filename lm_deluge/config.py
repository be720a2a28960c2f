"""What a user may set: sampling, timeouts, retries and limits.

All are checked where they are given: TypeError for a wrong type, ValueError for a value out of
range, both naming the field. A bool is no number here, and NaN is in no range. What means a number or
a text (of numpy, of an enumeration, a Decimal) is taken, and kept as a plain int, float or str.
`checked_flag`, `checked_number`, `checked_tags` and `checked_text` check the like for handlers of your own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from lm_deluge.values.checks import (
    checked_flag,
    checked_integer,
    checked_number,
    checked_one_of,
    checked_tags,
    checked_text,
    wrong_type,
)
from lm_deluge.values.foreign import shown
from lm_deluge.values.plain import (
    encodable,
    plain_fields,
    plain_number,
    plain_text,
)

__all__ = [
    "EFFORTS",
    "SUMMARIES",
    "Limits",
    "ReasoningEffort",
    "ReasoningSummary",
    "ResolvedTimeouts",
    "RetryPolicy",
    "SamplingParams",
    "Timeouts",
    "checked_flag",
    "checked_number",
    "checked_tags",
    "checked_text",
]

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
EFFORTS: tuple[ReasoningEffort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh")
"""The reasoning efforts that OpenAI's models know, from least to most."""

ReasoningSummary: TypeAlias = Literal["auto", "concise", "detailed"]
SUMMARIES: tuple[ReasoningSummary, ...] = ("auto", "concise", "detailed")
"""The summaries of their thinking that OpenAI's models can be asked for."""

_Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _number(
    low: float,
    high: float | None = None,
    *,
    above: bool = False,
    optional: str = "",
    words: tuple[str, ...] = (),
) -> _Validator:
    """Accepts a finite number in a range. `optional` says what None means, if it is accepted."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        checked_number(
            attribute.name, value, low, high, above=above, optional=optional, words=words
        )

    return check


def _integer(low: int, high: int | None = None, *, optional: str = "") -> _Validator:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        checked_integer(attribute.name, value, low, high, optional=optional)

    return check


def _flag(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    checked_flag(attribute.name, value)


def _effort(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    checked_one_of(attribute.name, value, EFFORTS, optional=True)


_Stop: TypeAlias = "str | list[str] | tuple[str, ...] | None"


def _stop(value: _Stop) -> tuple[str, ...] | None:
    if value is None:
        return None
    accepted = "a str or a list of at most 4 of them, none empty"
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple):
        raise wrong_type("stop", accepted, value)
    for text in value:
        if not isinstance(text, str):
            raise TypeError(f"stop must be {accepted}, not with {shown(text)} in it")
    value = [encodable(plain_text(text), "stop") for text in value]
    # 4 is OpenAI's limit (API reference, chat completions, `stop`).
    if len(value) > 4 or "" in value:
        raise ValueError(f"stop must be {accepted}, not {list(value)!r}")
    return tuple(value) or None


_DEFAULT = "the server's default"


@attrs.frozen(kw_only=True, field_transformer=plain_fields)
class SamplingParams:
    """How the answer is to be drawn. None means: not sent, so the server's default holds.

    Each is sent only to models that take it; one that is set and not sent is logged once. Ranges
    are those of OpenAI's API reference.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_new_tokens: the most tokens of the answer, reasoning included; at least 1.
        json_mode: ask for a JSON object as the answer.
        reasoning_effort: one of none, minimal, low, medium, high, xhigh.
        stop: up to 4 texts at which the answer ends; kept as a tuple.
        seed: a 64-bit integer.
        presence_penalty, frequency_penalty: -2 to 2.
        logprobs: ask for the log probability of each token.
        top_logprobs: 0 to 20 alternatives for each token; setting it turns `logprobs` on.
        n: 1 to 128 answers (choices).
    """

    temperature: float | None = attrs.field(
        default=None, validator=_number(0, 2, optional=_DEFAULT)
    )
    top_p: float | None = attrs.field(default=None, validator=_number(0, 1, optional=_DEFAULT))
    max_new_tokens: int | None = attrs.field(default=None, validator=_integer(1, optional=_DEFAULT))
    json_mode: bool = attrs.field(default=False, validator=_flag)
    reasoning_effort: ReasoningEffort | None = attrs.field(default=None, validator=_effort)
    stop: tuple[str, ...] | None = attrs.field(default=None, converter=_stop)
    seed: int | None = attrs.field(
        default=None, validator=_integer(-(2**63), 2**63 - 1, optional=_DEFAULT)
    )
    presence_penalty: float | None = attrs.field(
        default=None, validator=_number(-2, 2, optional=_DEFAULT)
    )
    frequency_penalty: float | None = attrs.field(
        default=None, validator=_number(-2, 2, optional=_DEFAULT)
    )
    logprobs: bool = attrs.field(default=False, validator=_flag)
    top_logprobs: int | None = attrs.field(
        default=None, validator=_integer(0, 20, optional=_DEFAULT)
    )
    n: int = attrs.field(default=1, validator=_integer(1, 128))

    def __attrs_post_init__(self) -> None:
        if self.top_logprobs is not None and not self.logprobs:
            object.__setattr__(self, "logprobs", True)

    def merged(self, **overrides: Any) -> SamplingParams:
        """A copy with the given fields in place; an override of None keeps what is here.

        Raises:
            TypeError: a name that is no field.
        """
        known = attrs.fields_dict(type(self))
        for name in overrides:
            if name not in known:
                raise TypeError(f"SamplingParams has no {name!r}; it has {', '.join(known)}")
        given = {name: value for name, value in overrides.items() if value is not None}
        return attrs.evolve(self, **given) if given else self


_Patience: TypeAlias = float | Literal["auto"] | None
_NO_LIMIT = "no limit"
_AUTO: Literal["auto"] = "auto"


@attrs.frozen(kw_only=True, field_transformer=plain_fields)
class Timeouts:
    """How long to wait, in seconds on the monotonic clock; None means no limit.

    What does not count as output (keep-alive comments, pings, the role chunk, empty deltas) resets
    none of them. What is there already when a limit passes, because something held the process or
    its event loop, is in time. Once a status other than 2xx has come, a limit only ends the wait for
    its body.

    Attributes:
        connect: DNS, TCP and TLS of one attempt.
        first_token: from sending an attempt's request to its first output of any kind (text,
            reasoning, refusal, tool call). "auto" is 120 s, and 600 s for reasoning models, which
            think before they speak, wherever `reasoning_effort` is asked for, and in every dialect
            but chat.
        between_tokens: between two pieces of output. "auto" is 60 s, and 300 s where 600 s is said
            above. For an answer whose finish reason cannot be trusted, because text
            came with it or after it, this silence, at most 10 s of it, is the end.
        total: from t0, just before the first attempt's request, to the end, over all attempts.
        tail: once every choice has a finish reason, how long to wait for usage and `[DONE]`; the
            answer is whole then in any case. A number, 0 or more.
    """

    connect: float | None = attrs.field(
        default=10.0, validator=_number(0, above=True, optional=_NO_LIMIT)
    )
    first_token: _Patience = attrs.field(
        default="auto",
        validator=_number(0, above=True, optional=_NO_LIMIT, words=("auto",)),
    )
    between_tokens: _Patience = attrs.field(
        default="auto",
        validator=_number(0, above=True, optional=_NO_LIMIT, words=("auto",)),
    )
    total: float | None = attrs.field(
        default=None, validator=_number(0, above=True, optional=_NO_LIMIT)
    )
    tail: float = attrs.field(default=2.0, validator=_number(0))

    def resolved(self, reasoning: bool) -> ResolvedTimeouts:  # noqa: FBT001  # reads as a sentence
        """The same with "auto" replaced by numbers, for a model that reasons or does not."""
        return _resolved(self, reasoning)


@attrs.frozen(kw_only=True, field_transformer=plain_fields)
class ResolvedTimeouts(Timeouts):
    """`Timeouts` in which every value is a number of seconds, or None for no limit."""

    first_token: float | None = attrs.field(validator=_number(0, above=True, optional=_NO_LIMIT))
    between_tokens: float | None = attrs.field(validator=_number(0, above=True, optional=_NO_LIMIT))


@functools.lru_cache(maxsize=64)
def _resolved(timeouts: Timeouts, reasoning: bool) -> ResolvedTimeouts:  # noqa: FBT001
    first, between = (600.0, 300.0) if reasoning else (120.0, 60.0)
    return ResolvedTimeouts(
        connect=timeouts.connect,
        first_token=first if timeouts.first_token == _AUTO else timeouts.first_token,
        between_tokens=between if timeouts.between_tokens == _AUTO else timeouts.between_tokens,
        total=timeouts.total,
        tail=timeouts.tail,
    )


def _statuses(value: Any) -> frozenset[int]:
    if isinstance(value, str | bytes | Mapping):
        raise wrong_type("statuses", "a set of HTTP status codes", value)
    try:
        codes = frozenset(plain_number(code) for code in value)
    except TypeError:
        raise wrong_type("statuses", "a set of HTTP status codes", value) from None
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int):
            raise TypeError(f"statuses must hold integers, not {shown(code)}")
        if not 400 <= code <= 599:
            raise ValueError(f"statuses must hold HTTP errors from 400 to 599, not {code!r}")
    return codes


@attrs.frozen(kw_only=True, field_transformer=plain_fields)
class RetryPolicy:
    """When and how an attempt that failed *before any output* is followed by another.

    Each attempt starts with `Timeouts` of its own; `Timeouts.total` covers them and the waits between
    them, and a wait that does not fit into it is not begun. `fallback_models` are asked without a wait.

    Attributes:
        max_attempts: attempts in all for one model, the first included; 1 means no retry.
        initial_delay: seconds before the second attempt, at most; doubles with each failure.
        max_delay: seconds, the most that doubling comes to.
        max_retry_after: seconds; a server that asks for a longer wait is not asked again.
        statuses: HTTP statuses to retry, beside the 5xx.
        server_errors: retry every 5xx.
        connection_errors: retry when the connection could not be made or broke, or when what came over
            it was cut or not the protocol.
        timeouts: retry when connecting or the first token took too long.
    """

    max_attempts: int = attrs.field(default=3, validator=_integer(1))
    initial_delay: float = attrs.field(default=0.5, validator=_number(0))
    max_delay: float = attrs.field(default=8.0, validator=_number(0))
    max_retry_after: float | None = attrs.field(
        default=60.0, validator=_number(0, optional="any wait")
    )
    statuses: frozenset[int] = attrs.field(default=frozenset({408, 409, 429}), converter=_statuses)
    server_errors: bool = attrs.field(default=True, validator=_flag)
    connection_errors: bool = attrs.field(default=True, validator=_flag)
    timeouts: bool = attrs.field(default=True, validator=_flag)

    @classmethod
    def none(cls) -> RetryPolicy:
        """One attempt, no retry."""
        return cls(max_attempts=1)

    def retries_status(self, status: int) -> bool:
        """Whether an HTTP status is worth another attempt."""
        return status in self.statuses or (self.server_errors and 500 <= status <= 599)

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds to wait after so many failed attempts (1 or more), if the server names no wait.

        Exponential backoff with jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"),
        with the numbers of the official `openai` package: `min(initial_delay * 2^(failures - 1),
        max_delay)`, of which up to a quarter is taken off at random.

        Arguments:
            failures: attempts that failed so far.
            random: gives a float of [0, 1), as `random.random` does.
        """
        checked_integer("failures", failures, 1)
        if not callable(random):
            raise wrong_type("random", "a function that returns a float of [0, 1)", random)
        # 2.0 ** 1024 overflows; no cap is reached later than this.
        doubled = self.initial_delay * 2.0 ** min(failures - 1, 1000)
        return min(doubled, self.max_delay) * (1 - 0.25 * random())


@attrs.frozen(kw_only=True, field_transformer=plain_fields)
class Limits:
    """Bounds on what a server can make this process hold; all at least 1.

    Attributes:
        max_event_bytes: bytes of one server-sent event.
        max_answer_chars: characters that are kept of one answer, whatever field carries them: text,
            reasoning, refusals, arguments, ids and names of tool calls, log probabilities. Response
            ids, usage and fields that this library does not know count beyond their first 4,096.
        max_error_body_bytes: bytes that are read of an error's body.
        max_choices: choices of one answer.
        max_tool_calls: tool calls of one choice.
    """

    max_event_bytes: int = attrs.field(default=8 * 1024**2, validator=_integer(1))
    max_answer_chars: int = attrs.field(default=64 * 1024**2, validator=_integer(1))
    max_error_body_bytes: int = attrs.field(default=1024**2, validator=_integer(1))
    max_choices: int = attrs.field(default=128, validator=_integer(1))
    max_tool_calls: int = attrs.field(default=1024, validator=_integer(1))
