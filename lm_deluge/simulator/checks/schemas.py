"""Schemas as each service takes them, of an answer or a function, and its words for what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lm_deluge.simulator.checks.calls import check_openai_name
from lm_deluge.simulator.checks.refusals import Refused, bad_request, missing

__all__ = [
    "check_claude_schema",
    "check_gemini_json_schema",
    "check_gemini_schema",
    "check_openai_form",
    "check_openai_function",
]

#: Keywords that OpenAI's strict form does not have.
_NOT_STRICT: Final = (
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "minProperties",
    "maxProperties",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "prefixItems",
)

#: Keywords that Messages does not have, by the type that they bound.
_NOT_CLAUDE: Final = {
    "string": ("minLength", "maxLength", "pattern"),
    "array": ("maxItems", "uniqueItems", "contains", "prefixItems"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}

#: Fields of Google's own ``Schema``.
_GOOGLES: Final = frozenset(
    "type format title description nullable enum items maxItems minItems properties required "
    "propertyOrdering minProperties maxProperties minimum maximum minLength maxLength pattern example "
    "anyOf default".split()
)

Path = tuple[Any, ...]


def check_openai_form(
    form: Mapping[str, Any],
    path: str,
    *,
    param: str = "response_format",
    code: str | None = None,
) -> None:
    """Raises `Refused` (400) for the named schema of an answer that OpenAI does not take."""
    if not isinstance(name := form.get("name"), str):
        raise missing(f"{path}.name")
    check_openai_name(name, f"{path}.name")
    schema = form.get("schema")
    if form.get("strict") is not True:
        return

    def refuse(message: str) -> Refused:
        return bad_request(message, param, code)

    if not isinstance(schema, dict):
        raise missing(f"{path}.schema")
    _check_strict(schema, f"response_format '{name}'", refuse)


def _check_strict(schema: Any, what: str, refuse: Callable[[str], Refused]) -> None:
    """Raises what ``refuse`` makes of the reason if a schema breaks a rule of the strict form.

    ``what``: of what it is the schema, as the service calls it.
    """

    def wrong(why: str) -> Refused:
        return refuse(f"Invalid schema for {what}: {why}")

    kind = schema.get("type")
    if kind != "object":
        raise wrong(f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'.")
    if word := next((word for word in ("anyOf", "enum") if word in schema), None):
        raise wrong(f"schema must have type 'object' and not have '{word}' at the top level.")
    for node, at in _nodes(schema):
        why = _unstrict(node)
        if why is not None:
            raise wrong(f"In context={at!r}, {why}")


def _unstrict(node: Any) -> str | None:
    if not isinstance(node, dict):
        return "schema must be an object."
    if "$ref" in node:
        beside = sorted(word for word in node if word not in ("$ref", "$defs", "definitions"))
        return f"$ref cannot have keywords {set(beside)}." if beside else None
    if word := next((word for word in _NOT_STRICT if word in node), None):
        return f"'{word}' is not permitted."
    kind = node.get("type")
    if kind is None and "anyOf" not in node:
        return "schema must have a 'type' key."
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds:
        return _unstrict_object(node)
    if "array" in kinds and not isinstance(node.get("items"), dict):
        return "array schema missing items."
    return None


def _unstrict_object(node: dict[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    members = node.get("properties") or {}
    required = node.get("required")
    every = "'required' is required to be supplied and to be an array including every key in properties."
    if members and not isinstance(required, list):
        return every
    left = [name for name in members if name not in (required or ())]
    if left:
        return f"{every} Missing '{left[0]}'."
    unknown = [name for name in required or () if name not in members]
    return f"{every} Extra required key '{unknown[0]}' supplied." if unknown else None


def check_openai_function(function: Mapping[str, Any], path: str) -> None:
    """Raises `Refused` (400) for the schema of a function that is none, or not strict where it says so."""
    schema, what = function.get("parameters"), f"function '{function.get('name')}'"

    def refuse(message: str) -> Refused:
        return bad_request(message, path, "invalid_function_parameters")

    if not schema:
        return
    if not isinstance(schema, dict):
        raise refuse(f"Invalid schema for {what}: {schema!r} is not of type 'object', 'boolean'.")
    if function.get("strict") is True:
        _check_strict(schema, what, refuse)
    elif schema.get("type") != "object":
        kind = schema.get("type")
        raise refuse(
            f"Invalid schema for {what}: schema must be a JSON Schema of 'type: \"object\"', got "
            f"'type: \"{kind}\"'."
        )


def check_claude_schema(form: Any, where: str) -> None:
    """Raises `Refused` (400) for a form of the answer that Messages does not take."""
    if not isinstance(form, dict):
        raise Refused(400, f"{where}: Input should be a valid dictionary")
    if form.get("type") != "json_schema":
        raise Refused(400, f"{where}.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise Refused(400, f"{where}.schema: Field required")
    for node, _ in _nodes(form["schema"]):
        why = _unfit_for_claude(node)
        if why is not None:
            raise Refused(400, f"{where}.schema: {why}")
    circle = _circle(form["schema"])
    if circle is not None:
        raise Refused(
            400, f"{where}.schema: Recursive schemas are not supported: '{circle}' refers to itself"
        )


def _circle(schema: dict[str, Any]) -> str | None:
    """Return a place of a schema that refers to itself, by whatever way."""
    inside = ("$defs", "definitions")
    own = {word: value for word, value in schema.items() if word not in inside}
    told = {"#": _references(own)}
    for word in inside:
        named = schema.get(word)
        for name, node in named.items() if isinstance(named, dict) else ():
            told[f"#/{word}/{name}"] = _references(node)
    for place in told:
        reached, ahead = set[str](), list(told[place])
        while ahead:
            at = ahead.pop()
            if at not in reached:
                reached.add(at)
                ahead += told.get(at, ())
        if place in reached:
            return place
    return None


def _references(schema: Any) -> set[str]:
    return {
        node["$ref"]
        for node, _ in _nodes(schema)
        if isinstance(node, dict) and isinstance(node.get("$ref"), str)
    }


def _unfit_for_claude(node: Any) -> str | None:
    if not isinstance(node, dict):
        return "Input should be a valid dictionary"
    for word in ("oneOf", "not", "if"):
        if word in node:
            return f"Schema type '{word}' is not supported"
    kind = node.get("type")
    if kind == "object":
        more = node.get("additionalProperties")
        if more is None:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"
        if more is not False:
            told = "true" if more is True else "object"
            return (
                f"For 'object' type, 'additionalProperties: {told}' is not supported. Please set "
                "'additionalProperties' to false"
            )
    if kind == "array" and node.get("minItems", 0) not in (0, 1):
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    known = _NOT_CLAUDE.get(kind, ()) if isinstance(kind, str) else ()
    refused = [word for word in known if word in node]
    if len(refused) > 1:
        return f"For '{kind}' type, properties {', '.join(refused)} are not supported"
    return f"For '{kind}' type, property '{refused[0]}' is not supported" if refused else None


def check_gemini_schema(schema: Any, where: str) -> None:
    """Raises `Refused` (400) for what Google's own ``Schema`` has no field for."""
    for node, at in _nodes(schema):
        place = where + "".join(f".{each}" if isinstance(each, str) else f"[{each}]" for each in at)
        if not isinstance(node, dict):
            raise Refused(400, f"Invalid value at '{place}': expected an object")
        for word in node:
            if _camel(word) not in _GOOGLES:
                raise Refused(
                    400,
                    f"Invalid JSON payload received. Unknown name \"{word}\" at '{place}': Cannot find "
                    "field.",
                )


