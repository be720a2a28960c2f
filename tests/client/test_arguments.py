"""Every argument of every constructor and call, given every hostile value: taken by a rule, or refused
with its name, what was given and what is accepted.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from lm_deluge import (
    Conversation,
    Limits,
    LLMClient,
    Message,
    RetryPolicy,
    SamplingParams,
    Stream,
    StreamHandler,
    StreamOptions,
    Timeouts,
    Tool,
    attach,
    register_model,
)
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.appending import Appender
from lm_deluge.errors import StreamCancelled
from lm_deluge.models.registry import unregister_model
from lm_deluge.recording import Recorder
from lm_deluge.simulator import Fault, Gap, Simulator
from lm_deluge.timeline import read_timelines
from lm_deluge.values.foreign import shown
from lm_deluge_plugins import ChunkCollector, FileLogger, RichPrinter, Smooth, StdoutPrinter
from support.extras import skip_without
from support.hostile_values import ACCEPTED, HOSTILE

URL = "http://127.0.0.1:9/v1"
OBJECT = {"type": "object"}

#: Other words that name what was given, and where in it. Of what is no handler, the message is the same
#: everywhere.
ALSO = {
    "prompt": "messages[",
    "spec": "no fault",
    "handlers": "handler",
    "printer": "handler",
}

#: How what is accepted, or what is the matter with what was given, is told.
TOLD = re.compile(
    r"must |accepted|it takes|there are|none of the methods|cannot|can't|is empty|white space|"
    r"without tools|no 'type'|no such file|has no messages",
    re.IGNORECASE,
)


def client() -> LLMClient:
    return LLMClient("gpt-4o", api_key="sk-1", base_url=URL)


class Cancelling(StreamHandler):
    """Ends a stream before anything is sent."""

    def on_start(self, stream: Stream) -> None:
        stream.cancel()


def registered(**given: Any) -> None:
    info = register_model(**{"name": "x-y", **given})
    unregister_model(info.name)


async def opened(**given: Any) -> None:
    await client().open_stream("hi", **given).aclose()


async def streamed(**given: Any) -> None:
    with pytest.raises(StreamCancelled):
        await client().stream(
            **{"prompt": "hi", "printer": None, "handlers": [Cancelling()], **given}
        )


async def chatted(**given: Any) -> None:
    plain = {"model_name": "gpt-4o", "prompt": "hi", "api_key": "sk-1", "base_url": URL}
    with pytest.raises(StreamCancelled):
        await anext(stream_chat(**{**plain, "handlers": [Cancelling()], **given}))


def talk() -> Conversation:
    return Conversation().system("Be brief.").user("hi")


def delayed(**given: Any) -> None:
    RetryPolicy().delay(**{"failures": 1, "random": lambda: 0.0, **given})


def appended(**given: Any) -> None:
    appender = Appender(**{"path": Path("log"), "encode": b"".join, "name": "test", **given})
    appender.close()


async def many(**given: Any) -> None:
    streams = client().stream_many(**{"prompts": [], **given})
    try:
        async for _ in streams:
            break
    finally:
        await streams.aclose()


async def run(**given: Any) -> None:
    with pytest.raises(StreamCancelled):
        await client().run_tools(
            **{"prompt": "hi", "tools": [], "printer": None, "handlers": [Cancelling()], **given}
        )


MADE: dict[str, Callable[..., Any]] = {
    "LLMClient": lambda **given: LLMClient(**{"model": "gpt-4o", **given}),
    "open_stream": opened,
    "stream": streamed,
    "stream_chat": chatted,
    "stream_many": many,
    "run_tools": run,
    "Tool": lambda **given: Tool(**{"function": run, "name": "run", "parameters": OBJECT, **given}),
    "Message.user": lambda **given: Message.user(**{"content": "hi", **given}),
    "Conversation.to_json": lambda **given: talk().to_json(**given),
    "Conversation.from_json": Conversation.from_json,
    "Conversation.fork": lambda **given: talk().fork(**given),
    "Conversation.count_tokens": lambda **given: talk().count_tokens(**given),
    "Conversation.trimmed": lambda **given: talk().trimmed(**{"max_tokens": 99, **given}),
    "Timeouts": Timeouts,
    "RetryPolicy": RetryPolicy,
    "Limits": Limits,
    "SamplingParams": SamplingParams,
    "RetryPolicy.delay": delayed,
    "attach": lambda **given: attach(**{"handler": Cancelling(), **given}),
    "register_model": registered,
    "FileLogger": lambda **given: FileLogger(**{"path": "log.jsonl", **given}),
    "StdoutPrinter": StdoutPrinter,
    "RichPrinter": RichPrinter,
    "Smooth": lambda **given: Smooth(**{"handler": ChunkCollector(), **given}),
    "Recorder": lambda **given: Recorder(**{"path": "run.rec", **given}),
    "Appender": appended,
    "read_timelines": lambda **given: read_timelines(**{"sources": [], **given}),
    "Simulator": Simulator,
    "Fault": lambda **given: Fault(**{"spec": "drip", **given}),
    "Gap.constant": Gap.constant,
    "Gap.exponential": Gap.exponential,
    "Gap.lognormal": lambda **given: Gap.lognormal(**{"median": 1, "sigma": 1, **given}),
    "Gap.bursty": lambda **given: Gap.bursty(**{"n": 1, "pause": 1, **given}),
    "Gap.parse": Gap.parse,
}

#: Whose parameters the table has to name.
SIGNED: dict[str, Callable[..., Any]] = {
    "LLMClient": LLMClient,
    "stream": client().stream,
    "stream_many": client().stream_many,
    "run_tools": client().run_tools,
    "Tool": Tool,
    "stream_chat": stream_chat,
    "Message.user": Message.user,
    "Conversation.to_json": Conversation().to_json,
    "Conversation.from_json": Conversation.from_json,
    "Conversation.fork": Conversation().fork,
    "Conversation.count_tokens": Conversation().count_tokens,
    "Conversation.trimmed": Conversation().trimmed,
    "Timeouts": Timeouts,
    "RetryPolicy": RetryPolicy,
    "Limits": Limits,
    "SamplingParams": SamplingParams,
    "RetryPolicy.delay": RetryPolicy().delay,
    "attach": attach,
    "register_model": register_model,
    "FileLogger": FileLogger,
    "StdoutPrinter": StdoutPrinter,
    "RichPrinter": RichPrinter,
    "Smooth": Smooth,
    "Recorder": Recorder,
    "Appender": Appender,
    "read_timelines": read_timelines,
    "Simulator": Simulator,
    "Fault": Fault,
    "Gap.constant": Gap.constant,
    "Gap.exponential": Gap.exponential,
    "Gap.lognormal": Gap.lognormal,
    "Gap.bursty": Gap.bursty,
    "Gap.parse": Gap.parse,
}


@pytest.mark.parametrize("name", SIGNED)
def test_every_parameter_is_in_the_table(name: str) -> None:
    parameters = set(inspect.signature(SIGNED[name]).parameters) - {"options"}
    assert parameters <= set(ACCEPTED[name])
    assert set(ACCEPTED[name]) <= parameters | set(get_type_hints(StreamOptions))


def test_every_option_is_in_the_table() -> None:
    assert set(get_type_hints(StreamOptions)) == set(ACCEPTED["open_stream"])


def told_of(value: Any) -> set[str]:
    """What may be told of a value: its type, itself, or what is in it."""
    inside: list[Any] = list(value) if isinstance(value, (list, dict)) else []
    if isinstance(value, dict):
        inside += [list(value), *value.values()]
    called = {value.__name__} if isinstance(value, type) else set()
    for item in (value, *inside):
        called |= {type(item).__name__, shown(item), shown(item, 60)}
    return called


def lacking(told: str, parameter: str, value: Any) -> str:
    """Say what a refusal does not tell."""
    if parameter not in told and ALSO.get(parameter, parameter) not in told:
        return "the argument's name"
    # No message shows any part of a key; without tools any choice of them is wrong.
    speechless = ("without tools", "is empty", "has no messages")
    tells = parameter != "api_key" and not any(each in told for each in speechless)
    if tells and not any(each in told for each in told_of(value)):
        return "what was given"
    return "" if TOLD.search(told) else "what is accepted"


#: What an extra brings, without which an argument or all of them cannot be given.
NEEDS = {"RichPrinter": ("rich",), "Smooth": ("regex",), "schema": ("jiter",)}


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, each) for name, table in ACCEPTED.items() for each in table]
)
async def test_a_hostile_value_is_taken_by_a_rule_or_named(
    name: str, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    skip_without(*NEEDS.get(name, ()), *NEEDS.get(parameter, ()))
    accepted = ACCEPTED[name][parameter].split("|")
    wrong = []
    for label, value in HOSTILE.items():
        try:
            made = MADE[name](**{parameter: value})
            if inspect.isawaitable(made):
                await made
        except (TypeError, ValueError) as error:
            if label in accepted:
                wrong.append(f"{label}: {error}")
            elif missing := lacking(str(error), parameter, value):
                wrong.append(f"{label}: without {missing}: {error}")
        except OSError:
            # A file that cannot be read is documented to be one.
            if parameter not in ("replay", "sources", "audio", "files"):
                wrong.append(f"{label}: OSError")
        except Exception as error:
            wrong.append(f"{label}: {type(error).__name__}")
        else:
            if label not in accepted:
                wrong.append(f"{label} passes")
    assert wrong == []


@pytest.mark.parametrize("key", ["role", "content"])
@pytest.mark.parametrize("label", HOSTILE)
async def test_a_hostile_value_in_a_message_is_named_with_its_place(key: str, label: str) -> None:
    message = {"role": "user", "content": "hi", key: HOSTILE[label]}
    if key == "content" and label in ("empty", "text", "list", "tuple", "None"):
        await client().open_stream([message]).aclose()
        return
    error = ValueError if key == "role" or label == "surrogate" else TypeError
    with pytest.raises(error) as caught:
        client().open_stream([message])
    assert lacking(str(caught.value), "messages[0]", HOSTILE[label]) == ""
