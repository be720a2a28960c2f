"""Whose a name is, and which names the environment variable serves: tables of names."""

from __future__ import annotations

import attrs
import pytest

from lm_deluge.errors import UnsupportedModelError
from lm_deluge.models.registry import ModelInfo, register_model, unregister_model
from lm_deluge.models.resolving import resolve_model

URL = "http://env/v1"


def resolve(name: str, base_url: str | None = None, env: str | None = None) -> ModelInfo:
    return resolve_model(name, base_url=base_url, env_base_url=env)


#: Names with a separator, as hubs, routers and Ollama write them.
SEPARATED = (
    "Qwen/Qwen3-8B meta-llama/Llama-3.3-70B-Instruct mistralai/Mistral-Large-Instruct-2411 "
    "anthropic/claude-sonnet-4 google/gemini-2.5-pro openai/gpt-4o openai/gpt-oss-120b x-ai/grok-4 "
    "deepseek/deepseek-chat cohere/command-r-plus moonshotai/Kimi-K2-Instruct accounts/fireworks/models/x "
    "/models/llama.gguf ./my-model groq/llama3 llama3.1:8b gpt-oss:20b deepseek-r1:latest command-r:35b "
    "mistral-large:123b claude:test hf.co/bartowski/X-GGUF:Q4_K_M my-org/my-model:v1 "
    "anthropic.claude-3-5-sonnet-20240620-v1:0 openai-compatible:x gemini/gemini-2.5-pro"
).split()

SIZED = (
    "mistral-7b Mistral-7B-Instruct-v0.3 mixtral-8x7b open-mixtral-8x22b yi-34b yi-1.5-9b-chat "
    "falcon-40b-instruct glm-4-9b-chat internlm2_5-7b-chat baichuan2-13b ministral-8b-instruct "
    "deepseek-coder-6.7b DeepSeek-67B kimi-vl-3b minicpm-0.5b granite-3b olmo-2-13b exaone-3.5-7.8b "
    "vicuna13b command-r7b ernie-4.5-21b-a3b smollm2-135m smollm-360M nemotron-70b_q4 solar-10.7b "
    "codestral-22b-v0.1 pixtral-12b-2409 c4ai-command-r-35b"
).split()

DISTILLED = "deepseek-distill-x DeepSeek-R1-Distill-Qwen kimi-distilled my-distill".split()

FAMILIES = (
    "llama3.2 llama3 llama-3.3 Llama-4-Scout llama2-uncensored codellama tinyllama meta-llama-3 qwen3 "
    "Qwen2.5-Coder qwq qwen2.5vl codeqwen gemma3 gemma-2 codegemma medgemma phi phi3 phi4-mini phi-4 "
    "mixtral mixtral-instruct gpt-oss gpt-oss-20b deepseek-r1 DeepSeek-R1-0528 deepseek-v3 deepseek-v3.1 "
    "mistral mistral-nemo olmo2 smollm2 granite3.3 granite-code starcoder2 falcon3 nemotron-mini vicuna "
    "wizardlm2 dbrx-instruct"
).split()

NOBODYS = (
    "my-model some_model tgi default local-model zephyr hermes3 orca-mini dolphin3 gtp-4o".split()
)

OPENAIS = (
    "gpt-4o gpt-4o-mini o3 gpt-5 chatgpt-4o-latest ft:gpt-4o:org::id gpt-4.1-2025-04-14".split()
)


@pytest.mark.parametrize("name", [*SEPARATED, *SIZED, *DISTILLED, *FAMILIES, *NOBODYS, *OPENAIS])
def test_the_environment_serves_every_name_that_nobody_else_owns(name: str) -> None:
    info = resolve(name, env=URL)
    assert (info.name, info.model_id, info.base_url) == (name, name, URL)


HOSTED = {
    "claude-3-5-sonnet-latest": "Anthropic",
    "Claude-4": "Anthropic",
    "claude": "Anthropic",
    "gemini-2.5-flash": "Google",
    "gemini-1.5-flash-8b": "Google",
    "Gemini-Pro": "Google",
    "command-r": "Cohere",
    "command-r-plus-08-2024": "Cohere",
    "command-a-03-2025": "Cohere",
    "mistral-large": "Mistral",
    "mistral-large-latest": "Mistral",
    "mistral-small-latest": "Mistral",
    "mistral-medium": "Mistral",
    "codestral-latest": "Mistral",
    "magistral-medium-2507": "Mistral",
    "deepseek-chat": "DeepSeek",
    "deepseek-reasoner": "DeepSeek",
    "deepseek-coder": "DeepSeek",
    "grok-3-mini": "xAI",
    "kimi-k2-0905-preview": "Moonshot",
    "moonshot-v1-128k": "Moonshot",
    "glm-4.6": "Z.ai",
    "nova-lite": "Amazon",
    "jamba-large": "AI21",
    "sonar-pro": "Perplexity",
    "yi-large": "01.AI",
    "ernie-4.0": "Baidu",
    "doubao-1.5-pro-32k": "ByteDance",
    "minimax-m2": "MiniMax",
    "reka-core": "Reka",
}


