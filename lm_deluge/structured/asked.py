"""What was asked of one response, and what became of it: the object, or a ``SchemaError``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lm_deluge.errors import SchemaError
from lm_deluge.structured.misfits import shown_path
from lm_deluge.structured.reading import Failure, Fitting, read
from lm_deluge.structured.shape import Shape
from lm_deluge.values.response import APIResponse, Partial

if TYPE_CHECKING:
    from lm_deluge.values.redaction import Redactor

__all__ = ["AskedShape", "error_of"]

_KINDS: Final = {
    "missing": "holds no {name}",
    "cut": "holds no whole {name}",
    "invalid": "holds no {name}, as its JSON is broken",
    "unfit": "is no {name}",
}


class AskedShape:
    """The shape that a response was asked to have; read when it is first looked at."""

    __slots__ = ("_read", "shape")

    def __init__(self, shape: Shape | None) -> None:
        self.shape: Final = shape
        self._read: Fitting | Failure | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return AskedShape, (self.shape,)

    def parsed(self, response: APIResponse) -> Any:
        """Return what the response holds; ``None`` for one that only calls tools.

        Raises ``SchemaError``.
        """
        if self.shape is None:  # its class could not be pickled
            return None
        if self._read is None:
            if response.tool_calls and not response.completion.strip():
                return None
            self._read = read(response.completion, self.shape)
        if isinstance(self._read, Fitting):
            return self._read.value
        raise error_of(self._read, self.shape, response.completion, response)


def error_of(
    failure: Failure,
    shape: Shape | None,
    text: str,
    response: APIResponse,
    what: str = "the answer",
) -> SchemaError:
    """Return the error that says what is wrong with a text of a response. ``what``: it is, in words."""
    redactor: Redactor | None = None if response.source is None else response.source.redactor
    error = SchemaError(
        _message(failure, shape, response, what, redactor),
        text=text,
        value=failure.value,
        path=failure.misfit.path,
        response=response,
    )
    error.stream_id = None if response.source is None else response.source.stream_id
    error.attempts, error.elapsed = response.attempts, response.elapsed
    error.failed_attempts = list(response.failed_attempts)
    error.handler_failures = response.handler_failures
    error.partial = _partial(response)
    return error


def _partial(response: APIResponse) -> Partial:
    received = Partial(
        choices=list(response.choices),
        usage=response.usage,
        model_external=response.model_external,
        response_id=response.response_id,
        request_id=response.request_id,
        system_fingerprint=response.system_fingerprint,
        service_tier=response.service_tier,
        ttft=response.ttft,
        extra=response.extra,
    )
    received.source = response.source
    return received


def _message(
    failure: Failure,
    shape: Shape | None,
    response: APIResponse,
    what: str,
    redactor: Redactor | None,
) -> str:
    name = "JSON" if shape is None else shape.name
    at = shown_path(failure.misfit.path)
    where = f"at {at}: " if at else ""
    said = f"{what} {_KINDS[failure.kind].format(name=name)}: {where}{failure.misfit.message}"
    reason = response.finish_reason
    if failure.kind == "missing" and response.refusal:
        said += f"; the model refused: {response.refusal[:200]!r}"
    elif reason == "length":
        said += " (finish_reason 'length': it takes more max_new_tokens)"
    elif reason not in ("stop", None):
        said += f" (finish_reason {reason!r})"
    return said if redactor is None else redactor.text(said)
