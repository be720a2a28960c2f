"""The options of one stream, under one list of names, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

import attrs

from lm_deluge.client.arguments import listed_handlers
from lm_deluge.config import (
    SUMMARIES,
    ReasoningEffort,
    ReasoningSummary,
    SamplingParams,
    Timeouts,
)
from lm_deluge.values.checks import (
    checked_dict,
    checked_flag,
    checked_instance,
    checked_one_of,
    checked_tags,
)
from lm_deluge.values.foreign import type_name
from lm_deluge.values.spelling import nearest

if TYPE_CHECKING:
    from lm_deluge.structured.shape import Shape

__all__ = [
    "ChatOptions",
    "CheckedOptions",
    "ManyOptions",
    "StreamOptions",
    "ToolsOptions",
    "check_names",
    "check_options",
]


class ChatOptions(TypedDict, total=False):
    """The keys of ``StreamOptions`` that ``stream_chat`` takes by keyword alone."""

    handlers: Sequence[object]
    """Attached to this stream, after the client's, in order."""
    tool_choice: str | Mapping[str, Any] | None
    """Which tool is to be called, as in OpenAI's API, verbatim."""
    response_format: Mapping[str, Any] | None
    """The answer's format, as in OpenAI's API, verbatim."""
    schema: Any
    """What the answer shall be: a class, a type like ``list[Recipe]`` or a JSON schema; ``.parsed`` is it."""
    extra_body: Mapping[str, Any] | None
    """Added to the request's body, after the client's; what it holds wins."""
    temperature: float | None
    """0 to 2; instead of that of ``sampling_params``, this call's or the client's."""
    top_p: float | None
    """0 to 1; likewise."""
    max_new_tokens: int | None
    """The most tokens of the answer, reasoning included, at least 1; likewise."""
    json_mode: bool | None
    """Ask for a JSON object as the answer, or not; likewise."""
    reasoning_effort: ReasoningEffort | None
    """How long to think: one of none, minimal, low, medium, high, xhigh; likewise."""
    timeouts: Timeouts | None
    """How long to wait, instead of the client's ``Timeouts``."""
    reasoning_summary: ReasoningSummary | None
    """What is shown of a model's thinking by Responses, instead of the client's; ``None``: nothing."""
    resume: bool | None
    """Whether Responses go on after a lost connection, instead of the client's."""


class ManyOptions(ChatOptions, total=False):
    """The keys of ``StreamOptions`` that mean the same to every stream of ``stream_many``."""

    tools: Sequence[Mapping[str, Any]] | None
    """What the model may call, as in OpenAI's API, verbatim."""
    sampling_params: SamplingParams | None
    """How the answer is drawn, instead of the client's ``SamplingParams``."""


class ToolsOptions(ChatOptions, total=False):
    """The keys of ``StreamOptions`` that ``run_tools`` takes by keyword alone, for every round."""

    sampling_params: SamplingParams | None
    """How the answers are drawn, instead of the client's ``SamplingParams``."""
    tags: Mapping[str, Any] | None
    """Values of your own on the streams of all rounds, beside the client's and the round's."""


class StreamOptions(ManyOptions, total=False):
    """What may be said of one stream; what is left out, or ``None``, is the client's.

    Only ``reasoning_summary=None`` says something: that none is asked for.

    To take them in a function of your own and pass them on::

        from typing import Unpack
        from lm_deluge import APIResponse, LLMClient, StreamOptions

        async def ask(client: LLMClient, question: str, **options: Unpack[StreamOptions]) -> APIResponse:
            return await client.stream(question, **options)

    Keys:
        handlers: attached to this stream, after the client's, in order.
        tools, tool_choice, response_format: as in OpenAI's API, verbatim.
        schema: what the answer shall be: a class (pydantic, msgspec, attrs, a dataclass, a TypedDict), a type
            like ``list[Recipe]``, or a JSON schema as a dict. ``response.parsed`` is it.
        sampling_params, timeouts, reasoning_summary, resume: instead of the client's.
        temperature, top_p, max_new_tokens, json_mode, reasoning_effort: single fields instead of
            those of ``sampling_params``, whether that is the call's or the client's.
        extra_body, tags: added to the client's, and win.
    """

    tags: Mapping[str, Any] | None
    """Values of your own on the stream, its response and its log line, beside the client's."""


