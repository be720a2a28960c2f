"""What is a handler and what is none: said where it is given, before anything is sent."""

from __future__ import annotations

import functools
import gc
import logging
import types
import weakref
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

from lm_deluge import LLMClient, StreamHandler, attach
from lm_deluge.errors import StreamError
from support.clients import client_for
from support.scripted import RESET, ScriptedServer, answer

METHODS = ("on_start", "on_token", "on_delta", "on_retry", "on_complete", "on_error")


def hear(self: object, *args: object) -> None:
    """Hear nothing."""


def of(base: type = object, **methods: Any) -> object:
    return type("Mine", (base,), methods)()


def refused(handler: object) -> str:
    """Return what the client, the call, the printer's place and ``attach`` say of it: the same."""
    client = LLMClient("gpt-4o", base_url="http://localhost:1", printer=None)
    doors: list[Callable[[], object]] = [
        lambda: LLMClient("gpt-4o", handlers=[handler]),
        lambda: LLMClient("gpt-4o", printer=handler),
        lambda: client.open_stream("hi", handlers=[handler]),
        lambda: attach(handler),
    ]
    said = set()
    for door in doors:
        with pytest.raises(TypeError) as caught:
            door()
        said.add(str(caught.value))
    (text,) = said
    return text


def taken(handler: object) -> None:
    LLMClient("gpt-4o", base_url="http://localhost:1", handlers=[handler]).open_stream("hi")


@pytest.mark.parametrize("base", [object, StreamHandler])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on_tokens", "on_token"),
        ("onToken", "on_token"),
        ("OnToken", "on_token"),
        ("on_Token", "on_token"),
        ("ontoken", "on_token"),
        ("on_tokn", "on_token"),
        ("on_toekn", "on_token"),
        ("on_tokken", "on_token"),
        ("on_tolen", "on_token"),
        ("on__token", "on_token"),
        ("on_completed", "on_complete"),
        ("on_completion", "on_complete"),
        ("onComplete", "on_complete"),
        ("on_compelte", "on_complete"),
        ("on_errors", "on_error"),
        ("on_eror", "on_error"),
        ("on_started", "on_start"),
        ("on_strat", "on_start"),
        ("on_deltas", "on_delta"),
        ("on_dleta", "on_delta"),
        ("on_retries", "on_retry"),
        ("on_retrying", "on_retry"),
    ],
)
def test_a_misspelt_method_is_pointed_out_alone_and_beside_right_ones(
    base: type, written: str, meant: str
) -> None:
    right = next(name for name in METHODS if name != meant)
    assert f"did you mean {meant}?" in refused(of(base, **{written: hear}))
    beside = refused(of(base, **{written: hear, right: hear}))
    assert beside == f"Mine.{written} would never be called: did you mean {meant}?"
    if base is object:
        own = types.SimpleNamespace(**{written: print, right: print})
        assert f"did you mean {meant}?" in refused(own)


@pytest.mark.parametrize(
    "name", ["on_state", "on_restart", "on_mount", "on_key", "online", "token", "on_token_count"]
)
def test_another_name_beside_a_right_method_is_the_handlers_own(name: str) -> None:
    taken(of(on_token=hear, **{name: hear}))


def test_a_misspelt_name_is_no_method_if_the_right_one_is_there_or_if_it_is_no_function() -> None:
    taken(of(on_token=hear, on_tokens=hear))
    taken(of(on_complete=hear, on_tokens=3))
    taken(of(on_complete=hear, OnToken=type("OnToken", (), {})))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("on_finish", "on_complete"), ("on_llm_new_token", "on_token"), ("on_chunk", "on_token")],
)
def test_a_method_of_another_name_is_told_once_a_class(
    name: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler = of(on_start=hear, **{name: hear})
    for _ in range(3):
        taken(handler)
    (record,) = [record for record in caplog.records if record.name == "lm_deluge"]
    assert record.levelno == logging.WARNING
    assert f"Mine.{name} is none of the six" in record.getMessage()
    assert record.getMessage().endswith(f"did you mean {meant}?")


class Deaf(StreamHandler):
    """Overrides nothing."""


def test_a_handler_of_nothing_is_told_what_is_missing() -> None:
    assert refused(object()).startswith(
        "object is no handler: it has none of the methods on_start,"
    )
    assert refused(Deaf()).startswith("Deaf is no handler: it overrides none of the methods")
    assert refused(Deaf) == "a handler must be an object, not the class Deaf: call it first"
    assert "on_chunk (did you mean on_token?)" in refused(of(on_chunk=hear))
    taken(StreamHandler())


def wide(self: object, stream: object, payload: object = None, *, extra: object = None) -> None: ...
def starred(*args: object, **kwargs: object) -> None: ...
def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, 3, **kwargs)

    return wrapper


def lying(self: object, stream: object, payload: object) -> None: ...


lying.__signature__ = "none"  # type: ignore[attr-defined]


