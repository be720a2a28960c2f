"""What readers are told of an answer: signals as plain items, which JSON can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lm_deluge import APIResponse, Delta, Retry, Stream, Token
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    HandlerError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    PromptError,
    RateLimitError,
    StreamCancelled,
    StreamError,
    UnprocessableEntityError,
)

__all__ = [
    "cancelled_item",
    "complete_item",
    "delta_item",
    "error_item",
    "plain_words",
    "retry_item",
    "start_item",
    "token_item",
]

Item = dict[str, Any]

#: What a reader is told of an error; the provider's own words may name accounts and addresses.
_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (RateLimitError, "The model is asked too much at the moment. Please try again later."),
    (AuthenticationError, "The model cannot be asked: this app's access to it was refused."),
    (PermissionDeniedError, "The model cannot be asked: this app's access to it was refused."),
    (NotFoundError, "The model that was asked for is not there."),
    (BadRequestError, "The model does not take this request."),
    (UnprocessableEntityError, "The model does not take this request."),
    (APITimeoutError, "The model did not answer in time. Please try again."),
    (APIConnectionError, "The connection to the model was lost. Please try again."),
    (AnswerCutError, "The answer was cut off. Please try again."),
    (LimitExceededError, "The answer is larger than this app takes."),
)
_OTHERWISE: Final = "The answer could not be finished. Please try again."

#: Errors that the same request would meet again.
_LASTING: Final = (
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    BadRequestError,
    UnprocessableEntityError,
    LimitExceededError,
    PromptError,
    HandlerError,
)


def start_item(stream: Stream, at: float) -> Item:
    """A stream begins. ``at``: its t0, seconds since the epoch by this machine's clock."""
    return {"kind": "start", "id": stream.id, "model": stream.model, "at": round(at, 6)}


def token_item(token: Token) -> Item:
    """A piece of the answer's text."""
    item: Item = {"kind": "text", "text": token.text}
    if token.choice:
        item["choice"] = token.choice
    return item


def delta_item(delta: Delta) -> Item:
    """A piece of anything else."""
    item: Item = {"kind": delta.kind}
    if delta.text and delta.arguments is None:
        item["text"] = delta.text
    if delta.choice:
        item["choice"] = delta.choice
    if delta.kind in ("tool_call", "server_tool"):
        item["index"] = delta.index
    for name in ("id", "name", "arguments", "data"):
        value = getattr(delta, name)
        if value is not None:
            item[name] = value
    return item


def retry_item(retry: Retry) -> Item:
    """Another attempt follows; nothing that was shown is said again."""
    return {"kind": "retry", "attempt": retry.attempt, "model": retry.next_model}


def complete_item(response: APIResponse) -> Item:
    """The answer is whole."""
    item: Item = {
        "kind": "complete",
        "finish_reason": response.finish_reason,
        "model": response.model_used or response.model,
        "elapsed": round(response.elapsed, 6),
    }
    if response.ttft is not None:
        item["ttft"] = round(response.ttft, 6)
    usage = response.usage
    if usage is not None:
        counts = {
            name: value
            for name in (
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "reasoning_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
            )
            if (value := getattr(usage, name)) is not None
        }
        item["usage"] = counts
    return item


def cancelled_item(error: StreamCancelled) -> Item:
    """The answer was stopped."""
    return {"kind": "cancelled", "reason": error.reason}


def error_item(error: StreamError, words: Callable[[StreamError], str]) -> Item:
    """The answer failed. ``words``: what a reader is told of it."""
    item: Item = {
        "kind": "error",
        "error": type(error).__name__,
        "message": words(error),
        "retryable": not isinstance(error, _LASTING),
    }
    return item


def plain_words(error: StreamError) -> str:
    """Return a sentence for whoever reads the answer, with nothing of the provider's words in it."""
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    return _OTHERWISE
