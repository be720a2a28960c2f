"""Rendering a script as the service's JSON: one whole answer, or the chunks of a stream."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import attrs

from lm_deluge.simulator.script import Choice, Script
from lm_deluge.simulator.words import rng_for

_PADDING = "x7Kq2LmZr9TbWc4VnY8s"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
DONE = b"data: [DONE]\n\n"


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Compact JSON as the service writes it: not escaped, but for lone surrogates."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


@lru_cache(maxsize=4096)
def _said(text: str) -> str:
    return f'{{"content":{dumps(text)}}}'


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event with JSON data."""
    opening = f"event: {name}\n" if name else ""
    return f"{opening}data: {dumps(value)}\n\n".encode()


@attrs.frozen(kw_only=True)
class Printer:
    """Renders chunks that share one id, model and moment."""

    id: str
    created: int
    model: str
    service_tier: str | None = "default"
    system_fingerprint: str | None = None
    reasoning_field: str = "reasoning_content"
    logprobs: int | None = None
    """Alternatives per token, or ``None`` for no logprobs."""
    has_logprobs_key: bool = True
    usage_key: bool = False
    obfuscation: bool = True

    @classmethod
    def for_request(
        cls, body: Mapping[str, Any], *, seed: int, index: int, model: str, **options: Any
    ) -> Printer:
        """A printer with the ids and keys that this request gets."""
        rng = rng_for(seed, "id", index)
        stream_options = body.get("stream_options") or {}
        reasons = options.pop("reasons")
        return cls(
            id="chatcmpl-" + "".join(rng.choices(_ALPHABET, k=29)),
            created=int(time.time()),
            model=model,
            system_fingerprint=None if reasons else f"fp_{rng.getrandbits(40):010x}",
            logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
            has_logprobs_key=not reasons,
            usage_key=bool(stream_options.get("include_usage")),
            obfuscation=bool(stream_options.get("include_obfuscation", True)),
            **options,
        )

    def _shared(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": self.service_tier,
            "system_fingerprint": self.system_fingerprint,
        }

    def wrapped(self) -> tuple[str, str]:
        """What stands before and after the array of choices in every chunk."""
        before = dumps(self._shared("chat.completion.chunk"))[:-1] + ',"choices":'
        return f"data: {before}", ',"usage":null' if self.usage_key else ""

    def chunk(self, *choices: dict[str, Any], **extra: Any) -> bytes:
        """One chunk with these entries in ``choices``."""
        value = self._shared("chat.completion.chunk") | {"choices": list(choices)}
        if self.usage_key:
            value["usage"] = None
        return event(value | extra)

    def entry(self, index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """One entry of ``choices``."""
        entry: dict[str, Any] = {"index": index, "delta": delta}
        if self.has_logprobs_key:
            entry["logprobs"] = self._logprobs(delta)
        entry["finish_reason"] = finish
        return entry

    def opening(self, script: Script) -> list[bytes]:
        """The role chunks."""
        chunks = []
        for index, choice in enumerate(script.choices):
            content = None if choice.calls and not choice.text else ""
            delta = {"role": "assistant", "content": content, "refusal": None}
            chunks.append(self.chunk(self.entry(index, delta)))
        return chunks

    def deltas(self, script: Script) -> list[tuple[int, dict[str, Any]]]:
        """The pieces of all choices in the order in which they leave, choices in turn."""
        rows = zip_longest(*(self._deltas(choice) for choice in script.choices))
        return [
            (index, delta) for row in rows for index, delta in enumerate(row) if delta is not None
        ]

    def _deltas(self, choice: Choice) -> Iterator[dict[str, Any]]:
        for piece in choice.reasoning:
            yield {self.reasoning_field: piece}
        for piece in choice.text:
            yield {"content": piece}
        for piece in choice.refusal:
            yield {"refusal": piece}
        for number, call in enumerate(choice.calls):
            function = {"name": call.name, "arguments": ""}
            opening = {"index": number, "id": call.id, "type": "function", "function": function}
            yield {"tool_calls": [opening]}
            for piece in call.arguments:
                yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}

    def pieces(self, script: Script) -> list[bytes]:
        """The chunks of `deltas`. Written out by hand: a bench renders millions of these."""
        before, after = self.wrapped()
        tail = ',"finish_reason":null}]'
        middle = ',"logprobs":null' if self.has_logprobs_key else ""
        chunks = []
        for index, delta in self.deltas(script):
            said = _said(delta["content"]) if "content" in delta else dumps(delta)
            if self.logprobs is not None:
                middle = f',"logprobs":{dumps(self._logprobs(delta))}'
            padding = ""
            if self.obfuscation:
                padding = f',"obfuscation":"{_PADDING[len(said) % len(_PADDING) :]}"'
            chunks.append(
                f'{before}[{{"index":{index},"delta":{said}{middle}{tail}{after}{padding}}}\n\n'.encode()
            )
        return chunks

    def finishes(self, script: Script) -> list[bytes]:
        """The chunks with a finish reason."""
        return [
            self.chunk(self.entry(index, {}, choice.finish))
            for index, choice in enumerate(script.choices)
        ]

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        """The chunk with usage and no choices."""
        return self.chunk(usage=usage)

    def whole(self, script: Script, usage: Mapping[str, Any] | None) -> dict[str, Any]:
        """The answer in one piece, as for a request without ``stream``."""
        choices = []
        for index, choice in enumerate(script.choices):
            message: dict[str, Any] = {
                "role": "assistant",
                "content": "".join(choice.text) or None,
                "refusal": "".join(choice.refusal) or None,
                "annotations": [],
            }
            if not choice.calls and not choice.refusal:
                message["content"] = "".join(choice.text)
            if choice.reasoning:
                message[self.reasoning_field] = "".join(choice.reasoning)
            if choice.calls:
                message["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": "".join(call.arguments)},
                    }
                    for call in choice.calls
                ]
            entry: dict[str, Any] = {"index": index, "message": message}
            if self.has_logprobs_key:
                entry["logprobs"] = self._whole_logprobs(choice)
            entry["finish_reason"] = choice.finish
            choices.append(entry)
        value = self._shared("chat.completion") | {"choices": choices}
        if usage is not None:
            value["usage"] = usage
        return value

    def _whole_logprobs(self, choice: Choice) -> dict[str, Any] | None:
        if self.logprobs is None:
            return None
        return {"content": [self._token(piece) for piece in choice.text], "refusal": None}

    def _logprobs(self, delta: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.logprobs is None or not delta.get("content"):
            return None
        return {"content": [self._token(delta["content"])], "refusal": None}

    def _token(self, text: str) -> dict[str, Any]:
        first = _alternative(text, 0)
        rivals = [text, " the", " a", ".", ",", "\n"] + [f" {letter}" for letter in _ALPHABET]
        top = [_alternative(rival, place) for place, rival in enumerate(rivals[: self.logprobs])]
        return first | {"top_logprobs": top}


def _alternative(text: str, place: int) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": -0.01 - 1.7 * place,
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }
