"""An answer in the words of Anthropic's Messages: events of blocks, or one message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from lm_deluge.simulator.saying.events import ALPHABET, dumps
from lm_deluge.simulator.saying.printer import Parts
from lm_deluge.simulator.saying.script import Script, ScriptedChoice
from lm_deluge.simulator.saying.words import rng_for
from lm_deluge.simulator.wires.blocks import SaidBlock, block_at, blocks_of
from lm_deluge.simulator.wires.seals import sealed

__all__ = ["MessagesPrinter", "padded", "thinking_seal"]

#: As it stands on the wire, with its space.
_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'

#: The kind of each block's delta, and the field in which it says something.
_DELTAS: Final = {
    "reasoning": ("thinking_delta", "thinking"),
    "text": ("text_delta", "text"),
    "call": ("input_json_delta", "partial_json"),
}

_STOPS: Final = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def thinking_seal(seed: int, thinking: str) -> str:
    """Return the ``signature`` of a thinking block that shows this text."""
    return sealed(seed, "thinking", thinking)


def padded(kind: str, **said: Any) -> bytes:
    """One event of this kind, its JSON padded with spaces before its end, as the service does."""
    data = dumps({"type": kind, **said})
    spaces = " " * (len(data) * 7 % 16)
    return f"event: {kind}\ndata: {data[:-1]}{spaces}}}\n\n".encode()


@attrs.frozen(kw_only=True)
class MessagesPrinter:
    """Writes messages that share one id and model."""

    id: str
    model: str
    seed: int
    request_id: str
    shows_thinking: bool = True
    """``False`` leaves the signature only."""
    thinks: bool = False
    """Whether there is a thinking block even where nothing of it is shown."""
    caches: bool = False
    """Whether the request marked something to be cached."""
    usage: bool | Mapping[str, Any] = True

    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    alive: ClassVar[bytes] = _PING
    malformed: ClassVar[bytes] = (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"oops\n\n'
    )
    unended: ClassVar[bytes] = (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
    )

    @classmethod
    def for_request(cls, *, seed: int, index: int, **options: Any) -> MessagesPrinter:
        """A printer with the ids that this request gets."""
        rng = rng_for(seed, "id", index)
        return cls(
            id="msg_01" + "".join(rng.choices(ALPHABET, k=22)),
            request_id="req_011C" + "".join(rng.choices(ALPHABET, k=20)),
            seed=seed,
            **options,
        )

    @property
    def headers(self) -> dict[str, str]:
        """The id of the request, under the service's own name."""
        return {"request-id": self.request_id, "anthropic-organization-id": "simulated"}

    def without_usage(self) -> MessagesPrinter:
        """The same printer, which never tells of usage."""
        return attrs.evolve(self, usage=False)

    # -- the stream

    def parts(self, script: Script) -> Parts:
        """The stream: what closes a block leaves with the first piece of the next one."""
        choice = script.choices[0]
        opening = [padded("message_start", message=self._message(script))]
        pieces: list[bytes] = []
        held = b""
        blocks = self._blocks(choice)
        for index, block in enumerate(blocks):
            start = padded("content_block_start", index=index, content_block=self._started(block))
            if index == 0:
                opening += [start, _PING]
            else:
                held += start
            for piece in self._said_pieces(block):
                pieces.append(held + self._delta(index, block.kind, piece))
                held = b""
            held += self._closed(index, block)
        if not blocks:
            opening.append(_PING)
        return Parts(
            opening=opening,
            pieces=pieces,
            choices=[0] * len(pieces),
            finishes=[held + self._ended(script)],
            done=padded("message_stop"),
        )

    def said(self, script: Script, text: str, after: int) -> bytes:
        """One delta more of the block that is open then."""
        blocks = self._blocks(script.choices[0])
        if not blocks:
            return self._delta(0, "text", text)
        index = block_at(blocks, after)
        return self._delta(index, blocks[index].kind, text)

    def error(self, script: Script, shape: str, message: str, after: int) -> bytes:
        """The one shape of an error here."""
        error = {"details": None, "type": "overloaded_error", "message": "Overloaded"}
        if shape == "echo":
            error["message"] = message
        return padded("error", error=error) + b"\n"

    def _blocks(self, choice: ScriptedChoice) -> list[SaidBlock]:
        if choice.refusal:
            # Why it refused stands beside the reason.
            choice = attrs.evolve(choice, refusal=())
        return blocks_of(choice, reasoning=self.thinks)

    def _said_pieces(self, block: SaidBlock) -> list[str]:
        hidden = block.kind == "reasoning" and not self.shows_thinking
        return [] if hidden else list(block.pieces)

    def _started(self, block: SaidBlock) -> dict[str, Any]:
        if block.call is not None:
            return {
                "type": "tool_use",
                "id": _tool_id(block.call.id),
                "name": block.call.name,
                "input": {},
                "caller": {"type": "direct"},
            }
        if block.kind == "reasoning":
            return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "text", "text": ""}

    def _delta(self, index: int, kind: str, text: str) -> bytes:
        delta, field = _DELTAS[kind]
        return padded("content_block_delta", index=index, delta={"type": delta, field: text})

    def _closed(self, index: int, block: SaidBlock) -> bytes:
        stop = padded("content_block_stop", index=index)
        if block.kind != "reasoning":
            return stop
        delta = {"type": "signature_delta", "signature": self._signature(block)}
        return padded("content_block_delta", index=index, delta=delta) + stop

    def _signature(self, block: SaidBlock) -> str:
        return thinking_seal(self.seed, block.text if self.shows_thinking else "")

    def _ended(self, script: Script) -> bytes:
        said: dict[str, Any] = {"delta": _ending(script.choices[0])}
        if self.usage:
            said["usage"] = self._usage(script)
        return padded("message_delta", **said)

    # -- in one piece

    def _message(self, script: Script) -> dict[str, Any]:
        """The message before anything is said: usage has a placeholder for what will be."""
        message: dict[str, Any] = {
            "model": self.model,
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
        }
        if isinstance(self.usage, Mapping):
            message["usage"] = {**self.usage, "output_tokens": 1}
        elif self.usage:
            message["usage"] = {
                **self._input(script),
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 1,
                "service_tier": "standard",
                "inference_geo": "not_available",
            }
        return message

    def whole(self, script: Script) -> dict[str, Any]:
        """The message, as for a request without ``stream``."""
        choice = script.choices[0]
        message = self._message(script) | _ending(choice)
        message["content"] = [self._whole_block(block) for block in self._blocks(choice)]
        if self.usage:
            message["usage"] |= self._usage(script)
        return message

    def _whole_block(self, block: SaidBlock) -> dict[str, Any]:
        started = self._started(block)
        if block.call is not None:
            return started | {"input": _parsed(block.text)}
        said = "".join(self._said_pieces(block))
        if block.kind == "reasoning":
            return started | {"thinking": said, "signature": self._signature(block)}
        return started | {"text": said}

    def _input(self, script: Script) -> dict[str, int]:
        read = script.cached_tokens if self.caches else 0
        return {
            "input_tokens": script.prompt_tokens - read,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": read,
        }

    def _usage(self, script: Script) -> dict[str, Any]:
        if isinstance(self.usage, Mapping):
            return dict(self.usage)
        usage: dict[str, Any] = {**self._input(script), "output_tokens": script.tokens}
        if script.reasoning_tokens:
            usage["output_tokens_details"] = {"thinking_tokens": script.reasoning_tokens}
        return usage


def _tool_id(call: str) -> str:
    return "toolu_01" + call.removeprefix("call_")[:22]


def _ending(choice: ScriptedChoice) -> dict[str, Any]:
    stop, details = _STOPS[choice.finish], None
    if choice.stopped_by is not None:
        stop = "stop_sequence"
    if choice.refusal:
        stop = "refusal"
        explanation = "".join(choice.refusal)
        details = {"type": "refusal", "category": None, "explanation": explanation}
    return {"stop_reason": stop, "stop_sequence": choice.stopped_by, "stop_details": details}


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {}
