"""The names users import: there, complete, and described."""

from __future__ import annotations

import importlib
import inspect

import blinker
import pytest

PROMISED = {
    "lm_deluge": "LLMClient Stream Conversation Message ToolCall SamplingParams Timeouts APIResponse "
    "OtherCall Usage Token Delta Retry Partial HandlerFailure StreamHandler StreamOptions ManyOptions "
    "ChatOptions attach register_model",
    "lm_deluge.config": "SamplingParams Timeouts RetryPolicy",
    "lm_deluge.api_requests.openai": "stream_chat",
    "lm_deluge.signals": "on_start on_token on_delta on_retry on_complete on_error",
    "lm_deluge.errors": "StreamError APIError APIConnectionError APITimeoutError APIStatusError "
    "AuthenticationError RateLimitError BadRequestError UnsupportedModelError StreamCancelled "
    "HandlerError ConnectionLostError AnswerCutError ProviderError ProtocolError",
    "lm_deluge.simulator": "Simulator Gap Fault",
    "lm_deluge.proxy": "Proxy",
    "lm_deluge.sync": "LLMClient Stream stream_chat",
    "lm_deluge.timeline": "Timeline read_timelines",
    "lm_deluge_plugins": "StdoutPrinter RichPrinter Smooth ChunkCollector FileLogger",
}

#: Modules whose ``__all__`` is the whole of what users may import from them.
COMPLETE = (
    "lm_deluge",
    "lm_deluge.api_requests.openai",
    "lm_deluge.appending",
    "lm_deluge.config",
    "lm_deluge.errors",
    "lm_deluge.proxy",
    "lm_deluge.recording",
    "lm_deluge.signals",
    "lm_deluge.simulator",
    "lm_deluge.sync",
    "lm_deluge.testing",
    "lm_deluge.timeline",
    "lm_deluge.timeline.record",
    "lm_deluge_plugins",
)


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in PROMISED for name in PROMISED[module].split()]
)
def test_promised_name_can_be_imported(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.parametrize("module", COMPLETE)
def test_all_is_sorted_and_every_name_in_it_exists(module: str) -> None:
    loaded = importlib.import_module(module)
    names = loaded.__all__
    assert names == sorted(names, key=_isort_key)
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(loaded, name)] == []


def _isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as ruff (RUF022) sorts ``__all__``."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


@pytest.mark.parametrize("module", COMPLETE)
def test_what_a_module_defines_for_users_is_in_all(module: str) -> None:
    loaded = importlib.import_module(module)
    is_package = hasattr(loaded, "__path__")
    defined = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and (inspect.isclass(value) or inspect.isfunction(value))
        # A package gathers from its modules; a module's imports are its own business.
        and value.__module__.startswith("lm_deluge" if is_package else loaded.__name__)
    }
    internal = {
        "lm_deluge.signals": {"StreamSender", "StreamSignal"},
        "lm_deluge.testing": {"pytest_configure"},  # for pytest, which finds it by its name
    }
    assert defined - internal.get(module, set()) <= set(loaded.__all__)


@pytest.mark.parametrize("module", COMPLETE)
def test_every_public_class_and_function_has_a_docstring(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    undescribed = [
        name
        for name in loaded.__all__
        if (inspect.isclass(value := getattr(loaded, name)) or inspect.isfunction(value))
        and not inspect.getdoc(value)
    ]
    assert undescribed == []


def test_signals_are_blinker_signals_with_a_docstring_that_says_when_they_fire() -> None:
    signals = importlib.import_module("lm_deluge.signals")
    for name in signals.__all__:
        signal = getattr(signals, name)
        assert isinstance(signal, blinker.Signal)
        assert signal.name == name
        assert signal.__doc__


def test_every_error_class_is_in_the_tree_that_the_docstring_draws() -> None:
    errors = importlib.import_module("lm_deluge.errors")
    drawn = errors.__doc__ or ""
    classes = [name for name in errors.__all__ if inspect.isclass(getattr(errors, name))]
    assert [name for name in classes if f" {name} " not in drawn.replace("\n", " ")] == []


def test_import_star_gives_the_public_names_alone() -> None:
    namespace: dict[str, object] = {}
    exec("from lm_deluge import *", namespace)  # noqa: S102 - it is what is tested
    namespace.pop("__builtins__")
    assert set(namespace) == set(importlib.import_module("lm_deluge").__all__)
