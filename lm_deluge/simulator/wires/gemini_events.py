"""An answer in the words of Google's Gemini: each event is a whole response with what is new."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from lm_deluge.simulator.saying.events import ALPHABET, dumps
from lm_deluge.simulator.saying.printer import Parts
from lm_deluge.simulator.saying.script import Call, Script
from lm_deluge.simulator.saying.words import rng_for
from lm_deluge.simulator.wires.seals import sealed

__all__ = ["GeminiPrinter", "call_seal"]

_STOPS: Final = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
_CALLED: Final = "Model generated function call(s)."


def call_seal(seed: int, name: str, args: Any) -> str:
    """Return the ``thoughtSignature`` of a call that was thought about."""
    return sealed(seed, "call", name, json.dumps(args, sort_keys=True))


def _event(value: Any) -> bytes:
    return f"data: {dumps(value)}\r\n\r\n".encode()


@attrs.frozen(kw_only=True)
class GeminiPrinter:
    """Writes responses that share one id and model."""

    id: str
    model: str
    seed: int
    signs: bool
    """Whether the model signs its calls, also where no thought is shown."""
    is_array: bool = False
    """Whether the stream is one JSON array, as without ``alt=sse``."""
    usage: bool | Mapping[str, Any] = True

    headers: ClassVar[dict[str, str]] = {"X-Gemini-Service-Tier": "standard"}
    alive: ClassVar[bytes] = b": keep-alive\r\n\r\n"
    malformed: ClassVar[bytes] = (
        b'data: {"candidates": [{"content": {"parts": [{"text": "oops\r\n\r\n'
    )
    unended: ClassVar[bytes] = b'data: {"candidates": [{"content": {"parts": [{"text": "'

    @classmethod
    def for_request(cls, *, seed: int, index: int, **options: Any) -> GeminiPrinter:
        """A printer with the id that this request gets."""
        rng = rng_for(seed, "id", index)
        return cls(id="".join(rng.choices(ALPHABET, k=23)), seed=seed, **options)

    @property
    def content_type(self) -> str:
        """Of the stream."""
        return "application/json; charset=UTF-8" if self.is_array else "text/event-stream"

    def without_usage(self) -> GeminiPrinter:
        """The same printer, which never tells of usage."""
        return attrs.evolve(self, usage=False)

    # -- the stream

    def parts(self, script: Script) -> Parts:
        """The stream: usage grows from event to event; the last one says why it ended."""
        thought = said = 0
        pieces = []
        for part, tokens in self._said_parts(script):
            if part.get("thought"):
                thought += tokens
            else:
                said += tokens
            pieces.append(self._response(script, [part], thought, said))
        last = self._last(script)
        if not self.is_array:
            return Parts(
                opening=[],
                pieces=[_event(piece) for piece in pieces],
                choices=[0] * len(pieces),
                finishes=[_event(last)],
            )
        # One array: what stands before each object is sent with it.
        before = ["["] + [",\r\n"] * len(pieces)
        texts = [
            f"{mark}{json.dumps(value, indent=2)}"
            for mark, value in zip(before, [*pieces, last], strict=True)
        ]
        return Parts(
            opening=[],
            pieces=[text.encode() for text in texts[:-1]],
            choices=[0] * len(pieces),
            finishes=[f"{texts[-1]}\n]".encode()],
        )

    def _said_parts(self, script: Script) -> list[tuple[dict[str, Any], int]]:
        """Return the parts in the order in which they leave, each with its tokens."""
        choice = script.choices[0]
        found: list[tuple[dict[str, Any], int]] = []
        found += [({"text": piece, "thought": True}, 1) for piece in choice.reasoning]
        found += [({"text": piece}, 1) for piece in choice.text]
        for number, call in enumerate(choice.calls):
            if (args := _args(call)) is None:
                continue
            part: dict[str, Any] = {"functionCall": {"name": call.name, "args": args}}
            # Of calls made together, the first one carries what was thought.
            if number == 0 and (self.signs or choice.reasoning):
                part["thoughtSignature"] = call_seal(self.seed, call.name, args)
            found.append((part, len(call.arguments) + 1))
        return found

    def _last(self, script: Script) -> dict[str, Any]:
        choice = script.choices[0]
        response = self._response(
            script, [{"text": ""}], script.reasoning_tokens, script.tokens - script.reasoning_tokens
        )
        candidate = response["candidates"][0]
        candidate["finishReason"] = _STOPS[choice.finish]
        if choice.refusal:
            candidate["finishReason"] = "SAFETY"
            candidate["finishMessage"] = "".join(choice.refusal)
            del candidate["content"]
        elif choice.finish == "tool_calls":
            candidate["finishMessage"] = _CALLED
            broken = [call for call in choice.calls if _args(call) is None]
            if broken:
                candidate["finishReason"] = "MALFORMED_FUNCTION_CALL"
                candidate["finishMessage"] = f"Malformed function call: {broken[0].name}"
        return response

    def _response(
        self, script: Script, parts: list[dict[str, Any]], thought: int, said: int
    ) -> dict[str, Any]:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        response: dict[str, Any] = {"candidates": [candidate]}
        if isinstance(self.usage, Mapping):
            response["usageMetadata"] = dict(self.usage)
        elif self.usage:
            response["usageMetadata"] = _counted(script, thought, said)
        return response | {"modelVersion": self.model, "responseId": self.id}

    def said(self, script: Script, text: str, after: int) -> bytes:
        """One response more."""
        response = self._response(script, [{"text": text}], 0, after)
        return f",\r\n{dumps(response)}".encode() if self.is_array else _event(response)

    def error(self, script: Script, shape: str, message: str, after: int) -> bytes:
        """The one shape of an error here: no event, but a bare object of several lines."""
        said = message if shape == "echo" else "The model is overloaded. Please try again later."
        error = {"code": 503, "message": said, "status": "UNAVAILABLE"}
        return (json.dumps({"error": error}, indent=2) + "\n").encode()

    # -- in one piece

    def whole(self, script: Script) -> dict[str, Any]:
        """The response of ``generateContent``: parts in a row of one kind are one."""
        parts: list[dict[str, Any]] = []
        for part, _ in self._said_parts(script):
            before = parts[-1] if parts else {}
            if "text" in part and "text" in before and part.keys() == before.keys():
                before["text"] += part["text"]
            else:
                parts.append(dict(part))
        response = self._last(script)
        if "content" in response["candidates"][0]:
            response["candidates"][0]["content"]["parts"] = parts
        return response


def _args(call: Call) -> dict[str, Any] | None:
    """Return a call's arguments; ``None`` where they are no object, which is not said here."""
    try:
        args = json.loads("".join(call.arguments) or "{}")
    except ValueError:
        return None
    return args if isinstance(args, dict) else None


def _counted(script: Script, thought: int, said: int) -> dict[str, Any]:
    prompt = script.prompt_tokens
    usage: dict[str, Any] = {"promptTokenCount": prompt}
    if said:
        usage["candidatesTokenCount"] = said
    usage["totalTokenCount"] = prompt + thought + said
    if script.cached_tokens:
        usage["cachedContentTokenCount"] = script.cached_tokens
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    if thought:
        usage["thoughtsTokenCount"] = thought
    return usage | {"serviceTier": "standard"}
