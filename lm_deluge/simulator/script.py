"""What to say to a request: pieces of text, reasoning and tool calls, and why it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from lm_deluge.simulator.rules import Rules
from lm_deluge.simulator.words import (
    count_prompt,
    cut_json,
    plausible,
    rng_for,
    seeded_pieces,
    tokenize,
)

Text = str | Sequence[str] | Callable[[Any], "str | Sequence[str]"] | None
ToolCalls = Sequence[tuple[str, "Mapping[str, Any] | str"]]


@attrs.frozen
class Call:
    """One tool call, its arguments in pieces."""

    id: str
    name: str
    arguments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Choice:
    """One answer to the request; every part in the pieces in which it leaves."""

    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    hidden: int = 0
    """Reasoning tokens that are billed and never shown."""
    finish: str = "stop"

    @property
    def tokens(self) -> int:
        arguments = sum(len(call.arguments) + 1 for call in self.calls)
        return len(self.text) + len(self.refusal) + arguments + self.reasoning_tokens

    @property
    def reasoning_tokens(self) -> int:
        return self.hidden + len(self.reasoning)


@attrs.frozen(kw_only=True)
class Script:
    """All that is settled about an answer before it leaves."""

    choices: tuple[Choice, ...]
    usage: dict[str, Any]


@attrs.frozen(kw_only=True)
class Writer:
    """Writes scripts; one per simulator. The same seed and request give the same script."""

    seed: int = 0
    text: Text = None
    tokens: int | None = None
    reasoning: int | str | None = None
    refusal: str | None = None
    tool_calls: ToolCalls | None = None

    def write(self, body: Mapping[str, Any], rules: Rules) -> Script:
        """Settle the answer to a request body that passed the checks."""
        messages = body.get("messages")
        prompt = json.dumps(messages, sort_keys=True, default=str)
        count = body.get("n") or 1
        choices = tuple(self._choice(body, rules, prompt, index) for index in range(count))
        return Script(choices=choices, usage=_usage(count_prompt(messages), choices))

    def _choice(self, body: Mapping[str, Any], rules: Rules, prompt: str, index: int) -> Choice:
        rng = rng_for(self.seed, prompt, index)
        shown = self._reasoning(prompt, index)
        hidden = 0
        effort = body.get("reasoning_effort") or rules.default_effort
        if rules.reasoning and effort != "none" and not shown:
            hidden = rng.randint(8, 48)
        if self.refusal is not None:
            return Choice(refusal=tuple(tokenize(self.refusal)), reasoning=shown, hidden=hidden)
        wanted = self._wanted_calls(body, rng)
        calls = tuple(
            Call(f"call_{_ident(rng, 24)}", name, tuple(cut_json(arguments, rng)))
            for name, arguments in wanted
        )
        pieces = [] if calls and self.text is None else self._pieces(body, prompt, index)
        choice = Choice(
            text=tuple(pieces),
            reasoning=shown,
            calls=calls,
            hidden=hidden,
            finish="tool_calls" if calls else "stop",
        )
        choice = _stopped(choice, body.get("stop"))
        return _capped(choice, body.get("max_completion_tokens") or body.get("max_tokens"))

    def _reasoning(self, prompt: str, index: int) -> tuple[str, ...]:
        if isinstance(self.reasoning, str):
            return tuple(tokenize(self.reasoning))
        if not self.reasoning:
            return ()
        rng = rng_for(self.seed, "reasoning", prompt, index)
        return tuple(seeded_pieces(rng, self.reasoning))

    def _wanted_calls(self, body: Mapping[str, Any], rng: Any) -> ToolCalls:
        choice = body.get("tool_choice")
        if choice == "none":
            return ()
        if self.tool_calls is not None:
            # After the results a model talks; calling for ever would trap every agent loop.
            last = (body.get("messages") or [{}])[-1]
            answered = isinstance(last, Mapping) and last.get("role") == "tool"
            return () if answered else self.tool_calls
        functions = [t["function"] for t in body.get("tools") or () if "function" in t]
        if isinstance(choice, Mapping):
            name = (choice.get("function") or {}).get("name")
            functions = [function for function in functions if function["name"] == name]
        elif choice != "required":
            return ()
        return [
            (function["name"], plausible(function.get("parameters", {"type": "object"}), rng))
            for function in functions[:1]
        ]

    def _pieces(self, body: Mapping[str, Any], prompt: str, index: int) -> Sequence[str]:
        text = self.text(body) if callable(self.text) else self.text
        if isinstance(text, str):
            return tokenize(text)
        if text is not None:
            # An empty piece would be a chunk that says nothing.
            return [piece for piece in text if piece]
        rng = rng_for(self.seed, "text", prompt, index)
        count = rng.randint(60, 120) if self.tokens is None else self.tokens
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_object":
            words = "".join(seeded_pieces(rng, max(count - 10, 1)))
            return tokenize(json.dumps({"answer": words}, ensure_ascii=False))
        if wanted.get("type") == "json_schema":
            return cut_json(plausible(wanted["json_schema"].get("schema"), rng), rng)
        return seeded_pieces(rng, count)


def _ident(rng: Any, length: int) -> str:
    return "".join(
        rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=length)
    )


def _stopped(choice: Choice, stop: Any) -> Choice:
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    whole = "".join(choice.text)
    found = [at for at in (whole.find(mark) for mark in stops if mark) if at >= 0]
    if not found:
        return choice
    left = min(found)
    kept = []
    for piece in choice.text:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    return attrs.evolve(choice, text=tuple(kept), calls=(), finish="stop")


def _capped(choice: Choice, limit: int | None) -> Choice:
    if limit is None or choice.tokens <= limit:
        return choice
    hidden = min(choice.hidden, limit)
    reasoning = choice.reasoning[: limit - hidden]
    left = limit - hidden - len(reasoning)
    text = choice.text[:left]
    left -= len(text)
    calls = []
    for call in choice.calls:
        # The name costs one token, as each piece of the arguments does.
        if left <= 0:
            break
        calls.append(attrs.evolve(call, arguments=call.arguments[: left - 1]))
        left -= len(calls[-1].arguments) + 1
    return Choice(
        text=text, reasoning=reasoning, calls=tuple(calls), hidden=hidden, finish="length"
    )


def _usage(prompt: int, choices: Sequence[Choice]) -> dict[str, Any]:
    completion = sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            # The service caches prompts of 1,024 tokens or more, in steps of 128.
            "cached_tokens": prompt // 128 * 128 if prompt >= 1024 else 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": sum(choice.reasoning_tokens for choice in choices),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
