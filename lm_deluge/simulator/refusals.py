"""Error replies in the shape and wording of the real service."""

from __future__ import annotations

import json
from typing import Any

import attrs

from lm_deluge.simulator.steps import Overhead, Reply


@attrs.define(eq=False)
class Refused(Exception):  # noqa: N818 - it is an answer, not a failure of the simulator
    """A request that the real service would refuse."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }

    def reply(self) -> Reply:
        """The whole reply."""
        return json_reply(self.body(), status=self.status, indent=2)


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


def azure_reply(status: int, code: str, message: str) -> Reply:
    """An error in Azure's own shape."""
    return json_reply({"error": {"code": code, "message": message}}, status=status)


def masked(key: str) -> str:
    """A key as the real service repeats it: the middle starred out."""
    if len(key) <= 12:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
