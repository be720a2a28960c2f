"""``StreamRequest``: what a stream asks for, as observers see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from lm_deluge.values.redaction import Redactor

__all__ = ["StreamRequest"]


class StreamRequest:
    """What a stream asks one model for: ``stream.request``. It cannot be changed.

    ``model``: the one asked, a fallback once it is its turn; ``model_id``: the same as its server knows it.
    ``dialect``: the API it is asked by. No key, address or header is in it, and what is secret in texts and
    tools is taken out. Dicts and lists are copies, made whenever they are asked for.

    What is asked is not always what is sent: what a model does not take is left out, and logged.
    """

    __slots__ = (
        "_body",
        "_messages",
        "_parameters",
        "_redactor",
        "_tools",
        "dialect",
        "model",
        "model_id",
    )

    model: str
    model_id: str
    dialect: str
    _parameters: Mapping[str, Any]
    _messages: Sequence[Mapping[str, Any]]
    _tools: Sequence[Mapping[str, Any]]
    _body: Mapping[str, Any]
    _redactor: Redactor

    def __init__(
        self,
        *,
        model: str,
        model_id: str,
        dialect: str,
        parameters: Mapping[str, Any],
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        extra_body: Mapping[str, Any] | None,
        redactor: Redactor,
    ) -> None:
        for name, value in (
            ("model", redactor.text(model)),
            ("model_id", redactor.text(model_id)),
            ("dialect", dialect),
            ("_parameters", parameters),
            ("_messages", messages),
            ("_tools", tools or ()),
            ("_body", extra_body or {}),
            ("_redactor", redactor),
        ):
            object.__setattr__(self, name, value)

    @property
    def parameters(self) -> dict[str, Any]:
        """What was set, by the library's names.

        Fields of ``SamplingParams``, ``tool_choice``, ``response_format``, ``reasoning_summary`` (Responses).
        """
        return self._shown(self._parameters)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """What the model may call, as it was given; empty without tools."""
        return [self._shown(tool) for tool in self._tools]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as OpenAI message dicts; looking for secrets takes 0.1 s for some megabytes."""
        return [self._shown(message) for message in self._messages]

    @property
    def extra_body(self) -> dict[str, Any]:
        """What is added to the body in the provider's own words."""
        return self._shown(self._body)

    def _shown(self, value: Mapping[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self._redactor.data(value)
        return shown

    def __repr__(self) -> str:
        tools = f", {len(self._tools)} tools" if self._tools else ""
        said = "".join(f", {name}={value!r}" for name, value in self.parameters.items())
        return f"<StreamRequest {self.model} by {self.dialect}{said[:200]}{tools}>"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a StreamRequest cannot be changed: {name!r} was to be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a StreamRequest cannot be changed: {name!r} was to be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the redactor's secrets, and without what it would have taken out.
        shown = (
            self.model,
            self.model_id,
            self.dialect,
            self.parameters,
            self.messages,
            self.tools,
        )
        return _restored, (*shown, self.extra_body)


def _restored(*fields: Any) -> StreamRequest:
    """Return what was pickled, or copied."""
    model, model_id, dialect, parameters, messages, tools, extra_body = fields
    return StreamRequest(
        model=model,
        model_id=model_id,
        dialect=dialect,
        parameters=parameters,
        messages=messages,
        tools=tools,
        extra_body=extra_body,
        redactor=Redactor(),
    )