def check_gemini_json_schema(schema: Any, where: str) -> None:
    """Raises `Refused` (400) for a JSON schema that Gemini does not take."""
    for node, _ in _nodes(schema):
        if not isinstance(node, (dict, bool)):
            raise Refused(400, f"* GenerateContentRequest.{where}: schema must be an object.")
        if isinstance(node, dict) and "$ref" in node and any(not w.startswith("$") for w in node):
            raise Refused(
                400,
                f"* GenerateContentRequest.{where}: only $-prefixed properties may be set on a "
                "sub-schema with $ref.",
            )


def _camel(word: str) -> str:
    first, *others = word.split("_")
    return first + "".join(each.title() for each in others)


def _nodes(schema: Any, at: Path = ()) -> Iterator[tuple[Any, Path]]:
    """A schema and all inside of it, with the places."""
    yield schema, at
    if not isinstance(schema, dict):
        return
    for word in ("$defs", "definitions", "properties"):
        named = schema.get(word)
        for name, node in named.items() if isinstance(named, dict) else ():
            yield from _nodes(node, (*at, word, name))
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        branches = schema.get(word)
        for number, node in enumerate(branches if isinstance(branches, list) else ()):
            yield from _nodes(node, (*at, word, str(number)))
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _nodes(schema[word], (*at, word))
