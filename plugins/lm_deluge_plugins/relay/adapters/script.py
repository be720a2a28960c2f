"""The module that browsers load: the same for every framework."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files

from attrs import frozen

__all__ = ["ModuleAnswer", "script_for"]


@frozen
class ModuleAnswer:
    """An answer with the module: ``status`` 304 and no ``body`` where the browser has it already."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def script_for(headers: Mapping[str, str]) -> ModuleAnswer:
    """Return the answer to a request for ``lm_deluge.js``."""
    body, tag = _module()
    # Asked for each time, so that a page never talks to a newer server than its module knows.
    head = {"ETag": tag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
    held = [each.strip().removeprefix("W/") for each in headers.get("If-None-Match", "").split(",")]
    if tag in held or "*" in held:
        return ModuleAnswer(304, head, b"")
    kind = {
        "Content-Type": "text/javascript; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }
    return ModuleAnswer(200, {**head, **kind}, body)


@cache
def _module() -> tuple[bytes, str]:
    body = files("lm_deluge_plugins.relay").joinpath("static", "lm_deluge.js").read_bytes()
    return body, f'"{sha256(body).hexdigest()[:24]}"'
