"""The names of lm_deluge.sync are those of lm_deluge, with the same parameters."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import lm_deluge
import lm_deluge.sync
from lm_deluge.api_requests import openai
from support.programs import clean_environment

#: What is called differently without ``async``: methods of the language, and what cannot be awaited.
PUBLIC = [name for name in dir(lm_deluge.Stream) if not name.startswith("_")]
VERBS = [
    name
    for name, value in vars(lm_deluge.LLMClient).items()
    if not name.startswith("_") and callable(value)
]


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    # ``client`` is of the class beside it in both.
    return [(each.name, each.kind, each.default, each.annotation) for each in found]


@pytest.mark.parametrize("verb", ["__init__", *VERBS])
def test_a_verb_takes_what_its_namesake_takes(verb: str) -> None:
    assert parameters(getattr(lm_deluge.sync.LLMClient, verb)) == parameters(
        getattr(lm_deluge.LLMClient, verb)
    )


def test_the_verbs_are_the_ones_that_users_know() -> None:
    assert {"stream", "open_stream", "stream_many", "close"} <= set(VERBS)


def test_stream_chat_takes_what_its_namesake_takes() -> None:
    assert parameters(lm_deluge.sync.stream_chat) == parameters(openai.stream_chat)


@pytest.mark.parametrize("verb", ["__init__", *VERBS])
def test_no_verb_gives_anything_to_await(verb: str) -> None:
    function = getattr(lm_deluge.sync.LLMClient, verb)
    assert not inspect.iscoroutinefunction(function)
    assert not inspect.isasyncgenfunction(function)
    assert "Async" not in str(inspect.signature(function).return_annotation)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_stream_has_every_public_name_of_its_namesake(name: str) -> None:
    assert hasattr(lm_deluge.sync.Stream, name)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in PUBLIC
        if "AsyncGenerator"
        in str(getattr(getattr(lm_deluge.Stream, name), "__annotations__", {}).get("return"))
    ],
)
def test_what_is_iterated_is_iterated_without_async(name: str) -> None:
    ours = getattr(lm_deluge.sync.Stream, name)
    assert parameters(ours) == parameters(getattr(lm_deluge.Stream, name))
    assert "Async" not in str(inspect.signature(ours).return_annotation)


def test_the_settings_of_a_client_can_be_read() -> None:
    client = lm_deluge.sync.LLMClient("gpt-4o", temperature=0.5, tags={"a": 1})
    assert (client.model, client.sampling_params.temperature, client.tags) == (
        "gpt-4o",
        0.5,
        {"a": 1},
    )
    assert not isinstance(client, lm_deluge.LLMClient)
    assert repr(client) == "LLMClient('gpt-4o')"


def test_importing_lm_deluge_does_not_import_it_and_its_attribute_does() -> None:
    program = (
        "import sys, threading, lm_deluge; before = 'lm_deluge.sync' in sys.modules; "
        "client = lm_deluge.sync.LLMClient('gpt-4o'); "
        "print(before, lm_deluge.sync is sys.modules['lm_deluge.sync'], threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout == "False True 1\n"  # and no thread before the first stream


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    help(lm_deluge.sync)
    said = capsys.readouterr().out
    for words in ("class LLMClient", "class Stream", "stream_chat(", "Streams without ``async``"):
        assert words in said
    assert max(map(len, (lm_deluge.sync.__doc__ or "").splitlines())) <= 110
