"""``Tool``: a function that a model may call, and what the model is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from attrs import evolve, field, frozen

from lm_deluge.tools.arguments import Arguments
from lm_deluge.tools.docstrings import described_by
from lm_deluge.tools.schemas import gathered, reader_of
from lm_deluge.tools.signatures import (
    NO_DEFAULT,
    Parameter,
    Signature,
    doc_of,
    is_generator,
    name_of,
    shown_function,
    signature_of,
    split_annotated,
)
from lm_deluge.values.checks import checked_number, checked_text
from lm_deluge.values.foreign import shown, type_name
from lm_deluge.values.plain import plain_json

__all__ = ["Tool"]

#: What every provider takes for a name.
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


@frozen(init=False, eq=False, repr=False)
class Tool:
    """A function that a model may call, with a name, a description or a time limit of its own.

    A function alone does where its name, docstring and type hints say enough; ``Tool(function)`` is what
    ``run_tools`` makes of it.

    Arguments:
        function: any callable, sync or ``async``: a function, a method of an object, a ``partial``, a class.
        name: letters, digits, ``_`` and ``-``, at most 64; ``None``: the function's.
        description: what it does; ``None``: what its docstring says, without the parameters.
        parameters: the JSON schema of its arguments (``{"type": "object", ...}``); the function then gets
            them by name as they come. ``None``: from type hints, defaults and the docstring.
        timeout: seconds that a call may take, ``None`` for no limit; ``"run"``: ``tool_timeout`` of the run.

    Raises ``TypeError`` or ``ValueError`` for a function that no model can call (``*args``, hints without
    a schema), and for other arguments that make no sense.
    """

    function: Callable[..., Any]
    name: str
    description: str
    parameters: dict[str, Any]
    timeout: float | Literal["run"] | None
    arguments: Arguments = field(repr=False)

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | Literal["run"] | None = "run",
    ) -> None:
        given: Any = function
        if not callable(given):
            raise TypeError(f"function must be callable, not {type_name(given)}")
        where = f"function {shown_function(given)}"
        if is_generator(given):
            raise TypeError(f"{where} yields, and a tool must return its result")
        called = checked_text("name", name_of(given) if name is None else name)
        if _NAME.fullmatch(called) is None:
            accepted = "letters, digits, _ and -, at most 64, with no digit first"
            raise ValueError(f"{where}: the name {called!r} is not {accepted}: give Tool(name=...)")
        described = described_by(doc_of(given))
        said = (
            described.text
            if description is None
            else checked_text("description", description, empty=True)
        )
        if parameters is None:
            arguments, schema = _derived(signature_of(given, where), described.parameters, where)
        else:
            schema = _checked_schema(parameters)
            arguments = Arguments.as_they_come(schema)
        limit = checked_number(
            "timeout",
            timeout,
            0,
            above=True,
            optional="no limit",
            words=("run",),
            unit="a number of seconds",
        )
        self.__attrs_init__(given, called, said, schema, limit, arguments)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    def to_openai(self) -> dict[str, Any]:
        """Return it as OpenAI's chat completions have a tool: what every dialect of this library takes."""
        said = {"description": self.description} if self.description else {}
        function = {"name": self.name, **said, "parameters": self.parameters}
        return {"type": "function", "function": function}


def _checked_schema(parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a JSON schema, a dict, not {type_name(parameters)}")
    schema: dict[str, Any] = plain_json(parameters, "parameters")
    if schema.get("type") != "object":
        raise ValueError(
            "parameters must be the schema of an object, {'type': 'object', 'properties': ...}, "
            f"not {shown(parameters)}"
        )
    return schema


def _derived(
    signature: Signature, told: Mapping[str, str], where: str
) -> tuple[Arguments, dict[str, Any]]:
    """Return what reads the arguments of a function, and their schema."""
    readers: dict[str, Callable[[Any], Any]] = {}
    properties: dict[str, dict[str, Any]] = {}
    parameters: list[Parameter] = []
    defaults: dict[str, Any] = {}
    for given in signature.parameters:
        each, said = _of_field(given)
        hint, noted = split_annotated(each.hint)
        try:
            reader = reader_of(hint)
        except TypeError as error:
            raise TypeError(
                f"{where}: {each.name} is of a type that has no JSON schema: {error}"
            ) from error
        readers[each.name] = reader.read
        described = noted or said or told.get(each.name) or ""
        properties[each.name] = {
            **reader.schema,
            **({"description": described} if described else {}),
            **_default_in(each),
        }
        parameters.append(each)
        if each is not given and not each.is_required:
            defaults[each.name] = each.default
    found, named = gathered(properties)
    schema: dict[str, Any] = {"type": "object", "properties": found}
    required = [each.name for each in parameters if each.is_required]
    if required:
        schema["required"] = required
    more: Callable[[Any], Any] | None = None
    schema["additionalProperties"] = False
    if signature.more is not None:
        rest = reader_of(split_annotated(signature.more)[0])
        more = rest.read
        schema["additionalProperties"] = rest.schema or True
    if named:
        schema["$defs"] = named
    return Arguments(tuple(parameters), readers, more, (), defaults), schema


def _of_field(each: Parameter) -> tuple[Parameter, str]:
    """Return a parameter with the default that a pydantic ``Field`` in its place holds, and its words."""
    default: Any = each.default
    if type(default).__module__ != "pydantic.fields":
        return each, ""
    missing = default.is_required()
    value = NO_DEFAULT if missing else default.get_default(call_default_factory=True)
    from typing import Annotated

    hint = Annotated.__class_getitem__((each.hint, default)) if default.metadata else each.hint  # type: ignore[attr-defined]
    return evolve(each, hint=hint, default=value), default.description or ""


def _default_in(each: Parameter) -> dict[str, Any]:
    """Return the default as the schema tells it; nothing where JSON cannot hold it."""
    if each.is_required or each.default is None:
        return {}
    try:
        return {"default": plain_json(msgspec.to_builtins(each.default), each.name)}
    except Exception:  # noqa: BLE001 - a default may be any object
        return {}
