"""The verdict of a report: which group feels better, why, and what is open, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, Pair, compare_all
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.verdict.alone import about_one, options_of
from lm_deluge.timeline.measures.verdict.decision import Decision, decide
from lm_deluge.timeline.measures.verdict.enough import can_be_clear, least_streams
from lm_deluge.timeline.measures.verdict.on_screen import ON_SCREEN, on_screen
from lm_deluge.timeline.measures.verdict.phrases import first_text
from lm_deluge.timeline.measures.verdict.ranking import about_all, in_order
from lm_deluge.timeline.measures.verdict.reasons import Reason, Side, reasons_of, starts_with_text
from lm_deluge.timeline.measures.verdict.sentences import MARKS, Setting, sentence_of
from lm_deluge.timeline.measures.verdict.verdict import Verdict

__all__ = ["verdicts_of"]

_LONGEST_NAME = 60


def verdicts_of(
    measured: Measured,
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
    *,
    broken: Sequence[str] = (),
) -> list[Verdict]:
    """Return the verdicts, the most important first; of more than one pair, one about all leads.

    ``comparisons``: ``compare_all(measured, baseline)``, by whoever has them. ``broken``: the rules
    of a budget that are broken, as ``broken_rules`` tells them. Without a stream there is none.
    """
    if not measured.groups:
        return []
    if comparisons is None:
        comparisons = compare_all(measured, baseline)
    if not comparisons.pairs:
        return [_without_pairs(measured, baseline, broken)]
    left, least = comparisons.not_clear, least_streams(comparisons.n)
    verdicts = [
        _verdict(comparisons, pair, left, least, is_baseline=baseline is not None)
        for pair in comparisons.pairs
    ]
    if len(verdicts) == 1:
        return verdicts
    spoken = {group.name: _spoken(measured, group) for group in measured.groups.values()}
    template, names, best = about_all(
        verdicts,
        spoken,
        kind=_kind(measured),
        left_out=len(comparisons.left_out),
        is_baseline=baseline is not None,
    )
    template += _too_few(verdicts, least)
    if any(ON_SCREEN in verdict.template for verdict in verdicts):
        template += f"{ON_SCREEN}s of their readers some differ"
    leading = Verdict("ranking", template, names, better=best, keep=best)
    return [leading, *in_order(verdicts, best)]


def _without_pairs(measured: Measured, baseline: Measured | None, broken: Sequence[str]) -> Verdict:
    """Return the verdict on one group, or say why nothing is compared with before."""
    if baseline is not None:
        return Verdict(
            "no_data", f"Nothing to compare: no {_kind(measured)} of it was there before", {}
        )
    (group,) = measured.groups.values()  # more than one are always compared
    options = options_of(measured.tags.difference(measured.by))
    names = {"new": _spoken(measured, group), "tags": options}
    template = about_one(group, broken, has_tags=bool(options))
    return Verdict("alone", template, names, group.name)


def _verdict(
    comparisons: Comparisons, pair: Pair, left: int, least: int, *, is_baseline: bool
) -> Verdict:
    reasons = reasons_of(pair, left=left)
    decision = _decision(pair, reasons, comparisons.n)
    if decision.kind == "all_failed":
        reasons = []
    if decision.kind == "too_few":
        reasons = [evolve(reason, more=None) for reason in reasons]
    each = "on both sides" if is_baseline else f"of each {_kind(comparisons.measured)}"
    text = first_text(is_text=starts_with_text(pair.new, pair.old))
    setting = Setting(
        streams=(pair.new.streams, pair.old.streams),
        least=least,
        is_baseline=is_baseline,
        each=each,
        text=text,
    )
    sides: dict[Side, str] = {
        "new": pair.new.name,
        "old": "before" if is_baseline else pair.old.name,
    }
    better = decision.better
    return Verdict(
        kind=decision.kind,
        template=sentence_of(decision, reasons, setting) + on_screen(pair, MARKS),
        names={
            "new": _spoken(comparisons.measured, pair.new),
            "old": "before" if is_baseline else _spoken(comparisons.measured, pair.old),
        },
        new=pair.new.name,
        old=pair.old.name,
        better=sides[better] if better else None,
        worse=sides["old" if better == "new" else "new"] if better else None,
        keep=sides[decision.keep] if decision.keep else None,
        reasons=reasons,
        sides=sides,
        subject="new" if is_baseline else better or "new",
        text=text,
        each=each,
    )


def _too_few(verdicts: Sequence[Verdict], least: int) -> str:
    """Say what most comparisons lack, once."""
    few = sum(verdict.kind == "too_few" for verdict in verdicts)
    if few == len(verdicts):
        return f": each needs {least:,} streams at least"
    if few > len(verdicts) / 2:
        return (
            f"; {few:,} of {len(verdicts):,} comparisons have too few streams: {least:,} of each "
            "group are needed at least"
        )
    return ""


def _decision(pair: Pair, reasons: Sequence[Reason], comparisons: int) -> Decision:
    if all(group.failed == group.streams for group in (pair.new, pair.old)):
        return Decision("all_failed")
    decision = decide(reasons)
    if decision.kind != "undecided":
        return decision
    if not can_be_clear(pair.new.streams, pair.old.streams, comparisons):
        return Decision("too_few")
    if any(not len(group.values("ttft")) for group in (pair.new, pair.old)):
        return decision if any(reason.is_open for reason in reasons) else Decision("no_data")
    return decision


def _spoken(measured: Measured, group: Group) -> str:
    """Return what a sentence calls a group: on one line, and not too long."""
    name = " ".join(measured.called(group).split())
    if not group.name.strip():
        name = f"{name} (no name)".strip()
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _kind(measured: Measured) -> str:
    """Return what a group is called in general: the tag, if it is a word, or ``group``."""
    kind = measured.kind
    is_word = len(kind) <= 20 and kind.isascii() and kind.isalpha() and not kind.endswith("s")
    return kind if is_word else "group"
