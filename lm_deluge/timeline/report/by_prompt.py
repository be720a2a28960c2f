"""The part of the page that compares groups prompt by prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, Pair
from lm_deluge.timeline.measures.comparing.largest_changes import Change, largest_changes
from lm_deluge.timeline.measures.comparing.pairs import (
    LEAST_PROMPTS,
    WAIT,
    Prompts,
    values_by_prompt,
)
from lm_deluge.timeline.measures.findings.about_pairs import (
    NAMES,
    amount,
    unpaired_text,
    who_is_better,
)
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.wording import difference, interval
from lm_deluge.timeline.report.answers import answer_facts
from lm_deluge.timeline.report.slopes import slope

__all__ = ["pairs_part", "streams_of_changes"]

_MOST_PAIRS = 6


def streams_of_changes(
    measured: Measured, baseline: Measured | None, comparisons: Comparisons
) -> Iterable[str]:
    """Yield the ids of the streams that are shown beside each other."""
    for pair in _shown(comparisons):
        assert pair.prompts is not None, "only those are shown"
        for change in largest_changes(pair.prompts):
            yield change.new
            yield change.old


def pairs_part(
    measured: Measured,
    comparisons: Comparisons,
    sample: Sample,
    *,
    colors: Mapping[str, str],
    is_baseline: bool,
    before: Sample | None = None,
    text: bool = True,
) -> dict[str, Any] | None:
    """Return what templates/pairs.html shows; ``None`` where no two groups answered the same prompts.

    ``before``: streams of the baseline. ``text``: whether prompts and answers are shown.
    """
    paired = [pair for pair in comparisons.pairs if pair.prompts is not None and pair.prompts.keys]
    if not paired:
        return None
    return {
        "rule": _rule(measured),
        "sections": [
            _section(pair, (sample, before or sample), colors, is_baseline=is_baseline, text=text)
            for pair in _shown(comparisons)
        ],
        "more": max(0, len(paired) - _MOST_PAIRS),
        "made": comparisons.n,
    }


def _shown(comparisons: Comparisons) -> list[Pair]:
    """Return the pairs of the page: those with the most that is clear."""
    paired = [pair for pair in comparisons.pairs if pair.prompts is not None and pair.prompts.keys]
    kept = sorted(paired, key=lambda pair: -_clear(pair))[:_MOST_PAIRS]
    return [pair for pair in paired if any(pair is each for each in kept)]


def _clear(pair: Pair) -> int:
    assert pair.prompts is not None, "only paired ones are asked"
    return sum(each.is_clear for each in pair.prompts.comparisons.values())


def _rule(measured: Measured) -> str:
    if measured.pair is not None:
        return f"Streams with the same value of the tag {measured.pair} answered the same prompt."
    return (
        "The log says by a hash which streams answered the same prompt. Groups are compared so where they "
        f"share {LEAST_PROMPTS} prompts or more, and half of each group's streams or more answered those."
    )


def _section(
    pair: Pair,
    samples: tuple[Sample, Sample],
    colors: Mapping[str, str],
    *,
    is_baseline: bool,
    text: bool,
) -> dict[str, Any]:
    prompts = pair.prompts
    assert prompts is not None, "only paired ones are shown"
    new = pair.new.name
    old = f"{pair.old.name}, before" if is_baseline else pair.old.name
    pictures = (slope(prompts, metric, text=text) for metric in ("ttft.p50", WAIT))
    return {
        "new": new,
        "old": old,
        "new_color": colors.get(pair.new.name),
        "old_color": None if is_baseline else colors.get(pair.old.name),
        "prompts": f"{len(prompts.keys):,}",
        "repeats": prompts.most_repeats,
        "left_out": unpaired_text(prompts, new, old),
        "rows": list(_rows(prompts, new, old)),
        "slopes": [picture for picture in pictures if picture is not None],
        "changes": [
            _change(prompts, change, samples, new, old, text=text)
            for change in largest_changes(prompts)
        ],
    }


def _rows(prompts: Prompts, new: str, old: str) -> Iterator[dict[str, Any]]:
    for metric, each in prompts.comparisons.items():
        yield {
            "metric": NAMES[metric],
            "new": amount(metric, each.new),
            "old": amount(metric, each.old),
            "change": difference(metric, each.difference),
            "interval": interval(metric, each.low, each.high),
            "better": f"{each.better:,}",
            "worse": f"{each.worse:,}",
            "same": f"{each.same:,}",
            "is_clear": each.is_clear,
            "who": who_is_better(each, new, old),
        }


def _change(
    prompts: Prompts,
    change: Change,
    samples: tuple[Sample, Sample],
    new: str,
    old: str,
    *,
    text: bool,
) -> dict[str, Any]:
    waits = [
        amount("ttft.p50", float(values[change.key])) for values in values_by_prompt(prompts, WAIT)
    ]
    broke = [float(values[change.key]) for values in values_by_prompt(prompts, "failed_share")]
    opening = prompts.opening(change.key) if text else None
    if change.why == "broke":
        told = f"broke with {new if broke[0] > broke[1] else old}"
    else:
        shorter = change.size < 0
        told = (
            f"waiting {amount('ttft.p50', abs(change.size))} {'less' if shorter else 'longer'} with {new} "
            f"({waits[1]} → {waits[0]})"
        )
    places = prompts.places(change.key)
    return {
        "key": prompts.called(change.key, text=text),
        "opening": opening,
        "is_cut": opening is not None and len(opening) >= 100,
        "told": told,
        "is_better": change.size < 0,
        "answers": [
            _answer(samples[1], change.old, prompts.old.settings.stall, old, len(places[1])),
            _answer(samples[0], change.new, prompts.new.settings.stall, new, len(places[0])),
        ],
    }


def _answer(sample: Sample, stream: str, stall: float, name: str, repeats: int) -> dict[str, Any]:
    timeline = sample.get(stream)
    return {
        "name": name,
        "repeats": repeats,
        "facts": None if timeline is None else answer_facts(timeline, stall),
        "stream": stream,
    }
