"""Faults in how the choices of chat completions are arranged; other dialects have one answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from lm_deluge.simulator.faults.arguments import FaultKind, nothing
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.wires.chat_chunks import ChunkPrinter


def _duplicate(_: None, answer: SimulatedAnswer) -> Reply:
    printer = answer.printer
    if not isinstance(printer, ChunkPrinter):
        return answer.reply()
    chunks = []
    for index, delta in printer.deltas(answer.script):
        halves = [delta]
        content = delta.get("content")
        if content is not None:
            middle = len(content) // 2
            halves = [{"content": content[:middle]}, {"content": content[middle:]}]
        chunks.append(printer.chunk(*(printer.entry(index, half) for half in halves)))
    return attrs.evolve(answer, pieces=chunks, finishes=answer.finishes * 2).reply()


def _unordered(_: None, answer: SimulatedAnswer) -> Reply:
    printer = answer.printer
    if not isinstance(printer, ChunkPrinter):
        return answer.reply()
    rows: list[list[tuple[int, dict[str, Any]]]] = []
    for index, delta in printer.deltas(answer.script):
        if not rows or rows[-1][-1][0] >= index:
            rows.append([])
        rows[-1].append((index, delta))
    chunks = [printer.chunk(*(printer.entry(i, delta) for i, delta in row[::-1])) for row in rows]
    return attrs.evolve(
        answer,
        opening=answer.opening[::-1],
        pieces=chunks,
        waits=list(_row_waits(answer))[: len(chunks)],
        finishes=answer.finishes[::-1],
    ).reply()


def _row_waits(answer: SimulatedAnswer) -> Iterable[float]:
    indexes = answer.printer.parts(answer.script).choices
    before = len(answer.script.choices)
    for index, wait in zip(indexes, answer.waits, strict=True):
        if index <= before:
            yield wait
        before = index


KINDS: dict[str, FaultKind] = {
    "duplicate-choices": FaultKind(parse=nothing, late=_duplicate, streamed_only=True),
    "unordered-choices": FaultKind(parse=nothing, late=_unordered, streamed_only=True),
}