class Called:
    def __call__(self, stream: object, payload: object = None) -> None: ...


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "method",
    [
        wide,
        starred,
        lambda self, stream, *rest: None,
        decorated(lambda self, stream, payload, extra: None),
        staticmethod(lambda stream, payload=None: None),
        classmethod(lambda cls, stream, payload=None: None),
        functools.partialmethod(lambda self, extra, stream, payload=None: None, 1),
        staticmethod(functools.partial(lambda one, two, stream, payload=None: None, 1, 2)),
        staticmethod(functools.partial(lambda stream, payload=None, *, extra: None, extra=1)),
        functools.lru_cache(lambda self, stream, payload=None: None),
        Called(),
        Mock(),
        AsyncMock(),
        create_autospec(wide),
        print,
        dict,
    ],
)
def test_a_method_that_may_be_called_passes(name: str, method: Any) -> None:
    taken(of(**{name: method}))


class CalledWithNothing:
    def __call__(self) -> None: ...


NONE: list[Any] = []


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (lambda: None, "it takes no argument, not even self"),
        (lambda self: None, "it takes ()"),
        (lambda self, stream: None, "it takes (stream)"),
        (lambda stream, token: None, "it takes (token)"),
        (lambda self, stream, token, extra: None, "it needs extra, too"),
        (lambda self, stream, token, *, extra: None, "it needs extra, too"),
        (staticmethod(lambda stream: None), "it takes (stream)"),
        (staticmethod(lambda self, stream, token: None), "it needs token, too"),
        (classmethod(lambda cls, stream: None), "it takes (stream)"),
        (staticmethod(functools.partial(lambda stream, token: None, 1)), "it takes (token)"),
        (
            staticmethod(functools.partial(lambda stream, token: None, stream=1)),
            "it would get stream twice",
        ),
        (staticmethod(functools.partial(lambda stream, token: None, other=1)), "it takes no other"),
        (functools.partialmethod(lambda self, one, stream: None, 1), "it takes (stream)"),
        (CalledWithNothing(), "it takes ()"),
    ],
)
def test_a_method_that_cannot_be_called_is_refused(method: Any, why: str) -> None:
    text = refused(of(on_token=method))
    assert text == f"Mine.on_token is called with (stream, token): {why}"


def test_on_start_is_called_with_the_stream_alone() -> None:
    assert refused(of(on_start=lambda self, stream, payload: None)) == (
        "Mine.on_start is called with (stream): it needs payload, too"
    )
    taken(of(on_start=lambda self, stream: None))


def test_a_generator_function_is_refused() -> None:
    def generate(self: object, stream: object, token: object) -> Any:
        yield 1

    async def generate_later(self: object, stream: object, token: object) -> Any:
        yield 1

    for method in (generate, generate_later, functools.partialmethod(generate)):
        assert "is a generator function" in refused(of(on_token=method))

    @types.coroutine
    def awaited(self: object, stream: object, token: object) -> Any:
        yield

    taken(of(on_token=awaited))


def test_a_method_that_cannot_be_read_or_called_is_refused() -> None:
    def fail(self: object) -> Any:
        raise ValueError("no \ud83d way")

    def fail_quietly(self: object) -> Any:
        raise AttributeError("a typo inside")

    assert refused(of(on_token=property(fail))) == (
        "Mine.on_token cannot be read: ValueError: no \N{REPLACEMENT CHARACTER} way"
    )
    assert "a typo inside" in refused(of(on_token=property(fail_quietly), on_start=hear))
    assert refused(of(on_token=3)) == "Mine.on_token must be callable, not 3"
    assert "<list: repr" not in refused(of(on_token=NONE))
    taken(of(on_token=None, on_start=hear))


def test_one_handler_instead_of_a_list_is_refused() -> None:
    for handler in (Mock(), MagicMock(), Deaf()):
        with pytest.raises(TypeError, match="handlers must be a list of handlers, not "):
            LLMClient("gpt-4o", handlers=handler)  # type: ignore[arg-type]


def test_what_was_looked_at_is_not_kept() -> None:
    handler = of(on_token=lambda self, stream, token: None)
    held = weakref.ref(handler), weakref.ref(type(handler))
    taken(handler)
    del handler
    gc.collect()
    assert [reference() for reference in held] == [None, None]


@pytest.mark.parametrize("make", [Mock, MagicMock, AsyncMock, lambda: Mock(spec=StreamHandler)])
async def test_a_mock_is_a_handler_like_any_other_and_hears_its_calls(make: Any) -> None:
    mock, printer, process = make(), make(), make()
    async with ScriptedServer(answer("Once", " upon")) as server:
        with attach(process):
            client = client_for(server, handlers=[mock], printer=printer)
            response = await client.stream("hi")
    assert response.handler_failures == []
    for one in (mock, printer, process):
        assert one.on_start.call_count == 1
        assert [call.args[1].text for call in one.on_token.call_args_list] == ["Once", " upon"]
        assert one.on_complete.call_args.args[1] is response
        assert one.on_error.call_count == 0


async def test_a_mock_hears_the_error() -> None:
    mock = Mock()
    async with ScriptedServer([RESET]) as server:
        with pytest.raises(StreamError) as caught:
            await client_for(server, handlers=[mock]).stream("hi")
    assert mock.on_error.call_args.args[1] is caught.value