@pytest.mark.parametrize(("name", "provider"), HOSTED.items())
@pytest.mark.parametrize("env", [None, URL])
def test_a_name_that_another_provider_serves_is_refused_with_the_ways_to_stream_it(
    name: str, provider: str, env: str | None
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        resolve(name, env=env)
    text = str(caught.value)
    prefix = {"Anthropic": "anthropic:", "Google": "gemini:"}.get(provider)
    assert caught.value.suggestions == (() if prefix is None else (prefix + name,))
    if prefix is not None:
        assert repr(prefix + name) in text
    assert "base_url=" in text
    assert f"register_model({name!r}" in text
    assert "OPENAI_BASE_URL" in text
    assert caught.value.model == name
    assert provider in (caught.value.provider or "")
    assert provider in text


PREFIXED = {
    "openai:gpt-4o": ("chat", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "OpenAI:gpt-4o": ("chat", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openai-responses:gpt-5": ("responses", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic:claude-sonnet-5-5": (
        "messages", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"
    ),
    "anthropic:some/model": ("messages", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "gemini:gemini-3.8-flash": (
        "gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), PREFIXED.items())
def test_a_prefix_says_whom_to_ask_and_how(name: str, expected: tuple[str, str, str]) -> None:
    info = resolve(name)
    assert (info.dialect, info.base_url, info.api_key_env) == expected
    assert (info.name, info.model_id) == (name, name.partition(":")[2])
    assert resolve(name, env=URL).base_url == URL
    assert resolve(name, "http://argument/v1", URL).model_id == name.partition(":")[2]


def test_what_is_known_of_a_model_is_known_with_its_prefix_too() -> None:
    plain, asked = resolve("gpt-5"), resolve("openai-responses:gpt-5")
    assert asked == attrs.evolve(plain, name="openai-responses:gpt-5", dialect="responses")


@pytest.mark.parametrize("name", ["anthropic:claude-x", "claude-x", "openai:gpt-4o", "gemini"])
@pytest.mark.parametrize("dialect", ["chat", "responses", "messages", "gemini"])
def test_with_a_dialect_a_name_is_sent_as_written(name: str, dialect: str) -> None:
    info = resolve_model(name, base_url=URL, env_base_url=None, dialect=dialect)
    assert (info.name, info.model_id, info.dialect) == (name, name, dialect)


def test_a_dialect_alone_asks_its_providers_own_endpoint() -> None:
    info = resolve_model("claude-x", base_url=None, env_base_url=None, dialect="messages")
    assert info.base_url == "https://api.anthropic.com/v1"
    with pytest.raises(UnsupportedModelError, match="'anthropic:claude-x'"):
        resolve_model("claude-x", base_url=None, env_base_url=None, dialect="chat")


@pytest.mark.parametrize("name", ["openai:", "anthropic:", "gemini:"])
def test_a_prefix_alone_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="names no model"):
        resolve(name)


@pytest.mark.parametrize("name", [*HOSTED, *SEPARATED, "openai:gpt-4o", "gtp-4o"])
def test_an_argument_serves_every_name(name: str) -> None:
    assert resolve(name, "http://argument/v1", URL).base_url == "http://argument/v1"


@pytest.mark.parametrize("name", ["llama3.2", "Qwen/Qwen3-8B", "mistral-7b", "my-model"])
def test_an_open_model_without_a_server_is_told_of_the_variable(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"base_url=.*OPENAI_BASE_URL"):
        resolve(name)


def test_what_the_variable_does_not_serve_is_said_where_it_is_set() -> None:
    with pytest.raises(UnsupportedModelError) as unset:
        resolve("mistral-large")
    with pytest.raises(UnsupportedModelError) as refused:
        resolve("mistral-large", env=URL)
    assert "is set" not in str(unset.value)
    assert "OPENAI_BASE_URL is set, but" in str(refused.value)
    assert "'/' or ':'" in str(refused.value)


ONLY_RESPONSES = (
    "o1-pro o3-pro gpt-5-pro gpt-5-pro-2025-10-06 gpt-5.5-pro gpt-5-codex gpt-5.1-codex-max "
    "o3-deep-research o4-mini-deep-research-2025-06-26 openai:codex-mini-latest "
    "openai:computer-use-preview openai:o3-pro"
).split()


@pytest.mark.parametrize("name", ONLY_RESPONSES)
def test_what_openai_serves_by_responses_alone_is_asked_so_at_its_own_endpoint(name: str) -> None:
    for url in (None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        assert resolve(name, url).dialect == "responses"
        assert resolve(name, env=url).dialect == "responses"
    for url in ("http://proxy/v1", "https://api.openai.com.example/v1"):
        assert resolve(name, url).dialect == "chat"
        assert resolve(name, env=url).dialect == "chat"
    plain = name.removeprefix("openai:")
    info = resolve_model(plain, base_url=None, env_base_url=None, dialect="chat")
    assert info.dialect == "chat"


@pytest.mark.parametrize("name", ["gpt-4o", "o3", "gpt-5", "gpt-5.5", "ft:gpt-4o:codex::x-pro"])
def test_what_openai_serves_by_chat_completions_stays_there(name: str) -> None:
    assert resolve(name).dialect == "chat"


def test_a_registration_says_how_a_model_is_asked() -> None:
    register_model("o3-pro")
    try:
        assert resolve("o3-pro").dialect == "chat"
    finally:
        unregister_model("o3-pro")
