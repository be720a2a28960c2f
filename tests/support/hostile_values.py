"""Values that no argument expects, and which of them each argument takes."""

from __future__ import annotations

import math
from typing import Any


class Raising:
    """Raises whatever it is asked."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class EqualToAll:
    """Says that it is equal to whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __str__(self) -> str:
        return "auto"


HOSTILE: dict[str, Any] = {
    "object": object(),
    "raising": Raising(),
    "equal to all": EqualToAll(),
    "nan": math.nan,
    "inf": math.inf,
    "-1": -1,
    "-1.5": -1.5,
    "0": 0,
    "3": 3,
    "huge": 10**400,
    "empty": "",
    "text": "no",
    "surrogate": "\ud800",
    "bytes": b"x",
    "True": True,
    "list": [],
    "tuple": (),
    "list of int": [3],
    "list of raising": [Raising()],
    "dict": {},
    "dict of int": {3: 3},
    "dict of object": {"a": object()},
    "None": None,
    "class": int,
}

FLAG = "True"
COUNT = "3|huge"
SECONDS = "0|3"
PATIENCE = "3|None"
LIST = "list|tuple"
NAMES = "list|tuple|None"
TEXT = "text"
MAPPING = "dict|None"
NOTHING = ""

#: What is accepted of ``HOSTILE``, by the documented rule of each parameter.
ACCEPTED: dict[str, dict[str, str]] = {
    "LLMClient": {
        "model": TEXT,
        "sampling_params": "None",
        "temperature": "0|None",
        "top_p": "0|None",
        "max_new_tokens": COUNT + "|None",
        "json_mode": FLAG + "|None",
        "reasoning_effort": "None",
        "reasoning_summary": "None",
        "resume": FLAG,
        "dialect": "None",
        "api_key": "text|None",
        "base_url": "None",
        "extra_headers": MAPPING,
        "extra_body": MAPPING,
        "query": MAPPING,
        "auth_header": "text|None",
        "organization": "empty|text|None",  # as the environment's, empty is none
        "project": "empty|text|None",
        "timeouts": NOTHING,
        "retries": NOTHING,
        "limits": NOTHING,
        "fallback_models": LIST,
        "handlers": LIST,
        "printer": "None",
        "tags": MAPPING + "|dict of object",  # values are the user's own
        "stream_options": FLAG + "|None",
        "max_tokens_field": "None",
        "accept_eof": FLAG + "|None",
        "strict": FLAG,
        "record": "text|None",
        "handler_wait": SECONDS,
        "prices": "None|class",  # which can be called
        "max_concurrent_streams": COUNT + "|None",
        "connector": "None",
        "ssl_context": "None",
        "trust_env": FLAG,
        "transport": "None",
    },
    "open_stream": {
        "handlers": LIST,
        "tools": LIST + "|None",
        "tool_choice": "None",
        "response_format": "None",
        "schema": "None|class",
        "sampling_params": "None",
        "temperature": "0|None",
        "top_p": "0|None",
        "max_new_tokens": COUNT + "|None",
        "json_mode": FLAG + "|None",
        "reasoning_effort": "None",
        "extra_body": MAPPING,
        "timeouts": "None",
        "reasoning_summary": "None",
        "resume": "None",
        "tags": MAPPING + "|dict of object",
    },
    "stream": {"prompt": TEXT, "printer": "None"},
    "run_tools": {
        "prompt": TEXT,
        "tools": LIST,
        "max_rounds": COUNT,
        "max_cost": SECONDS + "|None",
        "approve": "class|None",
        "tool_timeout": PATIENCE,
        "concurrency": COUNT,
        "max_result_chars": COUNT + "|None",
        "printer": "None",
    },
    "Tool": {
        "function": "class",
        "name": "text|None",
        "description": "empty|text|None",
        "parameters": "None",
        "timeout": PATIENCE,
    },
    "stream_many": {
        "prompts": LIST + "|list of int|list of raising",
        "concurrency": COUNT,
        "tags": MAPPING
        + "|dict of object|class",  # a function: what it returns is judged as it comes
    },
    "stream_chat": {
        "model_name": TEXT,
        "prompt": TEXT,
        "sampling_params": "None",
        "tools": LIST + "|None",
        "extra_headers": MAPPING,
        "api_key": "text|None",
        "base_url": "None",
        "tags": MAPPING + "|dict of object",
        "client": "None",
    },
    "Message.user": {
        "content": "empty|text|surrogate|list|tuple",  # what can be sent is judged when it is
        "images": NAMES,
        "audio": NAMES,
        "files": NAMES + "|bytes",  # a text
    },
    "Conversation.to_json": {"indent": "0|3|None"},
    "Conversation.from_json": {"text": NOTHING},
    "Conversation.fork": {"at": "-1|0|None"},
    "Conversation.count_tokens": {"model": "text|None", "tools": NAMES},
    "Conversation.trimmed": {
        "max_tokens": "huge",
        "model": "text|None",
        "keep_system": FLAG,
        "tools": NAMES,
    },
    "Timeouts": {
        "connect": PATIENCE,
        "first_token": PATIENCE,
        "between_tokens": PATIENCE,
        "total": PATIENCE,
        "tail": SECONDS,
    },
    "RetryPolicy": {
        "max_attempts": COUNT,
        "initial_delay": SECONDS,
        "max_delay": SECONDS,
        "max_retry_after": SECONDS + "|None",
        "statuses": LIST,
        "server_errors": FLAG,
        "connection_errors": FLAG,
        "timeouts": FLAG,
    },
    "Limits": dict.fromkeys(
        (
            "max_event_bytes",
            "max_answer_chars",
            "max_error_body_bytes",
            "max_choices",
            "max_tool_calls",
        ),
        COUNT,
    ),
    "SamplingParams": {
        "temperature": "0|None",
        "top_p": "0|None",
        "max_new_tokens": COUNT + "|None",
        "json_mode": FLAG,
        "reasoning_effort": "None",
        "stop": "text|list|tuple|None",
        "seed": "-1|0|3|None",
        "presence_penalty": "-1|-1.5|0|None",
        "frequency_penalty": "-1|-1.5|0|None",
        "logprobs": FLAG,
        "top_logprobs": "0|3|None",
        "n": "3",
    },
    "RetryPolicy.delay": {"failures": COUNT, "random": "class"},
    "attach": {"handler": NOTHING, "sender": NOTHING},
    "register_model": {
        "name": TEXT,
        "base_url": "None",
        "api_key_env": "text|None",
        "model_id": "text|None",
        "auth_header": "text|None",
        "query": MAPPING,
        "headers": MAPPING,
        "dialect": TEXT,
        "stream_options": FLAG,
        "reasoning_goes_back": FLAG,
        "max_tokens_field": "None",
        "accept_eof": FLAG,
        "reasoning": FLAG + "|None",
        "accepts": NAMES,
        "efforts": NAMES,
        "system_role": "None",
        "context_window": COUNT + "|None",
        "max_output_tokens": COUNT + "|None",
        "input_price": SECONDS + "|None",
        "cached_input_price": SECONDS + "|None",
        "cache_write_price": SECONDS + "|None",
        "output_price": SECONDS + "|None",
    },
    "FileLogger": {
        "path": "text|surrogate",  # what the file system cannot have, its first write tells
        "text": FLAG,
        "prompt": FLAG + "|None",
        "tags": MAPPING + "|dict of object",
    },
    "StdoutPrinter": {"file": "None"},
    "Smooth": {"handler": NOTHING, "max_delay": NOTHING},
    "RichPrinter": {
        "file": "None",
        "reasoning": FLAG,
        "code_theme": NOTHING,
        "hyperlinks": FLAG,
        "refresh_per_second": "3",
    },
    "Recorder": {"path": "text|surrogate", "body": FLAG},
    "Appender": {
        "path": "text|surrogate",
        "encode": "class",
        "name": "empty|text|surrogate",
        "mode": "0|3",
        "batch": COUNT + "|None",
        "follow": FLAG,
    },
    "read_timelines": {"sources": LIST, "text": FLAG, "only": LIST + "|None"},
    "Fault": {"spec": NOTHING, "p": "0"},
    "Gap.constant": {"seconds": SECONDS},
    "Gap.exponential": {"mean": SECONDS},
    "Gap.lognormal": {"median": SECONDS, "sigma": SECONDS},
    "Gap.bursty": {"n": "3", "pause": SECONDS},
    "Gap.parse": {"text": NOTHING},
    "Simulator": {
        "port": "0|3",
        "host": "text|surrogate",
        "seed": "-1|0|3|huge",
        "text": "empty|text|surrogate|list|tuple|None|class",
        "tokens": "0|3|huge|None",
        "ttft": SECONDS,
        "gap": SECONDS,
        "jitter": "0",
        "usage": FLAG + "|dict|dict of int|dict of object",
        "reasoning": "0|3|huge|empty|text|surrogate|None",
        "reasoning_field": "text|surrogate",
        "refusal": "empty|text|surrogate|None",
        "tool_calls": LIST + "|None",
        "api_key": "empty|text|surrogate|None",
        "models": LIST + "|dict|dict of object|None",
        "faults": LIST + "|dict|None|class",
        "reply": "None|class",
        "raw": LIST + "|list of int|list of raising|None",
        "replay": "None",
        "speed": "3",
        "replay_by": NOTHING,
        "spacing": SECONDS,
        "cors": FLAG + "|list|tuple|dict",
        "keep_requests": "0|3|huge|None",
        "backlog": SECONDS,
    },
}
ACCEPTED["LLMClient"]["record"] += "|surrogate"
ACCEPTED["stream_many"] |= ACCEPTED["open_stream"] | ACCEPTED["stream_many"]
