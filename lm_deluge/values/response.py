"""What a stream leaves behind: a whole ``APIResponse``, or the ``Partial`` of an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import NOTHING, define, field, fields, frozen

from lm_deluge.values.conversation import Message, ToolCall
from lm_deluge.values.failures import HandlerFailure
from lm_deluge.values.pydantic_schema import pydantic_schema
from lm_deluge.values.timeline_source import TimelineSource
from lm_deluge.values.usage import Usage

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.values.other_calls import OtherCall
    from lm_deluge.values.timeline import Timeline

__all__ = [
    "APIResponse",
    "Choice",
    "FailedAttempt",
    "Partial",
]


#: Fields of a message that have to come back with the next request.
SENT_BACK = ("extra_content", "reasoning_details", "reasoning_content", "provider_content")


@frozen(kw_only=True)
class Choice:
    """One of the ``n`` answers.

    ``index``: the server's. ``completion``: visible text. ``finish_reason``: the last one the server
    named, ``None`` if none, in the words of chat completions.
    ``finish_reason_raw``: the provider's own word for it. ``stop_details``: what the provider says of
    the end beside that. ``reasoning``, ``refusal``: ``None`` where there was none. ``logprobs``:
    the object of the chat format, its lists joined over all chunks. ``extra``: the fields that this
    library does not know, of the choice and of its message (``annotations``, ``audio``,
    ``content_filter_results``, …), joined over all chunks: lists go on, objects are joined, of the rest
    the last value counts. Where an answer is more than text and calls, ``extra["provider_content"]``
    has all of it in order, in the provider's words.
    """

    index: int = 0
    completion: str = ""
    finish_reason: str | None = None
    finish_reason_raw: str | None = None
    stop_details: dict[str, Any] | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] = field(factory=list)
    logprobs: dict[str, Any] | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False, hash=False)

    __get_pydantic_core_schema__ = classmethod(pydantic_schema)

    @property
    def content(self) -> Message:
        """The answer as a message that can be added to a conversation.

        With its tool calls and its refusal, and with what its provider wants back, in ``extra``: signed
        thinking, encrypted reasoning and the order of it all (``provider_content``), ``extra_content``,
        ``reasoning_details``. It goes back as it came, to that provider alone. Without the reasoning of
        chat completions, which some servers refuse (DeepSeek's R1, Groq, Mistral), unless the model was
        registered with ``reasoning_goes_back=True``.
        """
        other = bool(self.tool_calls or self.refusal)
        return Message(
            role="assistant",
            content=self.completion or None if other else self.completion,
            tool_calls=list(self.tool_calls),
            refusal=self.refusal,
            extra={key: self.extra[key] for key in SENT_BACK if key in self.extra},
        )

    @property
    def other_calls(self) -> list[OtherCall]:
        """What the client is asked for and is no function; see ``OtherCall``."""
        # Most answers have none.
        from lm_deluge.values.other_calls import other_calls_in

        return other_calls_in(self.extra)


_NO_CHOICE = Choice()


@frozen(kw_only=True)
class FailedAttempt:
    """An attempt that failed and was not the last word, as plain strings and numbers.

    ``model``: the model asked. ``error``: class name. ``message``: its text. ``delay``: seconds
    waited before the next attempt; 0 where none could follow in time.
    """

    model: str
    error: str
    message: str
    delay: float


@define(kw_only=True, init=False, eq=False, repr=False)
class _Received:
    """What a whole answer and a partial one have in common.

    ``choices``: the answers, ordered by index. ``usage``: ``None`` when the server sent none.
    ``model_external``, ``response_id``, ``request_id``, ``system_fingerprint``, ``service_tier``: as
    the server names them, else ``None``. ``ttft``: seconds from t0 to the first output of any kind
    (reasoning included), monotonic clock; ``None`` without output. ``extra``: the fields of the chunks
    that this library does not know (``citations``, ``provider``, …), joined like those of a ``Choice``.
    """

    choices: list[Choice] = field(factory=list)
    usage: Usage | None = None
    model_external: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    ttft: float | None = None
    extra: dict[str, Any] = field(factory=dict, repr=False)
    source: TimelineSource | None = field(default=None, eq=False, repr=False, init=False)

    __get_pydantic_core_schema__ = classmethod(pydantic_schema)

    def __repr__(self) -> str:
        said = ", ".join(
            f"{attribute.name}={getattr(self, attribute.name)!r}"
            for attribute in fields(type(self))
            if attribute.repr
        )
        text = f"{type(self).__name__}({said})"
        return text if self.source is None else self.source.redactor.text(text)

    @property
    def _first(self) -> Choice:
        return next((choice for choice in self.choices if choice.index == 0), _NO_CHOICE)

    @property
    def completion(self) -> str:
        """Visible text of choice 0, ``""`` if there was none."""
        return self._first.completion

    @property
    def content(self) -> Message:
        """Choice 0 as a message: ``conversation.add(response.content)``."""
        return self._first.content

    @property
    def finish_reason(self) -> str | None:
        """Why choice 0 ended, in the words of chat completions; ``None`` if it did not say."""
        return self._first.finish_reason

    @property
    def finish_reason_raw(self) -> str | None:
        """The provider's own word for why choice 0 ended; ``None`` if it gave none."""
        return self._first.finish_reason_raw

    @property
    def stop_details(self) -> dict[str, Any] | None:
        """What the provider says of the end of choice 0 beside a word; ``None`` for nothing."""
        return self._first.stop_details

    @property
    def reasoning(self) -> str | None:
        """Reasoning text of choice 0, ``None`` if there was none."""
        return self._first.reasoning

    @property
    def refusal(self) -> str | None:
        """Refusal text of choice 0, ``None`` if there was none."""
        return self._first.refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """Tool calls of choice 0, in order of appearance."""
        return self._first.tool_calls

    @property
    def other_calls(self) -> list[OtherCall]:
        """Calls of choice 0 that are no functions, in order: the client has to answer them."""
        return self._first.other_calls

    @property
    def logprobs(self) -> dict[str, Any] | None:
        """Log probabilities of choice 0 in the chat format, ``None`` unless asked for."""
        return self._first.logprobs

    @property
    def timeline(self) -> Timeline | None:
        """Arrival times of every token; ``None`` on an object read back with ``from_dict``."""
        if self.source is None:
            return None
        # Most responses are never asked for one.
        from lm_deluge.values.timeline import Timeline

        return Timeline.from_stream(self.source, self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers that JSON can hold; no timeline.

        Values of ``tags`` that JSON cannot hold become their ``str``, as in the timeline log.
        """
        return {
            attribute.name: msgspec.to_builtins(getattr(self, attribute.name), enc_hook=str)
            for attribute in fields(type(self))
            if attribute.init
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote, also through JSON. Unknown keys are ignored.

        Raises ``ValueError`` naming the field whose value is missing or has the wrong shape.
        """
        if not isinstance(data, Mapping):
            kind = type(data).__name__  # type: ignore[unreachable]  # for callers without types
            raise ValueError(f"{cls.__name__}.from_dict: a dict is expected, not {kind}")
        known: dict[str, Any] = {}
        for attribute in fields(cls):
            if not attribute.init:
                continue
            if attribute.name not in data:
                if attribute.default is NOTHING:
                    message = f"{cls.__name__}.from_dict: {attribute.name} is missing"
                    raise ValueError(message)
                continue
            try:
                known[attribute.name] = msgspec.convert(
                    data[attribute.name], _FIELD_TYPES.get(attribute.name, Any)
                )
            except msgspec.ValidationError as error:
                message = f"{cls.__name__}.from_dict: {attribute.name}: {error}"
                raise ValueError(message) from None
        return cls(**known)


@define(kw_only=True, repr=False)
class Partial(_Received):
    """All that was received of an answer that did not become whole.

    ``completion`` and ``text`` are the visible text of choice 0; tool calls may be unfinished.
    """

    @property
    def text(self) -> str:
        """Visible text of choice 0 so far."""
        return self.completion


@define(kw_only=True, repr=False)
class APIResponse(_Received):
    """A whole answer.

    ``model``: the model asked for. ``model_used``: the one that answered, another where a fallback
    did. ``failed_attempts``: why the attempts before it failed. ``cost``: US dollars, ``None`` where
    price or usage is unknown. ``elapsed``: seconds from t0 to the arrival of the bytes that made the
    answer whole, monotonic clock. ``attempts``: requests sent. ``tags``: the caller's.
    ``handler_failures``: complete once ``stream()`` has returned. ``missing``: what was asked for and
    did not come, in sentences: fewer choices than ``n``, no log probabilities.
    """

    model: str
    model_used: str = ""
    cost: float | None = None
    elapsed: float = 0.0
    attempts: int = 1
    failed_attempts: list[FailedAttempt] = field(factory=list)
    tags: dict[str, Any] = field(factory=dict)
    handler_failures: list[HandlerFailure] = field(factory=list)
    missing: list[str] = field(factory=list)
    #: What it was asked to be; an ``AskedShape``.
    form: Any = field(default=None, eq=False, repr=False, init=False)

    @property
    def parsed(self) -> Any:
        """What ``schema=`` asked for, made of choice 0: an object of the class, or checked JSON.

        ``None`` where nothing was asked for, where the model only calls tools, and on an object read back
        with ``from_dict``. Raises ``SchemaError`` for an answer that is something else.
        """
        return None if self.form is None else self.form.parsed(self)

    def __str__(self) -> str:
        return self.completion


_FIELD_TYPES: dict[str, Any] = {
    "choices": list[Choice],
    "usage": Usage | None,
    "model": str,
    "model_used": str,
    "model_external": str | None,
    "response_id": str | None,
    "request_id": str | None,
    "system_fingerprint": str | None,
    "service_tier": str | None,
    "ttft": float | None,
    "cost": float | None,
    "elapsed": float,
    "attempts": int,
    "failed_attempts": list[FailedAttempt],
    "tags": dict[str, Any],
    "handler_failures": list[HandlerFailure],
    "extra": dict[str, Any],
    "missing": list[str],
}
