"""An answer in the words of OpenAI's Responses: events of items, or one response."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from lm_deluge.simulator.saying.events import event
from lm_deluge.simulator.saying.printer import Parts
from lm_deluge.simulator.saying.script import Script
from lm_deluge.simulator.saying.words import rng_for
from lm_deluge.simulator.wires.blocks import SaidBlock, block_at, blocks_of
from lm_deluge.simulator.wires.seals import sealed

__all__ = ["ResponsesPrinter", "reasoning_seal"]

_PADDING: Final = "x7Kq2LmZr9TbWc4V"


def reasoning_seal(seed: int, item_id: str) -> str:
    """Return the ``encrypted_content`` of a reasoning item."""
    return "gAAAAAB" + sealed(seed, "reasoning", item_id, size=180)


@attrs.frozen(kw_only=True)
class ResponsesPrinter:
    """Writes responses that share one id, model and moment."""

    key: str
    """What all ids of a response share."""
    created: int
    model: str
    seed: int
    echoed: Mapping[str, Any]
    """What was asked for, which the response repeats."""
    encrypts: bool = False
    """Whether reasoning is told as a blob, to go back."""
    reasons: bool = False
    """Whether there is a reasoning item even where nothing of it is shown."""
    obfuscation: bool = True
    usage: bool | Mapping[str, Any] = True

    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    headers: ClassVar[dict[str, str]] = {
        "openai-organization": "simulated",
        "openai-version": "2020-10-01",
    }
    alive: ClassVar[bytes] = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n'
    malformed: ClassVar[bytes] = (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","output_index":0,"delta":"oops\n\n'
    )
    unended: ClassVar[bytes] = (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","output_index":0,"delta":"'
    )

    @classmethod
    def for_request(cls, *, seed: int, index: int, **options: Any) -> ResponsesPrinter:
        """A printer with the ids that this request gets."""
        rng = rng_for(seed, "id", index)
        return cls(
            key=f"{rng.getrandbits(64):016x}", created=int(time.time()), seed=seed, **options
        )

    @property
    def id(self) -> str:
        """Of the response."""
        return f"resp_{self.key}{'0' * 32}"

    def without_usage(self) -> ResponsesPrinter:
        """The same printer, which never tells of usage."""
        return attrs.evolve(self, usage=False)

    # -- the stream

    def parts(self, script: Script) -> Parts:
        """The stream: what closes an item leaves with the first piece of the next one."""
        count = _Numbered()
        queued = self.echoed.get("background") is True
        begun = ("created", "queued", "in_progress") if queued else ("created", "in_progress")
        opening = [
            count.event(f"response.{name}", response=self.before(script, queued=queued and at < 2))
            for at, name in enumerate(begun)
        ]
        pieces: list[bytes] = []
        held = b""
        for index, block in enumerate(self._blocks(script)):
            held += self._opened(count, index, block)
            for at, piece in enumerate(block.pieces):
                # The name of a call comes with the item itself.
                said = b"" if block.call and at == 0 else self._delta(count, index, block, piece)
                pieces.append(held + said)
                held = b""
            held += self._closed(count, script, index, block)
        ended = self._ended(script)
        return Parts(
            opening=opening,
            pieces=pieces,
            choices=[0] * len(pieces),
            finishes=[held] if held else [],
            done=count.event(f"response.{ended['status']}", response=ended),
        )

    def said(self, script: Script, text: str, after: int) -> bytes:
        """One delta more of the item that is open then."""
        blocks = self._blocks(script) or [SaidBlock("text", ())]
        index = block_at(blocks, after)
        return self._delta(_Numbered(after + 4), index, blocks[index], text)

    def error(self, script: Script, shape: str, message: str, after: int) -> bytes:
        """An error and that the response failed; the shape ``failed`` is the second alone."""
        count = _Numbered(after + 4)
        said = {"code": "server_error", "message": message}
        told = b""
        if shape != "failed":
            told = count.event("error", error={"type": "server_error", **said, "param": None})
        failed = self._response(script) | {"status": "failed", "error": said}
        return told + count.event("response.failed", response=failed)

    def _blocks(self, script: Script) -> list[SaidBlock]:
        return blocks_of(script.choices[0], reasoning=self.reasons)

    def _item_id(self, index: int, block: SaidBlock) -> str:
        prefix = {"reasoning": "rs", "call": "fc"}.get(block.kind, "msg")
        # That a call was thought about stands in its id: it must not come back without its reasoning.
        mark = "1" if self.encrypts and self.reasons else "0"
        return f"{prefix}_{self.key}{mark}{index:031x}"

    def _opened(self, count: _Numbered, index: int, block: SaidBlock) -> bytes:
        item_id = self._item_id(index, block)
        added = self._item(index, block, done=False)
        told = count.event("response.output_item.added", output_index=index, item=added)
        where = {"item_id": item_id, "output_index": index}
        if block.kind == "reasoning" and block.pieces:
            part = {"type": "summary_text", "text": ""}
            told += count.event(
                "response.reasoning_summary_part.added", **where, summary_index=0, part=part
            )
        elif block.kind in ("text", "refusal"):
            part = _content(block.kind, "")
            told += count.event("response.content_part.added", **where, content_index=0, part=part)
        return told

    def _delta(self, count: _Numbered, index: int, block: SaidBlock, text: str) -> bytes:
        kind, at = {
            "reasoning": ("reasoning_summary_text", {"summary_index": 0}),
            "text": ("output_text", {"content_index": 0}),
            "refusal": ("refusal", {"content_index": 0}),
            "call": ("function_call_arguments", {}),
        }[block.kind]
        said: dict[str, Any] = {"item_id": self._item_id(index, block), "output_index": index, **at}
        said["delta"] = text
        if block.kind == "text":
            said["logprobs"] = []
        if self.obfuscation:
            said["obfuscation"] = _PADDING[len(text) % len(_PADDING) :]
        return count.event(f"response.{kind}.delta", **said)

    def _closed(self, count: _Numbered, script: Script, index: int, block: SaidBlock) -> bytes:
        where: dict[str, Any] = {"item_id": self._item_id(index, block), "output_index": index}
        told = b""
        if block.kind == "reasoning" and block.pieces:
            where["summary_index"] = 0
            told += count.event("response.reasoning_summary_text.done", **where, text=block.text)
            part = {"type": "summary_text", "text": block.text}
            told += count.event("response.reasoning_summary_part.done", **where, part=part)
        elif block.kind == "text":
            where["content_index"] = 0
            told += count.event("response.output_text.done", **where, text=block.text, logprobs=[])
        elif block.kind == "refusal":
            where["content_index"] = 0
            told += count.event("response.refusal.done", **where, refusal=block.text)
        elif block.kind == "call":
            told += count.event(
                "response.function_call_arguments.done", **where, arguments=block.text
            )
        if block.kind in ("text", "refusal"):
            part = _content(block.kind, block.text)
            told += count.event("response.content_part.done", **where, part=part)
        item = self._item(index, block, done=True, cut=script.choices[0].finish == "length")
        return told + count.event("response.output_item.done", output_index=index, item=item)

    # -- what the events hold

    def _item(
        self, index: int, block: SaidBlock, *, done: bool, cut: bool = False
    ) -> dict[str, Any]:
        item_id = self._item_id(index, block)
        status = "in_progress" if not done else "incomplete" if cut else "completed"
        if block.kind == "reasoning":
            item: dict[str, Any] = {"id": item_id, "type": "reasoning"}
            if self.encrypts:
                seal = reasoning_seal(self.seed, item_id)
                # What stands there before the end is not yet what has to go back.
                item["encrypted_content"] = seal if done else seal[:40]
            shown = done and block.pieces
            item["summary"] = [{"type": "summary_text", "text": block.text}] if shown else []
            return item
        if block.call is not None:
            return {
                "id": item_id,
                "type": "function_call",
                "status": status,
                "arguments": block.text if done else "",
                "call_id": block.call.id,
                "name": block.call.name,
            }
        content = [_content(block.kind, block.text)] if done else []
        return {
            "id": item_id,
            "type": "message",
            "status": status,
            "content": content,
            "role": "assistant",
        }

    def _response(self, script: Script) -> dict[str, Any]:
        """The response before anything is said."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "max_tool_calls": None,
            "model": self.model,
            "output": [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": None,
            "service_tier": "auto",
            "store": True,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": {},
            **self.echoed,
        }

    def _ended(self, script: Script) -> dict[str, Any]:
        cut = script.choices[0].finish == "length"
        blocks = self._blocks(script)
        output = [
            self._item(index, block, done=True, cut=cut) for index, block in enumerate(blocks)
        ]
        ended: dict[str, Any] = {"status": "completed", "output": output, "service_tier": "default"}
        if cut:
            ended["status"] = "incomplete"
            ended["incomplete_details"] = {"reason": "max_output_tokens"}
        if isinstance(self.usage, Mapping):
            ended["usage"] = dict(self.usage)
        elif self.usage:
            ended["usage"] = {
                "input_tokens": script.prompt_tokens,
                "input_tokens_details": {"cached_tokens": script.cached_tokens},
                "output_tokens": script.tokens,
                "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
                "total_tokens": script.prompt_tokens + script.tokens,
            }
        return self._response(script) | ended

    def before(self, script: Script, *, queued: bool = False) -> dict[str, Any]:
        """The response of which nothing is there yet."""
        return self._response(script) | ({"status": "queued"} if queued else {})

    def whole(self, script: Script) -> dict[str, Any]:
        """The response, as for a request without ``stream``."""
        return self._ended(script)


def _content(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


@attrs.define
class _Numbered:
    """Events with their numbers, from 0 without gaps."""

    next: int = 0

    def event(self, kind: str, **said: Any) -> bytes:
        number, self.next = self.next, self.next + 1
        return event({"type": kind, "sequence_number": number, **said}, name=kind)
