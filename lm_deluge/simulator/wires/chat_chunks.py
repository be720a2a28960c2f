"""Rendering a script as the service's JSON: one whole answer, or the chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import zip_longest
from typing import Any, ClassVar

import attrs

from lm_deluge.simulator.saying.events import ALPHABET, dumps, event
from lm_deluge.simulator.saying.printer import Parts
from lm_deluge.simulator.saying.script import Script, ScriptedChoice
from lm_deluge.simulator.saying.words import rng_for

_PADDING = "x7Kq2LmZr9TbWc4VnY8s"
DONE = b"data: [DONE]\n\n"


@lru_cache(maxsize=4096)
def _said(text: str) -> str:
    return f'{{"content":{dumps(text)}}}'


@attrs.frozen(kw_only=True)
class ChunkPrinter:
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
    usage: bool | Mapping[str, Any] = True
    """Whether usage is told, or what is told in place of the counted one."""
    azure: bool = False

    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    headers: ClassVar[dict[str, str]] = {
        "openai-organization": "simulated",
        "openai-version": "2020-10-01",
    }

    @classmethod
    def for_request(
        cls, body: Mapping[str, Any], *, seed: int, index: int, model: str, **options: Any
    ) -> ChunkPrinter:
        """A printer with the ids and keys that this request gets."""
        rng = rng_for(seed, "id", index)
        stream_options = body.get("stream_options") or {}
        reasons = options.pop("reasons")
        return cls(
            id="chatcmpl-" + "".join(rng.choices(ALPHABET, k=29)),
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

    @property
    def alive(self) -> bytes:
        """A comment."""
        return b": keep-alive\n\n"

    @property
    def malformed(self) -> bytes:
        """A chunk whose JSON is broken."""
        return b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"oops\n\n'

    @property
    def unended(self) -> bytes:
        """A chunk whose text never ends."""
        return b'data: {"choices":[{"index":0,"delta":{"content":"'

    def said(self, script: Script, text: str, after: int) -> bytes:
        """One chunk more."""
        return self.chunk(self.entry(0, {"content": text}))

    def error(self, script: Script, shape: str, message: str, after: int) -> bytes:
        """An error in one of the shapes that servers of this dialect give it."""
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        if shape == "text":
            return event({"error": message})
        if shape == "flat":
            return event({"object": "error", **error, "code": 50001})
        if shape == "choices":
            return self.chunk(error=error)
        if shape == "finish":
            gone = {"code": 502, "message": "Provider disconnected"}
            return self.chunk(self.entry(0, {"content": ""}, "error"), error=gone)
        if shape == "event":
            return event({"error": error}, name="error")
        if shape == "event-bare":
            return event(error, name="error")
        return event({"error": error})

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

    def parts(self, script: Script) -> Parts:
        """The stream: usage is in it only if it was asked for."""
        asked = self.usage_key and self.usage
        return Parts(
            opening=self.opening(script),
            pieces=self.pieces(script),
            choices=[index for index, _ in self.deltas(script)],
            finishes=self.finishes(script),
            usage=self.chunk(usage=self._counted(script)) if asked else None,
            done=DONE,
        )

    def without_usage(self) -> ChunkPrinter:
        """The same printer, which never tells of usage."""
        return attrs.evolve(self, usage=False)

    def opening(self, script: Script) -> list[bytes]:
        """The role chunks."""
        chunks = [_azure_opening()] if self.azure else []
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

    def _deltas(self, choice: ScriptedChoice) -> Iterator[dict[str, Any]]:
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

    def _counted(self, script: Script) -> Mapping[str, Any]:
        return self.usage if isinstance(self.usage, Mapping) else counted(script)

    def whole(self, script: Script) -> dict[str, Any]:
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
        if self.usage:
            value["usage"] = self._counted(script)
        return value

    def _whole_logprobs(self, choice: ScriptedChoice) -> dict[str, Any] | None:
        if self.logprobs is None:
            return None
        return {"content": [self._token(piece) for piece in choice.text], "refusal": None}

    def _logprobs(self, delta: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.logprobs is None or not delta.get("content"):
            return None
        return {"content": [self._token(delta["content"])], "refusal": None}

    def _token(self, text: str) -> dict[str, Any]:
        first = _alternative(text, 0)
        rivals = [text, " the", " a", ".", ",", "\n"] + [f" {letter}" for letter in ALPHABET]
        top = [_alternative(rival, place) for place, rival in enumerate(rivals[: self.logprobs])]
        return first | {"top_logprobs": top}


def _alternative(text: str, place: int) -> dict[str, Any]:
    return {
        "token": text,
        "logprob": -0.01 - 1.7 * place,
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }


def counted(script: Script) -> dict[str, Any]:
    """Usage as the service counts it."""
    return {
        "prompt_tokens": script.prompt_tokens,
        "completion_tokens": script.tokens,
        "total_tokens": script.prompt_tokens + script.tokens,
        "prompt_tokens_details": {"cached_tokens": script.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": script.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _azure_opening() -> bytes:
    fine = {"filtered": False, "severity": "safe"}
    results = {"hate": fine, "self_harm": fine, "sexual": fine, "violence": fine}
    return event(
        {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": results}],
        }
    )
