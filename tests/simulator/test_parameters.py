"""Which parameters are taken: those of the real services, and of servers of open models whatever comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from anthropic.types import message_create_params as anthropic_params
from anthropic.types.beta import message_create_params as anthropic_beta_params
from google.genai import types as google_types
from openai.types.chat import chat_completion_stream_options_param, completion_create_params
from openai.types.responses import response_create_params

from lm_deluge.simulator import Simulator
from lm_deluge.simulator.checks import parameters
from support.plain_client import Ask, Heard


def _fields(kind: Any) -> Iterator[str]:
    """The names of a package's typed dict, those of its bases included."""
    yield from getattr(kind, "__annotations__", {})
    for base in getattr(kind, "__orig_bases__", ()):
        yield from _fields(base)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (completion_create_params.CompletionCreateParamsStreaming, parameters.CHAT),
        (completion_create_params.CompletionCreateParamsNonStreaming, parameters.CHAT),
        (
            chat_completion_stream_options_param.ChatCompletionStreamOptionsParam,
            parameters.STREAM_OPTIONS,
        ),
        (response_create_params.ResponseCreateParamsStreaming, parameters.RESPONSES),
        (anthropic_params.MessageCreateParamsStreaming, parameters.MESSAGES),
        (anthropic_beta_params.MessageCreateParamsStreaming, parameters.MESSAGES),
    ],
)
def test_what_a_providers_package_sends_is_known(kind: Any, known: frozenset[str]) -> None:
    names = set(_fields(kind)) - {"betas"}  # a header
    assert len(names) > 1
    assert sorted(names - known) == []


def test_what_googles_package_calls_a_generation_config_is_known() -> None:
    names = {
        field.alias or name for name, field in google_types.GenerationConfig.model_fields.items()
    }
    assert sorted(names - parameters.GENERATION_CONFIG) == []


#: What servers of open models take, by their documentation: sampling, templates, guided output, scheduling.
_OPEN: dict[str, Any] = {
    "ignore_eos": True,
    "min_tokens": 4,
    "max_tokens": 8,
    "max_completion_tokens": 8,
    "top_k": 20,
    "min_p": 0.05,
    "repetition_penalty": 1.1,
    "length_penalty": 1.0,
    "stop_token_ids": [1, 2],
    "include_stop_str_in_output": False,
    "skip_special_tokens": True,
    "spaces_between_special_tokens": True,
    "bad_words": ["x"],
    "allowed_token_ids": [1],
    "prompt_logprobs": None,
    "echo": False,
    "add_generation_prompt": True,
    "continue_final_message": False,
    "add_special_tokens": False,
    "documents": [],
    "chat_template": None,
    "chat_template_kwargs": {"enable_thinking": False},
    "mm_processor_kwargs": {},
    "guided_json": {"type": "object"},
    "guided_regex": None,
    "structured_outputs": {},
    "priority": 0,
    "request_id": "r",
    "cache_salt": "s",
    "kv_transfer_params": {},
    "return_token_ids": True,
    "vllm_xargs": {},
    "separate_reasoning": True,
    "reasoning_effort": "high",
    "mirostat": 0,
    "cache_prompt": True,
    "keep_alive": "5m",
    "options": {"num_ctx": 4096},
    "provider": {"order": ["x"]},
    "transforms": [],
    "a_parameter_of_tomorrow": 1,
}


@pytest.mark.parametrize("name", _OPEN)
async def test_a_server_of_open_models_passes_over_what_openai_refuses(ask: Ask, name: str) -> None:
    async with Simulator(models=["llama3", "gpt-4o"]) as sim:
        heard = await ask(sim, model="llama3", **{name: _OPEN[name]})
        assert (heard.status, heard.done) == (200, True), heard.body
        if name not in parameters.CHAT:
            heard = await ask(sim, model="gpt-4o", **{name: _OPEN[name]})
            assert heard.status == 400
            assert (
                f"Unrecognized request argument supplied: {name}" in heard.json["error"]["message"]
            )


def _chunks(heard: Heard) -> list[dict[str, Any]]:
    return [event for event in heard.events if isinstance(event, dict)]


async def test_all_of_them_at_once_as_benchmarks_send_them(ask: Ask) -> None:
    async with Simulator(models=["llama3"]) as sim:
        heard = await ask(
            sim, model="llama3", **_OPEN, stop=None,
            stream_options={"include_usage": True, "continuous_usage_stats": True},
        )  # fmt: skip
    assert heard.done
    assert _chunks(heard)[-1]["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize(
    ("asked", "tokens", "finish"),
    [
        ({"ignore_eos": True, "max_tokens": 300}, 300, "length"),
        ({"ignore_eos": True, "max_completion_tokens": 7}, 7, "length"),
        ({"min_tokens": 200, "max_tokens": 1000}, 200, "stop"),
        ({"min_tokens": "x", "max_tokens": 5}, 5, "length"),
        ({"ignore_eos": False, "max_tokens": 5}, 5, "length"),
    ],
)
async def test_an_answer_has_the_length_that_a_benchmark_asks_for(
    ask: Ask, asked: dict[str, Any], tokens: int, finish: str
) -> None:
    async with Simulator(models=["llama3"]) as sim:
        heard = await ask(
            sim, model="llama3", **asked, stream_options={"include_usage": True}
        )  # fmt: skip
    *_, last, usage = _chunks(heard)
    assert usage["usage"]["completion_tokens"] == tokens
    assert last["choices"][0]["finish_reason"] == finish


async def _respond(sim: Simulator, **fields: Any) -> tuple[int, dict[str, Any]]:
    body = {"input": "Hi", **fields}
    async with aiohttp.ClientSession() as session:
        reply = await session.post(
            f"{sim.base_url}/responses", json=body, headers={"Authorization": "Bearer k"}
        )
        return reply.status, json.loads(await reply.text())


#: What Codex sends (0.171), apart from its tools and texts.
_CODEX: dict[str, Any] = {
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "parallel_tool_calls": True,
    "prompt_cache_key": "c-1",
    "text": {"verbosity": "low"},
    "reasoning": {"effort": "medium", "summary": "auto"},
    "client_metadata": {"x-codex-installation-id": "i-1"},
    "tool_choice": "auto",
    "tools": [{"type": "function", "name": "shell", "parameters": {"type": "object"}}],
}


async def test_what_codex_sends_is_taken_and_what_nobody_knows_is_refused() -> None:
    async with Simulator(models=["gpt-5.2-codex", "llama3"]) as sim:
        status, _ = await _respond(sim, model="gpt-5.2-codex", **_CODEX)
        assert status == 200
        status, said = await _respond(sim, model="gpt-5.2-codex", top_k=1)
        assert (status, said["error"]["code"]) == (400, "unknown_parameter")
        status, _ = await _respond(sim, model="llama3", top_k=1, max_tokens=20, request_id="r")
        assert status == 200
