"""``run_tools``: an answer, the calls in it, the next answer, until nothing is asked for any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import WARNING
from typing import Any, Final
from uuid import uuid4

from attrs import evolve, fields, frozen

from lm_deluge.client.options import CheckedOptions
from lm_deluge.client.tool_calls import Calls, Manner
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.observers.stream import Stream, outcome_of
from lm_deluge.tools.kit import after_the_first
from lm_deluge.tools.sent_back import answer_and_results, with_own_ids
from lm_deluge.values.conversation import Conversation, Message, Prompt, ToolCall, to_messages
from lm_deluge.values.foreign import log
from lm_deluge.values.pieces import Delta
from lm_deluge.values.response import APIResponse, Partial
from lm_deluge.values.rounds import Ending, Round, ToolResult, ToolsResponse, cost_of, response_of

__all__ = ["Bounds", "Opener", "run_rounds"]

Opener = Callable[[Prompt, CheckedOptions, "object | None", Sequence[Delta]], Stream]
"""Opens the stream of a round: prompt, options, printer, and the results that it carries."""

#: Ends of an answer before which the arguments of its last call may not be whole.
_CUT_BY: Final = ("length", "content_filter")
_NOT_RUN: Final = "the call was not run: the answer ended before it was whole ({})"

#: The provider's word for an answer that is to be sent back as it is, and goes on then.
_PAUSED: Final = "pause_turn"


@frozen
class Bounds:
    """When no further round is begun. ``rounds``: streams. ``cost``: US dollars, ``None`` for no bound."""

    rounds: int
    cost: float | None


async def run_rounds(
    opener: Opener,
    prompt: Prompt,
    manner: Manner,
    bounds: Bounds,
    options: CheckedOptions,
    printer: object | None,
) -> ToolsResponse:
    """Return the last answer; see ``LLMClient.run_tools``. Everything given has been checked."""
    closed: list[str] = []
    with manner.running.between(closed.append):
        return await _run_rounds(opener, prompt, manner, bounds, options, printer, closed)


async def _run_rounds(
    opener: Opener,
    prompt: Prompt,
    manner: Manner,
    bounds: Bounds,
    options: CheckedOptions,
    printer: object | None,
    closed: Sequence[str],
) -> ToolsResponse:
    """``closed``: holds why once the client was closed, be it when no stream and no function runs."""
    said = _Talk.begun_with(prompt)
    options = evolve(options, tools=manner.kit.written)
    rounds: list[Round] = []
    known_as = uuid4().hex[:12]
    carried: Sequence[ToolResult] = ()
    while True:
        number = len(rounds) + 1
        stream = opener(
            said.prompt, _tagged(options, known_as, number, carried), printer, _told(carried)
        )
        redact = stream.redactor.text
        try:
            response = await _answer_of(stream, rounds)
        finally:
            del stream
        calls = with_own_ids(response.tool_calls)
        mine = [call for call in calls if _is_ours(call, manner)]
        running = Calls(mine, manner, redact)
        if closed:  # while the stream ended
            running.end(closed[0])
        try:
            carried = await _results_of(response, calls, mine, running, said)
        except StreamError as error:  # the client was closed
            rounds.append(Round(number=number, response=response, results=running.results))
            _ended(error, rounds)
            raise
        rounds.append(Round(number=number, response=response, results=list(carried)))
        ended_by = _ending(rounds, calls, mine, bounds)
        if ended_by is not None:
            left = [call for call in calls if call not in mine]
            return _as_asked(response_of(rounds, ended_by, left))
        if closed:
            raise _ended(StreamCancelled(closed[0]), rounds)
        if calls:
            choice = after_the_first(options.tool_choice)
            options = evolve(options, tool_choice=choice, has_called=True)


def _as_asked(response: ToolsResponse) -> ToolsResponse:
    """Return the last answer, if it is what ``schema`` asks for; raise ``SchemaError`` if it is not.

    A run that ended before the model had nothing more to ask for has no such answer.
    """
    if response.form is not None and response.ended_by == "answer":
        try:
            _ = response.parsed
        except StreamError as error:
            error.rounds = response.rounds
            raise
    return response


async def _answer_of(stream: Stream, rounds: Sequence[Round]) -> APIResponse:
    try:
        return await outcome_of(stream)
    except StreamError as error:
        error.rounds = list(rounds)
        raise
    finally:
        del stream


def _is_ours(call: ToolCall, manner: Manner) -> bool:
    """Whether a call is answered here; a name that nobody has is, with an error."""
    return call.name not in manner.kit.others and call.extra.get("type") != "custom"


async def _results_of(
    response: APIResponse,
    calls: Sequence[ToolCall],
    mine: Sequence[ToolCall],
    running: Calls,
    said: _Talk,
) -> list[ToolResult]:
    """Run what an answer asks for; add the answer and the results to what was said, however it ends."""
    if response.finish_reason in _CUT_BY:
        text = _NOT_RUN.format(response.finish_reason)
        results = [ToolResult(call=call, text=text, is_error=True) for call in mine]
        said.add(answer_and_results(response.content, calls, results))
        return results
    try:
        if mine:
            await running.run()
    finally:
        said.add(answer_and_results(response.content, calls, running.results))
    return running.results


def _ended(error: StreamError, rounds: list[Round]) -> StreamError:
    """Return an error that knows the rounds, and as what was received the last answer."""
    error.rounds, error.partial = rounds, _as_partial(rounds[-1].response)
    return error


def _as_partial(response: APIResponse) -> Partial:
    names = [each.name for each in fields(Partial) if each.init]
    return Partial(**{name: getattr(response, name) for name in names})


def _ending(
    rounds: Sequence[Round],
    calls: Sequence[ToolCall],
    mine: Sequence[ToolCall],
    bounds: Bounds,
) -> Ending | None:
    """Return why no other round follows; ``None`` where one does."""
    response = rounds[-1].response
    if len(mine) < len(calls) or response.other_calls:
        return "unanswered"
    if not calls and response.finish_reason_raw != _PAUSED:
        return "answer"
    if calls and response.finish_reason in _CUT_BY:
        return "cut"
    if len(rounds) >= bounds.rounds:
        return "max_rounds"
    if bounds.cost is not None:
        cost = cost_of(rounds)
        if cost is None:
            log(WARNING, "run_tools ends: a cost is not known, and max_cost cannot be kept")
        if cost is None or cost >= bounds.cost:
            return "max_cost"
    return None


def _tagged(
    options: CheckedOptions, known_as: str, number: int, carried: Sequence[ToolResult]
) -> CheckedOptions:
    """Return the options of one round, whose tags say which it is; the user's own tags win."""
    after = {"after": ", ".join(dict.fromkeys(each.name for each in carried))} if carried else {}
    return evolve(options, tags={"call": known_as, "round": number, **after, **options.tags})


def _told(carried: Sequence[ToolResult]) -> list[Delta]:
    """Return the results that a round carries, as its handlers hear of them."""
    return [
        Delta(
            kind="tool_result",
            index=at,
            text=each.text,
            arrived=0.0,
            read=-1,
            id=each.call.id,
            name=each.name,
            data={"is_error": each.is_error, "elapsed": each.elapsed},
        )
        for at, each in enumerate(carried)
    ]


@frozen
class _Talk:
    """``prompt``: what was said so far, the caller's ``Conversation`` or messages of our own."""

    prompt: Any

    @classmethod
    def begun_with(cls, prompt: Prompt) -> _Talk:
        messages = to_messages(prompt)
        return cls(prompt if isinstance(prompt, Conversation) else messages)

    def add(self, messages: Sequence[Message]) -> None:
        """All at once: an answer whose calls have no results is nothing that can be sent."""
        known = self.prompt
        (known.messages if isinstance(known, Conversation) else known).extend(messages)
