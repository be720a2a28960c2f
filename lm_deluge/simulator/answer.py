"""From a script to a reply: the healthy one, and the parts that faults rearrange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from lm_deluge.simulator.chunks import DONE, Printer, dumps, event
from lm_deluge.simulator.pace import Gap
from lm_deluge.simulator.script import Script
from lm_deluge.simulator.steps import Overhead, Paced, Reply, Step
from lm_deluge.simulator.words import rng_for

_JSON_SLICES = 8


@attrs.define(kw_only=True)
class Answer:
    """The bytes of one answer, part by part, and the waits between them in seconds."""

    script: Script
    printer: Printer
    streamed: bool
    headers: dict[str, str]
    ttft: float
    opening: list[bytes]
    pieces: list[bytes]
    waits: list[float]
    """One per piece, before it."""
    finishes: list[bytes]
    usage: bytes | None
    done: bytes | None
    whole: dict[str, Any]
    """The same answer as one JSON object."""
    credentials: str = ""
    """What the client sent, for the fault that repeats it."""

    def start(self) -> list[Step]:
        """The wait for the first token, and what comes before it."""
        steps: list[Step] = [self.ttft] if self.ttft else []
        if self.opening:
            steps.append(Overhead(b"".join(self.opening)))
        return steps

    def until(self, count: int) -> list[Step]:
        """Everything up to and with ``count`` pieces."""
        return [*self.start(), Paced(self.pieces[:count], self.waits[:count])]

    def after(self, count: int) -> list[Step]:
        """Everything after ``count`` pieces."""
        return [Paced(self.pieces[count:], self.waits[count:]), *self.end()]

    def end(self) -> list[Step]:
        """Everything after the last piece."""
        last = [*self.finishes, self.usage, self.done]
        return [Overhead(data) for data in last if data is not None]

    def reply(self, steps: Iterable[Step] | None = None, **changes: Any) -> Reply:
        """The healthy reply, or one with other steps under the same head."""
        if steps is None:
            steps = [*self.until(len(self.pieces)), *self.end()]
        content_type = "text/event-stream; charset=utf-8" if self.streamed else "application/json"
        return Reply(
            steps=steps, **{"headers": self.headers, "content_type": content_type} | changes
        )


@attrs.frozen(kw_only=True)
class Pacing:
    """How an answer is spread over time."""

    ttft: Gap
    gap: Gap
    jitter: float = 0.0
    seed: int = 0


def make_answer(
    script: Script,
    printer: Printer,
    body: Mapping[str, Any],
    *,
    pacing: Pacing,
    usage: bool | Mapping[str, Any],
    index: int,
    azure: bool,
) -> Answer:
    """Render a script for a request body, with its waits drawn."""
    rng = rng_for(pacing.seed, "pace", index)
    given = usage if isinstance(usage, Mapping) else script.usage
    whole = printer.whole(script, given if usage else None)
    streamed = bool(body.get("stream"))
    ttft = next(pacing.ttft.waits(rng, pacing.jitter))
    gaps = pacing.gap.waits(rng, pacing.jitter)
    headers = {
        "openai-organization": "simulated",
        "openai-processing-ms": str(round(ttft * 1000)),
        "openai-version": "2020-10-01",
    }
    if not streamed:
        data = dumps(whole).encode()
        # Not streamed means: after all the waits that the stream would have had.
        tokens = sum(choice.tokens for choice in script.choices)
        ttft += 0 if pacing.gap.zero else sum(next(gaps) for _ in range(max(tokens - 1, 0)))
        size = max(len(data) // _JSON_SLICES, 1)
        slices = [data[at : at + size] for at in range(0, len(data), size)]
        return Answer(
            script=script,
            printer=printer,
            streamed=False,
            headers=headers,
            ttft=ttft,
            opening=[],
            pieces=slices,
            waits=[0.0] * len(slices),
            finishes=[],
            usage=None,
            done=None,
            whole=whole,
        )
    pieces = printer.pieces(script)
    opening = printer.opening(script)
    if azure:
        opening.insert(0, _azure_opening())
    asked = (body.get("stream_options") or {}).get("include_usage")
    return Answer(
        script=script,
        printer=printer,
        streamed=True,
        headers=headers,
        ttft=ttft,
        opening=opening,
        pieces=pieces,
        waits=_waits(printer, script, gaps, len(pieces), still=pacing.gap.zero),
        finishes=printer.finishes(script),
        usage=printer.usage(given) if asked and usage else None,
        done=DONE,
        whole=whole,
    )


def _waits(
    printer: Printer, script: Script, gaps: Iterable[float], count: int, *, still: bool
) -> list[float]:
    if still:
        return [0.0] * count
    waits: list[float] = []
    before = -1
    drawn = iter(gaps)
    for index, _ in printer.deltas(script) if len(script.choices) > 1 else ((0, None),) * count:
        # Choices are written side by side: one wait for a row of them. The first piece comes with
        # the role, after the time to first token.
        waits.append(next(drawn) if waits and index <= before else 0.0)
        before = index
    return waits


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
