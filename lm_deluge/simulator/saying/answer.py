"""From a script to a reply: the healthy one, and the parts that faults rearrange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from lm_deluge.simulator.saying.events import dumps
from lm_deluge.simulator.saying.pace import Gap
from lm_deluge.simulator.saying.printer import EventPrinter
from lm_deluge.simulator.saying.script import Script
from lm_deluge.simulator.saying.steps import (
    Overhead,
    Paced,
    Reply,
    Step,
)
from lm_deluge.simulator.saying.words import rng_for

_JSON_SLICES = 8


@attrs.define(kw_only=True)
class SimulatedAnswer:
    """The bytes of one answer, part by part, and the waits between them in seconds."""

    script: Script
    printer: EventPrinter
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
    whole: Any
    """The same answer as one JSON value."""
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

    def said(self, text: str, after: int) -> bytes:
        """An event that says one text more after so many pieces."""
        return self.printer.said(self.script, text, after)

    def reply(self, steps: Iterable[Step] | None = None, **changes: Any) -> Reply:
        """The healthy reply, or one with other steps under the same head."""
        if steps is None:
            steps = [*self.until(len(self.pieces)), *self.end()]
        content_type = self.printer.content_type if self.streamed else "application/json"
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
    printer: EventPrinter,
    *,
    streamed: bool,
    pacing: Pacing,
    index: int,
) -> SimulatedAnswer:
    """Render a script, with its waits drawn."""
    rng = rng_for(pacing.seed, "pace", index)
    whole = printer.whole(script)
    ttft = next(pacing.ttft.waits(rng, pacing.jitter))
    gaps = pacing.gap.waits(rng, pacing.jitter)
    headers = dict(printer.headers)
    if "openai-version" in headers:
        headers["openai-processing-ms"] = str(round(ttft * 1000))
    if not streamed:
        data = dumps(whole).encode()
        # Not streamed means: after all the waits that the stream would have had.
        ttft += 0 if pacing.gap.zero else sum(next(gaps) for _ in range(max(script.tokens - 1, 0)))
        size = max(len(data) // _JSON_SLICES, 1)
        slices = [data[at : at + size] for at in range(0, len(data), size)]
        return SimulatedAnswer(
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
    parts = printer.parts(script)
    return SimulatedAnswer(
        script=script,
        printer=printer,
        streamed=True,
        headers=headers,
        ttft=ttft,
        opening=parts.opening,
        pieces=parts.pieces,
        waits=_waits(parts.choices, gaps, still=pacing.gap.zero),
        finishes=parts.finishes,
        usage=parts.usage,
        done=parts.done,
        whole=whole,
    )


def _waits(choices: Sequence[int], gaps: Iterable[float], *, still: bool) -> list[float]:
    if still:
        return [0.0] * len(choices)
    waits: list[float] = []
    before = -1
    drawn = iter(gaps)
    for index in choices:
        # Choices are written side by side: one wait for a row of them. The first piece comes with
        # the role, after the time to first token.
        waits.append(next(drawn) if waits and index <= before else 0.0)
        before = index
    return waits
