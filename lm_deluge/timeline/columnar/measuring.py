"""A log measured by columns: the same groups as of its timelines one by one, several times sooner."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from math import isnan

from attrs import frozen

from lm_deluge.timeline.columnar import figures
from lm_deluge.timeline.columnar.collecting import Batch, Collection
from lm_deluge.timeline.columnar.figures import Ragged
from lm_deluge.timeline.columnar.lines import Lines, lines_of
from lm_deluge.timeline.columnar.tokens import Tokens, in_order
from lm_deluge.timeline.log_files import BlockOfLines, LogFiles
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.numeric import Counts, Flags, Floats, np
from lm_deluge.timeline.measures.one_stream import BURST_PAUSE, COMPLETED_ONLY, Settings
from lm_deluge.timeline.measures.targets import Target
from lm_deluge.values.timeline import Timeline

__all__ = ["measure_files"]

#: Threads that read lines: beyond a few the one that collects them keeps up no more.
_MOST_THREADS = 4


def measure_files(
    files: LogFiles,
    settings: Settings,
    group_of: Callable[[Timeline], Group],
) -> int:
    """Measure all streams of the files into their groups; return how many have no ending.

    ``group_of`` is called once per stream, in the order of their endings, with what is known of it
    beside its tokens.
    """
    collection = Collection(files)
    for block, lines in _read(files.blocks()):
        collection.add(block.line, lines)
        if collection.is_due:
            _measure(collection.ended(), files, settings, group_of)
    _measure(collection.ended(), files, settings, group_of)
    rest = collection.unfinished()
    _measure(rest, files, settings, group_of)
    return len(rest.ids)


def _read(blocks: Iterator[BlockOfLines]) -> Iterator[tuple[BlockOfLines, Lines]]:
    """Read blocks in several threads, as numpy leaves the interpreter to others; one alone in this."""
    begun = list(zip(range(2), blocks, strict=False))
    if len(begun) < 2:
        for _, block in begun:
            yield block, lines_of(block.data)
        return
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    waiting: deque[tuple[BlockOfLines, Future[Lines]]] = deque()
    with ThreadPoolExecutor(threads, "lm-deluge-log") as pool:
        for block in chain((block for _, block in begun), blocks):
            waiting.append((block, pool.submit(lines_of, block.data)))
            if len(waiting) > threads + 1:
                first, lines = waiting.popleft()
                yield first, lines.result()
        while waiting:
            first, lines = waiting.popleft()
            yield first, lines.result()


@frozen
class _MeasuredBatch:
    """Streams of a batch: what is known of each, tokens, columns of ``Group``, gaps, ``d`` of tokens."""

    timelines: list[Timeline]
    tokens: Counts
    columns: Mapping[str, Floats]
    gap: Ragged
    icl: Ragged
    lag: Ragged
    good: Flags


def _measure(
    batch: Batch, files: LogFiles, settings: Settings, group_of: Callable[[Timeline], Group]
) -> None:
    if not batch.ids:
        return
    measured = _measured(batch, files, settings)
    groups: dict[int, tuple[Group, list[int]]] = {}
    for place, timeline in enumerate(measured.timelines):
        group = group_of(timeline)
        groups.setdefault(id(group), (group, []))[1].append(place)
    for group, places in groups.values():
        which = np.zeros(len(batch.ids), bool)
        which[places] = True
        gap, icl = measured.gap.of(which), measured.icl.of(which)
        group.add_columns(
            [measured.timelines[place] for place in places],
            measured.tokens[places].tolist(),
            {name: column[places] for name, column in measured.columns.items()},
            {
                name: (each.values, each.counts)
                for name, each in (("gap", gap), ("icl", icl), ("lag", measured.lag.of(which)))
            },
            int(measured.good[places].sum()),
        )


def _measured(batch: Batch, files: LogFiles, settings: Settings) -> _MeasuredBatch:
    n = len(batch.ids)
    rows, lost = in_order(batch.rows, n, files)
    tokens = Tokens.of(rows, n)
    first, last, reasoning = figures.outputs(rows, n, tokens)
    timelines = [
        Timeline(
            stream=id_,
            ending=facts.ending,
            lost=lost_lines,
            first_output=None if isnan(begin) else begin,
            last_output=None if isnan(begin) else end,
            reasoning=has_reasoning,
            sightings=files.sightings,
            **facts.values,
        )
        for id_, facts, lost_lines, begin, end, has_reasoning in zip(
            batch.ids,
            batch.facts,
            lost.tolist(),
            first.tolist(),
            last.tolist(),
            reasoning.tolist(),
            strict=True,
        )
    ]
    end = _column(timeline.e2e for timeline in timelines)
    completed = np.array([timeline.completed for timeline in timelines])
    failed = np.array([timeline.failed for timeline in timelines])
    slots = tokens.slots()
    gap = figures.gaps(tokens, np.where(failed, np.maximum(end - tokens.lasts(), 0.0), np.nan))
    icl = figures.between(slots)
    weight = _weights(timelines, tokens.counts)
    step = np.where(np.isnan(weight), 1.0, weight) / settings.read_rate
    told = _column(facts.busy for facts in batch.facts)
    handlers, loop_lag = figures.lateness(rows, told)
    quality = figures.quality(tokens, step, settings.expected_ttft)
    burst, silence = figures.bursts(icl, tokens.counts, BURST_PAUSE)
    span = np.where(tokens.counts > 1, tokens.lasts() - tokens.firsts(), np.nan)
    columns = {
        "ttft": first,
        "ttfa": tokens.firsts(),
        "qoe": np.where(failed, 0.0, quality),
        "starvation": figures.starvation(tokens, step),
        "handlers": handlers,
        "loop_lag": loop_lag,
        "coalescing": figures.coalescing(slots, tokens.counts),
        "tokens_per_piece": weight,
        "held": figures.held(slots, icl, np.inf),
        "held_up": figures.held(slots, icl, 0.005),
        "cost": _column(timeline.cost for timeline in timelines),
        "prompt_chars": _column(timeline.prompt_chars for timeline in timelines),
        "failed": failed.astype(float),
        "queued": _column(timeline.queued for timeline in timelines),
        "span": span,
        "burst": burst,
        "silence": silence,
        "e2e": end,
    }
    columns |= _paces(span, weight, tokens.counts)
    columns |= _stalls(gap, settings.stall)
    good = completed & _on_target(columns, {"gap": gap, "icl": icl}, settings.targets, n)
    for name in COMPLETED_ONLY:
        columns[name] = np.where(completed, columns[name], np.nan)
    return _MeasuredBatch(timelines, tokens.counts, columns, gap, icl, figures.lags(tokens), good)


def _column(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], float)


def _weights(timelines: list[Timeline], tokens: Counts) -> Floats:
    """Return tokens per piece, as ``Timeline.tokens_per_piece``."""
    visible = np.full(len(timelines), np.nan)
    for place, timeline in enumerate(timelines):
        usage = timeline.usage
        if usage is None or usage.output_tokens is None:
            continue
        hidden = usage.reasoning_tokens
        if hidden is None and timeline.reasoning:
            continue
        visible[place] = usage.output_tokens - (hidden or 0)
    known = (visible > 0) & (tokens > 0)
    weights = np.full(len(timelines), np.nan)
    weights[known] = visible[known] / tokens[known]
    return weights


def _paces(span: Floats, weight: Floats, tokens: Counts) -> dict[str, Floats]:
    each = np.where(np.isnan(weight), 1.0, weight)
    steps = np.where(tokens > 1, tokens - 1.0, np.nan)
    tpot = span / steps
    rate = np.full(len(span), np.nan)
    moving = span > 0
    rate[moving] = (each * steps)[moving] / span[moving]
    return {"tpot": tpot, "tpot_per_token": tpot / each, "rate": rate}


def _stalls(gap: Ragged, threshold: float) -> dict[str, Floats]:
    long = gap.values > threshold
    stream = gap.streams()[long]
    n = len(gap.counts)
    has = gap.counts > 0
    return {
        "stalls": np.where(has, np.bincount(stream, minlength=n), np.nan),
        "stalled": np.where(has, np.bincount(stream, gap.values[long], minlength=n), np.nan),
    }


def _on_target(
    columns: Mapping[str, Floats], pooled: Mapping[str, Ragged], targets: Sequence[Target], n: int
) -> Flags:
    """Return which streams meet every target."""
    met = np.ones(n, bool)
    for target in targets:
        if target.pool is not None:
            each = pooled[target.pool].split()
            met &= np.array([target.is_met_by_gaps(gaps) for gaps in each], bool)
        else:
            values = columns[target.column].tolist()
            met &= np.array(
                [target.is_met_by(None if isnan(value) else value) for value in values], bool
            )
    return met