_NAMES: Final = tuple(StreamOptions.__annotations__)

#: The options that are single fields of ``SamplingParams``.
_FIELDS: Final = frozenset(_NAMES) & frozenset(attrs.fields_dict(SamplingParams))


@attrs.define(eq=False)
class CheckedOptions:
    """``StreamOptions`` with a value for each key; ``None`` is the client's.

    ``fields``: single fields of ``SamplingParams``, checked when they are put in their place, last.
    ``keeps_summary``: whether ``reasoning_summary`` was left out, and is the client's.
    ``has_called``: whether results are sent of calls that it asked for, so that it asks for none any more.
    What ``tools`` holds, and what ``tool_choice`` and ``response_format`` are, is checked by whoever
    writes the request: it is the dialect's.
    """

    handlers: tuple[object, ...]
    tool_choice: str | Mapping[str, Any] | None
    response_format: Mapping[str, Any] | None
    shape: Shape | None
    extra_body: Mapping[str, Any]
    timeouts: Timeouts | None
    tools: Sequence[Mapping[str, Any]] | None
    sampling_params: SamplingParams | None
    tags: Mapping[str, Any]
    reasoning_summary: ReasoningSummary | None
    keeps_summary: bool
    resume: bool | None
    fields: Mapping[str, Any]
    has_called: bool = False


def check_names(options: Mapping[str, Any], function: str, others: tuple[str, ...] = ()) -> None:
    """Raise ``TypeError`` for a name that is no option, with the nearest that is one.

    ``function``: who was given them, and ``others``: what else it takes by name; for the message.
    """
    for name in options:
        if name not in _NAMES:
            raise _unknown(name, function, (*_NAMES, *others))


def check_options(
    options: Mapping[str, Any], function: str, others: tuple[str, ...] = ()
) -> CheckedOptions:
    """Return the options of a stream, checked.

    Raises what ``check_names`` does, and ``TypeError`` or ``ValueError`` naming the option whose value
    makes no sense.
    """
    check_names(options, function, others)
    get = options.get
    given = _FIELDS & options.keys()
    params, times, tools = get("sampling_params"), get("timeouts"), get("tools")
    if tools is not None and not isinstance(tools, (list, tuple)):
        raise TypeError(f"tools must be a list of dicts, not {type_name(tools)}")
    return CheckedOptions(
        # Each is looked at when it is attached.
        handlers=listed_handlers(get("handlers", ())),
        tool_choice=get("tool_choice"),
        response_format=get("response_format"),
        shape=None if get("schema") is None else _shape_of(get("schema")),
        extra_body=checked_dict("extra_body", get("extra_body")),
        timeouts=None if times is None else checked_instance("timeouts", times, Timeouts),
        tools=tools,
        sampling_params=None
        if params is None
        else checked_instance("sampling_params", params, SamplingParams),
        tags=checked_tags("tags", get("tags")),
        keeps_summary="reasoning_summary" not in options,
        resume=None
        if get("resume") is None
        else checked_flag("resume", get("resume"), optional="the client's"),
        reasoning_summary=None
        if "reasoning_summary" not in options
        else checked_one_of(
            "reasoning_summary", get("reasoning_summary"), SUMMARIES, optional=True
        ),
        fields={name: options[name] for name in given} if given else {},
    )


def _shape_of(schema: Any) -> Shape:
    # Most streams ask for none.
    from lm_deluge.structured.shape import shape_of

    return shape_of(schema)


def _unknown(name: str, function: str, accepted: tuple[str, ...]) -> TypeError:
    message = f"{function}() got an unexpected keyword argument {name!r}"
    if name in attrs.fields_dict(SamplingParams):
        return TypeError(f"{message}: give sampling_params=SamplingParams({name}=...)")
    near = nearest(name, (*accepted, *attrs.fields_dict(SamplingParams)))
    if not near:
        return TypeError(f"{message}: it takes {', '.join(accepted)}")
    if near[0] in accepted:
        return TypeError(f"{message}: did you mean {near[0]!r}? It takes {', '.join(accepted)}")
    return TypeError(f"{message}: did you mean sampling_params=SamplingParams({near[0]}=...)?")
