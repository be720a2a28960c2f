"""A conversation cut to a number of tokens: whole turns go, the oldest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.values.conversation.counting import TokenCounter
from lm_deluge.values.conversation.message import Message

__all__ = ["trimmed_messages"]

_SYSTEM: Final = ("system", "developer")
_RESULTS: Final = ("tool", "function")


def trimmed_messages(
    messages: Sequence[Message],
    max_tokens: int,
    counter: TokenCounter,
    *,
    keep_system: bool,
    tools: Sequence[Mapping[str, Any]] | None,
) -> list[Message]:
    """Return those that stay; all of them where they fit. ``tools`` count as a part of the prompt.

    Raises ``ValueError`` where the last turn alone, with what is kept beside it, is too much.
    """
    counts = [counter.message(message) for message in messages]
    room = max_tokens - counter.around(tools)
    if sum(counts) <= room:
        return list(messages)
    kept = [at for at, one in enumerate(messages) if keep_system and one.role in _SYSTEM]
    fixed = sum(counts[at] for at in kept)
    called = _calls_of_results(messages)
    rest = [
        at
        for at, one in enumerate(messages)
        if at not in kept and not (one.role in _RESULTS and called[at] is None)
    ]
    staying = _end_that_fits(messages, rest, counts, called, room - fixed)
    if staying is not None:
        return [messages[at] for at in sorted([*kept, *staying])]
    least = _least(messages, rest, counts, called)
    if least is None:
        raise ValueError(
            "the conversation cannot be trimmed: it has no message of a user to begin with"
        )
    around = max_tokens - room
    raise ValueError(
        f"max_tokens must be at least {least + fixed + around} here: the conversation cannot be trimmed to "
        f"{max_tokens} tokens: its last turn has {least}, what is kept of the system {fixed}, and what "
        f"stands around them {around} (by {counter.by})"
    )


def _calls_of_results(messages: Sequence[Message]) -> dict[int, int | None]:
    """Return for each result where its call stands; ``None`` where nothing asked for it."""
    asked: dict[str, int] = {}
    last: int | None = None
    found: dict[int, int | None] = {}
    for at, message in enumerate(messages):
        if message.role in _RESULTS:
            known = message.tool_call_id
            found[at] = asked.get(known) if known else last
        elif message.role == "assistant":
            ids = _ids_in(message)
            asked |= dict.fromkeys(ids, at)
            # Calls without ids are answered in their order.
            last = at if message.tool_calls or "function_call" in message.extra else None
    return found


def _ids_in(message: Message) -> list[str]:
    came = message.extra.get("provider_content")
    content = came.get("content") if isinstance(came, Mapping) else None
    items = (
        [item for item in content if isinstance(item, Mapping)] if isinstance(content, list) else []
    )
    ids = [call.id for call in message.tool_calls]
    ids += [item.get(key) for item in items for key in ("call_id", "id")]
    return [known for known in ids if isinstance(known, str) and known]


def _may_begin(
    messages: Sequence[Message], rest: Sequence[int], called: Mapping[int, int | None]
) -> list[bool]:
    """Return whether no result from there on is of a call before; for each place in ``rest``."""
    earliest = len(messages)
    found: list[bool] = []
    for at in reversed(rest):
        call = called.get(at)
        earliest = min(earliest, at if call is None else call)
        found.append(earliest >= at)
    return found[::-1]


def _end_that_fits(
    messages: Sequence[Message],
    rest: Sequence[int],
    counts: Sequence[int],
    called: Mapping[int, int | None],
    room: int,
) -> list[int] | None:
    may = _may_begin(messages, rest, called)
    size = sum(counts[at] for at in rest)
    last_turn = None
    for place, at in enumerate(rest):
        if may[place] and messages[at].role == "user":
            if size <= room:
                return list(rest[place:])
            last_turn = place
        size -= counts[at]
    if last_turn is None:
        return None
    # Of one long turn its question stays, and the oldest rounds of calls go.
    head = _head(messages, rest, last_turn)
    size = sum(counts[at] for at in rest[last_turn:])
    for place in range(last_turn + len(head), len(rest)):
        if may[place] and messages[rest[place]].role == "assistant" and size <= room:
            return [*head, *rest[place:]]
        size -= counts[rest[place]]
    return None


def _head(messages: Sequence[Message], rest: Sequence[int], turn: int) -> list[int]:
    """Return the user's messages that a turn begins with."""
    head: list[int] = []
    for at in rest[turn:]:
        if messages[at].role != "user":
            break
        head.append(at)
    return head


def _least(
    messages: Sequence[Message],
    rest: Sequence[int],
    counts: Sequence[int],
    called: Mapping[int, int | None],
) -> int | None:
    """Return the tokens of the least that could stay; ``None`` where nothing could."""
    may = _may_begin(messages, rest, called)
    turns = [place for place, at in enumerate(rest) if may[place] and messages[at].role == "user"]
    if not turns:
        return None
    head = _head(messages, rest, turns[-1])
    begins = turns[-1] + len(head)
    rounds = [
        place
        for place in range(begins, len(rest))
        if may[place] and messages[rest[place]].role == "assistant"
    ]
    staying = rest[rounds[-1] :] if rounds else rest[begins:]
    return sum(counts[at] for at in (*head, *staying))
