"""Error replies in the shape and wording of the real service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from lm_deluge.servers.errors import ErrorReply, openai_error
from lm_deluge.simulator.saying.steps import Overhead, Reply


@attrs.define(eq=False)
class Refused(Exception):  # noqa: N818 - it is an answer, not a failure of the simulator
    """A request that the real service would refuse."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"

    def reply(self) -> Reply:
        """The whole reply."""
        error = openai_error(
            self.status, self.message, kind=self.type, param=self.param, code=self.code, indent=2
        )
        return error_reply(error)


def error_reply(error: ErrorReply) -> Reply:
    """The reply that tells an error."""
    reply = json_reply(
        error.body, status=error.status, headers=dict(error.headers), indent=error.indent
    )
    return attrs.evolve(reply, content_type=error.content_type)


def json_reply(
    body: Any,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    indent: int | None = None,
) -> Reply:
    """A reply with a JSON body of known length."""
    data = json.dumps(body, ensure_ascii=False, indent=indent).encode()
    return Reply(
        steps=(Overhead(data),),
        status=status,
        headers={"Content-Length": str(len(data)), **(headers or {})},
        content_type="application/json",
        chunked=False,
    )


def bad_request(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A 400."""
    return Refused(400, message, param, code)


def missing(path: str) -> Refused:
    """A 400 for a field that has to be there."""
    return bad_request(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def wrong_type(path: str, wanted: str, value: object) -> Refused:
    """A 400 for a value of a type that is not ``wanted``."""
    return bad_request(
        f"Invalid type for '{path}': expected {wanted}, but got {kind(value)} instead.",
        path,
        "invalid_type",
    )


def empty_array(path: str) -> Refused:
    """A 400 for an array that has to hold something."""
    return bad_request(
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty "
        "array instead.",
        path,
        "empty_array",
    )


def not_one_of(values: Sequence[str], path: str, value: object) -> Refused:
    """A 400 for a value that is none of those supported."""
    return bad_request(
        f"Invalid value: '{value}'. Supported values are: {listed(values)}.", path, "invalid_value"
    )


def listed(values: Sequence[str]) -> str:
    """Values as the real service lists them."""
    *rest, last = (f"'{value}'" for value in values)
    if len(rest) == 1:
        return f"{rest[0]} and {last}"
    return f"{', '.join(rest)}, and {last}"


def kind(value: object) -> str:
    """What the service calls a value of the wrong type."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    name = names.get(type(value), "an unknown value")
    return "an empty array" if value == [] else name


def azure_reply(status: int, code: str, message: str) -> Reply:
    """An error in Azure's own shape."""
    return json_reply({"error": {"code": code, "message": message}}, status=status)


def masked(key: str) -> str:
    """A key as the real service repeats it: the middle starred out."""
    if len(key) <= 12:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
