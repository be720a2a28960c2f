"""What came out prompt by prompt: in sentences, in rows of a table, and for ``--json``."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, Pair
from lm_deluge.timeline.measures.comparing.largest_changes import largest_changes
from lm_deluge.timeline.measures.comparing.pairs import PairedComparison, Prompts
from lm_deluge.timeline.measures.findings.finding import Finding, subject_of
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import better_is_higher
from lm_deluge.timeline.measures.wording import number, streams_text, told_amount, told_interval

__all__ = [
    "NAMES",
    "about_prompts",
    "amount",
    "pairs_json",
    "unpaired_text",
    "who_is_better",
]

NAMES = {
    "failed_share": "share that broke",
    "ttft.p50": "first output after",
    "tpot.p50": "time per piece",
    "stalls.streams": "share that stalled",
    "starvation.mean": "reader waits for text",
}
"""What is compared, in words of a table."""

_BETTER = {
    "failed_share": ("broke less often", "broke more often"),
    "ttft.p50": ("began sooner", "began later"),
    "tpot.p50": ("came faster", "came more slowly"),
    "stalls.streams": ("stalled less often", "stalled more often"),
    "starvation.mean": ("kept the reader waiting less", "kept the reader waiting longer"),
}

_MOST_PAIRS = 3


def about_prompts(comparisons: Comparisons, baseline: Measured | None) -> Iterator[Finding]:
    """Tell, for each pair of groups that answered the same prompts, what differs prompt by prompt."""
    told = 0
    paired = [pair for pair in comparisons.pairs if pair.prompts is not None]
    for pair in paired:
        lines = list(_about(comparisons, pair, baseline))
        if len(paired) > _MOST_PAIRS and len(lines) == 1:
            continue
        told += 1
        if told <= _MOST_PAIRS:
            yield from lines
    if told > _MOST_PAIRS:
        yield Finding(f"Prompt by prompt {told - _MOST_PAIRS} further pairs differ.")


def _about(comparisons: Comparisons, pair: Pair, baseline: Measured | None) -> Iterator[Finding]:
    prompts = pair.prompts
    assert prompts is not None, "the caller looked"
    called = comparisons.measured.called
    name = called(pair.new)
    other = "before" if baseline is not None else called(pair.old)
    if not prompts.keys:
        tag = comparisons.measured.pair
        yield Finding(
            f"No prompt (by the tag {tag}) was answered by {name} and by {other}: none can be compared."
        )
        return
    if baseline is not None:
        both, now, then, sides = (
            f"{name} answered now and before",
            "now",
            "before",
            f"{name} now and before",
        )
    else:
        both, now, then = f"{name} and {other} both answered", f"with {name}", f"with {other}"
        sides = f"{name} and {other}"
    clear = [each for each in prompts.comparisons.values() if each.is_clear]
    left = unpaired_text(prompts, name, other)
    beside = f"; {left}" if left else ""
    if not clear:
        yield Finding(
            f"Prompt by prompt there is no clear difference between {sides} "
            f"({_prompts(len(prompts.keys))} that both answered{beside})."
        )
    for position, each in enumerate(clear):
        new_is_better = ((each.difference or 0.0) > 0) == better_is_higher(each.metric)
        words = _BETTER[each.metric][0 if new_is_better else 1]
        count = each.better if new_is_better else each.worse
        against = each.worse if new_is_better else each.better
        yield Finding(
            f"Prompt by prompt: of {_prompts(each.n)} that {both}, {count} "
            f"noticeably {words} {now}, {against} {then}, {each.same} were alike: by "
            f"{told_amount(each.metric, each.difference or 0.0)} in the {_middle(each.metric)}, "
            f"95 % interval "
            f"{told_interval(each.metric, each.low, each.high)}"
            f"{beside if not position else ''}.",
            subject_of(each.metric),
        )


def unpaired_text(prompts: Prompts, name: str, other: str) -> str:
    """Return ``left out: 3 streams of A, whose prompts …``; ``""`` where every stream is paired."""
    parts = [
        f"{streams_text(count)} of {group}"
        for count, group in zip(prompts.unpaired, (name, other), strict=True)
        if count
    ]
    return f"left out, without a counterpart: {' and '.join(parts)}" if parts else ""


def who_is_better(comparison: PairedComparison, new: str, old: str) -> str:
    """Return in a few words what a row of the table says."""
    if not comparison.is_clear:
        return "not clear"
    is_new = ((comparison.difference or 0.0) > 0) == better_is_higher(comparison.metric)
    return f"{new if is_new else old} is better"


def amount(metric: str, value: float | None) -> str:
    """Return a value; an infinite one is ``never``."""
    return number(metric, value) if value is None or isfinite(value) else "never"


def pairs_json(comparisons: Comparisons) -> list[dict[str, Any]]:
    """Return ``pairs`` of ``--json``: what docs/design/metrics.md says, an infinite number as null."""
    return [
        _json(pair.prompts, comparisons.measured.pair)
        for pair in comparisons.pairs
        if pair.prompts is not None
    ]


def _json(prompts: Prompts, tag: str | None) -> dict[str, Any]:
    unpaired = prompts.unpaired
    return {
        "new": prompts.new.name,
        "old": prompts.old.name,
        "by": "prompt_hash" if tag is None else f"tag {tag}",
        "prompts": len(prompts.keys),
        "streams": [prompts.new.streams - unpaired[0], prompts.old.streams - unpaired[1]],
        "unpaired": list(unpaired),
        "comparisons": {
            metric: {
                "n": each.n,
                "new": _known(each.new),
                "old": _known(each.old),
                "difference": _known(each.difference),
                "interval": None if each.low is None else [_known(each.low), _known(each.high)],
                "better": each.better,
                "worse": each.worse,
                "same": each.same,
                "p": each.chance,
                "p_corrected": each.corrected,
                "clear": each.is_clear,
            }
            for metric, each in prompts.comparisons.items()
        },
        "largest_changes": [
            {
                "prompt": prompts.keys[change.key],
                "begins": prompts.opening(change.key),
                "why": change.why,
                "new": change.new,
                "old": change.old,
            }
            for change in largest_changes(prompts)
        ],
    }


def _middle(metric: str) -> str:
    return "median" if metric.endswith(".p50") else "mean"


def _known(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _prompts(count: int) -> str:
    return f"{count:,} prompt{'' if count == 1 else 's'}"
