"""What to say to a request: pieces of text, reasoning and tool calls, and why it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from lm_deluge.simulator.saying.plausible import plausible
from lm_deluge.simulator.saying.prompt import Prompt
from lm_deluge.simulator.saying.words import (
    cut_json,
    rng_for,
    seeded_pieces,
    tokenize,
)

Text = str | Sequence[str] | Callable[[Any], "str | Sequence[str]"] | None
Calls = Sequence[tuple[str, "Mapping[str, Any] | str"]]
ToolCalls = Calls | Sequence[Calls]
"""Calls of one round, or a list of them for each round."""

#: Characters of results that an answer to them quotes.
_QUOTED = 2_000


@attrs.frozen
class Call:
    """One tool call, its arguments in pieces."""

    id: str
    name: str
    arguments: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ScriptedChoice:
    """One answer to the request; every part in the pieces in which it leaves."""

    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    hidden: int = 0
    """Reasoning tokens that are billed and never shown."""
    finish: str = "stop"
    """In the words of chat completions."""
    stopped_by: str | None = None
    """The stop sequence that ended it."""

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

    choices: tuple[ScriptedChoice, ...]
    prompt_tokens: int

    @property
    def tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    @property
    def reasoning_tokens(self) -> int:
        return sum(choice.reasoning_tokens for choice in self.choices)

    @property
    def cached_tokens(self) -> int:
        """Services cache prompts of 1,024 tokens or more, in steps of 128."""
        return self.prompt_tokens // 128 * 128 if self.prompt_tokens >= 1024 else 0


@attrs.frozen(kw_only=True)
class Writer:
    """Writes scripts; one per simulator. The same seed and request give the same script."""

    seed: int = 0
    text: Text = None
    tokens: int | None = None
    reasoning: int | str | None = None
    refusal: str | None = None
    tool_calls: ToolCalls | None = None

    def write(self, asked: Prompt) -> Script:
        """Settle the answer to a asked."""
        prompt = asked.text
        choices = tuple(self._choice(asked, prompt, index) for index in range(asked.count))
        return Script(choices=choices, prompt_tokens=asked.prompt_tokens)

    def _choice(self, asked: Prompt, prompt: str, index: int) -> ScriptedChoice:
        rng = rng_for(self.seed, prompt, index)
        shown = self._reasoning(prompt, index) if asked.shows_reasoning else ()
        hidden = 0
        if asked.hides_reasoning and not shown:
            hidden = rng.randint(8, 48)
        if self.refusal is not None:
            return ScriptedChoice(
                refusal=tuple(tokenize(self.refusal)), reasoning=shown, hidden=hidden
            )
        wanted = self._wanted_calls(asked, rng)
        calls = tuple(
            Call(f"call_{_ident(rng, 24)}", name, tuple(cut_json(arguments, rng)))
            for name, arguments in wanted
        )
        pieces = [] if calls and self.text is None else self._pieces(asked, prompt, index)
        choice = ScriptedChoice(
            text=tuple(pieces),
            reasoning=shown,
            calls=calls,
            hidden=hidden,
            finish="tool_calls" if calls else "stop",
        )
        capped = _capped(_stopped(choice, asked.stops), asked.limit)
        # Where the model may not end by itself, what ended it is the limit.
        is_full = asked.fills and capped.tokens == asked.limit
        return attrs.evolve(capped, finish="length") if is_full else capped

    def _reasoning(self, prompt: str, index: int) -> tuple[str, ...]:
        if isinstance(self.reasoning, str):
            return tuple(tokenize(self.reasoning))
        if not self.reasoning:
            return ()
        rng = rng_for(self.seed, "reasoning", prompt, index)
        return tuple(seeded_pieces(rng, self.reasoning))

    def _wanted_calls(self, asked: Prompt, rng: Any) -> Calls:
        if asked.calls == "none":
            return ()
        if self.tool_calls is not None:
            # After the last results a model talks; calling for ever would trap every agent loop.
            rounds = _rounds(self.tool_calls)
            at = len(asked.rounds) if asked.answered else 0
            return rounds[at] if at < len(rounds) else ()
        if asked.calls != "required":
            return ()
        return [
            (function.name, plausible(function.schema, rng)) for function in asked.functions[:1]
        ]

    def _pieces(self, asked: Prompt, prompt: str, index: int) -> Sequence[str]:
        text = self.text(asked.body) if callable(self.text) else self.text
        if isinstance(text, str):
            return tokenize(text)
        if text is not None:
            # An empty piece would be a chunk that says nothing.
            return [piece for piece in text if piece]
        if asked.answered and self.tokens is None and not asked.as_json:
            return tokenize(f"The tools say: {'; '.join(asked.rounds[-1])}"[:_QUOTED])
        rng = rng_for(self.seed, "text", prompt, index)
        count = rng.randint(60, 120) if self.tokens is None else self.tokens
        count = asked.limit if asked.fills and asked.limit is not None else max(count, asked.least)
        if asked.schema is not None:
            return cut_json(plausible(asked.schema, rng), rng)
        if asked.as_json:
            words = "".join(seeded_pieces(rng, max(count - 10, 1)))
            return tokenize(json.dumps({"answer": words}, ensure_ascii=False))
        return seeded_pieces(rng, count)


def _rounds(calls: ToolCalls) -> Sequence[Calls]:
    first = calls[0] if calls else ("",)
    given: Any = calls
    return [given] if isinstance(first[0], str) else given


def _ident(rng: Any, length: int) -> str:
    return "".join(
        rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=length)
    )


def _stopped(choice: ScriptedChoice, stops: Sequence[str]) -> ScriptedChoice:
    whole = "".join(choice.text)
    found = [(whole.find(mark), mark) for mark in stops if mark and mark in whole]
    if not found:
        return choice
    left, mark = min(found)
    kept = []
    for piece in choice.text:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    return attrs.evolve(choice, text=tuple(kept), calls=(), finish="stop", stopped_by=mark)


def _capped(choice: ScriptedChoice, limit: int | None) -> ScriptedChoice:
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
    return ScriptedChoice(
        text=text, reasoning=reasoning, calls=tuple(calls), hidden=hidden, finish="length"
    )
