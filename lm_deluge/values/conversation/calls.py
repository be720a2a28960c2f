"""``ToolCall``: a call that the model asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import validators

from lm_deluge.values.foreign import shown
from lm_deluge.values.plain import plain_fields

__all__ = ["ToolCall"]

_KINDS = (("function", "arguments"), ("custom", "input"))
_OPTIONAL_TEXT = validators.optional(validators.instance_of(str))


@attrs.frozen(field_transformer=plain_fields)
class ToolCall:
    """A call that the model asks for.

    Attributes:
        id: the call's id, to answer it by; "" if the server gave it none, None for the legacy
            `function_call`.
        name: the function's name.
        arguments: raw JSON text exactly as the model wrote it, which need not be valid JSON; of a
            custom tool (`extra["type"]` is "custom") its input, which is any text.
        extra: keys of other vendors beside these, sent back untouched.
    """

    id: str | None = attrs.field(validator=_OPTIONAL_TEXT)
    name: str = attrs.field(validator=validators.instance_of(str))
    arguments: str = attrs.field(default="", validator=validators.instance_of(str))
    extra: dict[str, Any] = attrs.field(factory=dict, kw_only=True, repr=False, hash=False)

    def parsed(self) -> Any:
        """The arguments as Python values, `{}` for an empty text; a custom tool's input as it is.

        Raises:
            ValueError: the arguments are not JSON; the message names the call.
        """
        if self.extra.get("type") == "custom":
            return self.arguments
        if not self.arguments.strip():
            return {}
        try:
            return json.loads(self.arguments)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"the arguments of tool call {self.id!r} to {self.name!r} are not JSON ({error}): "
                f"{shown(self.arguments, 60)}"
            ) from error

    def to_openai(self) -> dict[str, Any]:
        """The entry of a message's `tool_calls`."""
        extra = dict(self.extra)
        kind, text = _KINDS[self.extra.get("type") == "custom"]
        inner = {"name": self.name, text: self.arguments, **extra.pop(kind, {})}
        named = {} if self.id is None else {"id": self.id}
        return {**named, "type": kind, kind: inner, **extra}

    @classmethod
    def from_openai(cls, call: Mapping[str, Any]) -> ToolCall:
        """Reads an entry of `tool_calls`; the opposite of `to_openai`.

        Arguments that a server sent as an object become JSON text, null becomes "".

        Raises:
            TypeError, ValueError: it is neither a function call nor one of a custom tool.
        """
        if not isinstance(call, Mapping):
            raise TypeError(f"a tool call must be a dict, not {type(call).__name__}")
        kind, text = _KINDS[call.get("type") == "custom"]
        function = call.get(kind)
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"not a {kind} call: {shown(dict(call), 60)}")
        arguments = function.get(text)
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        extra = {k: v for k, v in call.items() if k not in ("id", "type", kind)}
        beside = {k: v for k, v in function.items() if k not in ("name", text)}
        if beside:
            extra[kind] = beside
        if kind == "custom":
            extra["type"] = "custom"
        return cls(call.get("id"), function["name"], arguments, extra=extra)
