"""Answers that are taken up again after a lost connection: whether, when, and how they are called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import random
from typing import Final, Protocol, TypeGuard

from attrs import frozen

from lm_deluge.config import RetryPolicy
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.retrying import retry_delay
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConnectionLostError,
    HandlerError,
    LimitExceededError,
    ProtocolError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.http.request import Request
from lm_deluge.http.transport import Transport
from lm_deluge.values.pieces import Delta, Token

__all__ = [
    "ResumableReader",
    "Resumption",
    "cancel_upstream",
    "is_called_off",
    "is_loss",
    "is_made_on",
    "only_refuses",
    "resumption_delay",
]

#: Seconds for which the end of a stream waits until its server was told.
_CANCEL: Final = 1.0

#: What only says that the rest of an answer could not be asked for.
_REFUSALS: Final = (APIStatusError, APIConnectionError, ProtocolError)


class ResumableReader(AnswerReader, Protocol):
    """The answer of several attempts, each of which goes on where the one before broke."""

    @property
    def place(self) -> tuple[str, int] | None:
        """From where it can go on: its server's name for it, and the number of the last event."""

    @property
    def known_at(self) -> float | None:
        """When its name was known, seconds from t0."""

    @property
    def is_open(self) -> bool:
        """Whether it has a name, and its server may still be making it."""

    def resume(self) -> None:
        """Be ready for the next connection."""

    def let_go(self) -> list[Token | Delta]:
        """Return what was held back: no connection follows."""


@frozen(eq=False, kw_only=True)
class Resumption:
    """How a model's answers are taken up again.

    ``answer``: makes a reader, with the arguments of ``Dialect.answer``. ``again``: returns the request
    for what follows a place. ``cancel``: that which ends the answer with a name. ``within``: seconds
    after the name was known in which the server takes part.
    """

    answer: Callable[..., ResumableReader]
    again: Callable[[str, int], Request]
    cancel: Callable[[str], Request]
    within: float = 300.0


def is_resumable(answer: AnswerReader) -> TypeGuard[ResumableReader]:
    """Return whether an answer is one of several attempts."""
    return hasattr(answer, "resume")


def is_loss(error: StreamError) -> bool:
    """Return whether an answer that had begun broke, and may be whole where it is made."""
    if isinstance(error, APITimeoutError):
        return error.phase not in ("connect", "total")
    return isinstance(error, (ConnectionLostError, AnswerCutError))


def only_refuses(error: StreamError) -> bool:
    """Return whether the rest of an answer was asked for in vain, which says nothing of the answer."""
    return isinstance(error, _REFUSALS) and not is_loss(error) and not _is_total(error)


def resumption_delay(
    policy: RetryPolicy, error: StreamError, failures: int, *, moved: bool
) -> float | None:
    """Return seconds until the rest is asked for, ``None`` if it is not.

    ``failures``: as in ``retry_delay``. ``moved``: whether the attempt brought anything.
    """
    if failures >= policy.max_attempts:
        return None
    if is_loss(error):
        is_wanted = (
            policy.timeouts if isinstance(error, APITimeoutError) else policy.connection_errors
        )
        if not is_wanted:
            return None
        return 0.0 if moved else policy.delay(failures, random)
    if isinstance(error, (APIStatusError, APIConnectionError)):
        return retry_delay(policy, error, failures)
    return None


def is_called_off(ending: object) -> bool:
    """Return whether the caller ended a stream: what broke by itself can still be fetched by its id."""
    is_ours = isinstance(ending, (StreamCancelled, HandlerError, LimitExceededError))
    return is_ours or _is_total(ending)


def is_made_on(answer: AnswerReader) -> TypeGuard[ResumableReader]:
    """Return whether the server of an answer may still be making it, and can be told to end it."""
    if not is_resumable(answer) or not answer.is_open:
        return False
    # An error inside of the answer is its end.
    return answer.error is None or isinstance(answer.error, (LimitExceededError, ProtocolError))


async def cancel_upstream(
    answer: AnswerReader, resumption: Resumption, transport: Transport
) -> None:
    """Tell the server of an answer that nobody wants the rest; for at most a second, whatever comes of it."""
    name = answer.facts.response_id
    assert name is not None
    try:
        async with asyncio.timeout(_CANCEL):
            exchange = await transport.open(resumption.cancel(name), connect_timeout=None)
            exchange.close()
    except Exception:  # noqa: BLE001, S110 - the stream goes on or has ended, and is not to be hurt
        pass


def _is_total(error: object) -> bool:
    return isinstance(error, APITimeoutError) and error.phase == "total"
