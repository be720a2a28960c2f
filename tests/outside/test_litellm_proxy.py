"""LiteLLM's proxy, which translates: our client before it, our simulator behind it.

By hand, because it is 750 MB: ``pip install 'litellm[proxy]'`` into an environment of its own, and
``LM_DELUGE_LITELLM=…/bin/litellm pytest -m slow tests/outside/test_litellm_proxy.py``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, SamplingParams
from lm_deluge.errors import RateLimitError
from lm_deluge.simulator import Simulator
from outside.heard import WEATHER
from support.outside import serving

_PROGRAM = os.environ.get("LM_DELUGE_LITELLM")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_PROGRAM is None, reason="LM_DELUGE_LITELLM names no program (750 MB)"),
]

_KEY = "sk-of-a-proxy-that-nobody-else-asks-0123456789"
_TEXT = ["Grüße, ", "\U0001f3a8 vom", " Proxy"]
_CALLS = [("weather", {"city": "東京"})]
_PATHS = {"chat": "/v1", "responses": "/v1", "messages": "", "gemini": ""}


def _model(name: str, provider: str, address: str) -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {"model": provider, "api_base": address, "api_key": "k"},
    }


def _answers(url: str) -> bool:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = tmp_path_factory.mktemp("litellm") / "config.yaml"
    with (
        Simulator(text=_TEXT, reasoning="Well,") as thinking,
        Simulator(text="Let me see", tool_calls=_CALLS) as calling,
        Simulator(text="no", faults="status:429") as limited,
    ):
        models = [
            _model("thinks", "anthropic/claude-sonnet-4-5", thinking.url),
            _model("calls", "anthropic/claude-sonnet-4-5", calling.url),
            _model("limited", "openai/o4-mini", limited.base_url),
        ]
        retries = {"num_retries": 0, "disable_cooldowns": True}
        config.write_text(json.dumps({"model_list": models, "router_settings": retries}))
        environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": _KEY}
        with serving(
            lambda port: [
                str(_PROGRAM), "--config", config, "--host", "127.0.0.1", "--port", str(port)
            ],
            seconds=120,
            PYTHONPATH="",
            **environment,
        ) as url:  # fmt: skip
            until = time.monotonic() + 60
            while not _answers(url):
                assert time.monotonic() < until
                time.sleep(0.2)
            yield url


def _client(dialect: str, proxy: str, model: str) -> LLMClient:
    return LLMClient(
        model,
        dialect=dialect,
        base_url=proxy + _PATHS[dialect],
        api_key=_KEY,
        printer=None,
        retries=RetryPolicy.none(),
        sampling_params=SamplingParams(max_new_tokens=5000),
    )


@pytest.mark.parametrize("dialect", _PATHS)
async def test_text_and_thoughts_come_through(dialect: str, proxy: str) -> None:
    async with _client(dialect, proxy, "thinks") as client:
        response = await client.stream("Hi")
    assert (response.completion, response.finish_reason) == ("".join(_TEXT), "stop")
    # It does not pass thoughts on to Gemini's wire.
    assert response.reasoning == (None if dialect == "gemini" else "Well,")
    assert response.usage is not None
    assert (response.usage.output_tokens or 0) > 0


@pytest.mark.parametrize("dialect", _PATHS)
async def test_calls_come_through(dialect: str, proxy: str) -> None:
    async with _client(dialect, proxy, "calls") as client:
        response = await client.stream("Hi", tools=[WEATHER])
    told = [(call.name, call.parsed()) for call in response.tool_calls]
    assert (response.completion, told) == ("Let me see", _CALLS)
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize("dialect", _PATHS)
async def test_a_limit_behind_it_is_one(dialect: str, proxy: str) -> None:
    async with _client(dialect, proxy, "limited") as client:
        with pytest.raises(RateLimitError):
            await client.stream("Hi")
