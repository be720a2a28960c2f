"""OpenAI's own endpoint on loopback: its name is looked up here."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from lm_deluge import LLMClient
from support.clients import KEY


class _Here(AbstractResolver):
    """Every host is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


def client_at_openai(
    port: int, model: str, *, host: str = "api.openai.com", **kwargs: Any
) -> LLMClient:
    """Return a silent client of the server on a port, which it takes for OpenAI's.

    For one event loop; its connector is the test's to close, which ends with its loop.
    """
    kwargs.setdefault("printer", None)
    kwargs.setdefault("api_key", KEY)
    connector = aiohttp.TCPConnector(resolver=_Here(), force_close=True)
    return LLMClient(model, base_url=f"http://{host}:{port}/v1", connector=connector, **kwargs)
