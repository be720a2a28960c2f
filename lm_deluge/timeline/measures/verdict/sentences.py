"""What a verdict says, in one sentence: a template with the marks of the groups' names in it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from attrs import frozen

from lm_deluge.timeline.measures.verdict.decision import Decision
from lm_deluge.timeline.measures.verdict.phrases import (
    count_phrase,
    more_phrase,
    phrase,
    seconds_phrase,
)
from lm_deluge.timeline.measures.verdict.reasons import Reason, Side, other

__all__ = ["MARKS", "Setting", "mark", "sentence_of"]

_MOST_SAID = 2


def mark(key: str) -> str:
    """Return what stands for a name in a template: no name is mixed with our words before the end."""
    return f"\0{key}\0"


NEW, OLD = mark("new"), mark("old")
MARKS: dict[Side, str] = {"new": NEW, "old": OLD}


@frozen
class Setting:
    """What a sentence needs to know beside the reasons.

    ``streams``: new and old. ``least``: how many a group needs so that anything can be clear.
    ``is_baseline``: whether old is before. ``each``: ``of each variant``. ``text``: what comes first.
    """

    streams: tuple[int, int]
    least: int
    is_baseline: bool
    each: str
    text: str


def sentence_of(decision: Decision, reasons: Sequence[Reason], setting: Setting) -> str:
    """Return the sentence, without its end."""
    saying = _Saying(decision, reasons, setting)
    return {
        "better": saying.better,
        "better_but_broken": saying.better_but_broken,
        "trade_off": saying.trade_off,
        "alike": saying.alike,
        "undecided": saying.undecided,
        "too_few": saying.too_few,
        "all_failed": saying.all_failed,
        "no_data": saying.no_data,
    }[decision.kind]()


class _Saying:
    """One method for each kind of verdict."""

    def __init__(self, decision: Decision, reasons: Sequence[Reason], setting: Setting) -> None:
        self.decision = decision
        self.reasons = reasons
        self.setting = setting
        self.subject: Side = "new" if setting.is_baseline else decision.better or "new"
        self.failures = next((reason for reason in reasons if reason.level == "failures"), None)
        deciding = [reason for reason in reasons if reason.decides]
        self.feel = [reason for reason in deciding if reason.level != "failures"]

    def better(self) -> str:
        side = self.decision.better
        reasons = [reason for reason in self.feel if reason.better == side]
        may = not self.decision.by_failures and all(r.noticed == "maybe" for r in reasons)
        if self.decision.by_failures and self.failures is not None:
            reasons = [self.failures, *reasons]
        verb = "is" if self.decision.by_failures else "may feel" if may else "feels"
        against = [reason for reason in self.feel if reason.better not in (side, None)]
        though = [self._say(reason) for reason in _most(against)]
        if (counts := self._counts_against()) is not None:
            though.append(f"{counts}, which may be chance")
        said = f"{self._head(verb)}: {self._all(reasons)}"
        return f"{said}, though {_joined(though)}" if though else said

    def better_but_broken(self) -> str:
        side = self.decision.better
        reasons = [reason for reason in self.feel if reason.better == side]
        feel = self._all(reasons)
        may = "may feel" if all(reason.noticed == "maybe" for reason in reasons) else "feels"
        failures = self.failures
        is_clear = failures is not None and failures.is_clear
        counts = count_phrase(failures, self.subject) if failures is not None else ""
        until = "until that is mended" if is_clear else "until that is mended or shown to be chance"
        if self.setting.is_baseline and side == "old":
            perhaps = "" if is_clear else ", which may be chance"
            return f"{self._head(may)}: {feel}, but {counts}{perhaps}; keep it and mend the rest"
        kept = "what was before" if self.setting.is_baseline else MARKS[other(self.subject)]
        return f"{self._head(may)}: {feel}, but {counts}; keep {kept} {until}"

    def trade_off(self) -> str:
        first = self.feel[0]
        reasons = [reason for reason in self.feel if reason.better == first.better]
        against = [reason for reason in self.feel if reason.better != first.better]
        one, two = self._all(reasons), self._all(against)
        levels = first.level, against[0].level
        rule = (
            f"{levels[0]} {'count' if levels[0] == 'waits' else 'counts'} before {levels[1]}"
            if levels[0] != levels[1]
            else "what is named first counts more"
        )
        head = f"{NEW} is a trade-off compared with before"
        if not self.setting.is_baseline:
            head = f"{MARKS[self.subject]} against {MARKS[other(self.subject)]} is a trade-off"
        counts = self._counts_against()
        if counts is None and self.failures is not None and self.failures.is_suspicious:
            counts = count_phrase(self.failures, self.subject)
        chance = f", and {counts}, which may be chance" if counts is not None else ""
        return f"{head}: {one}, but {two}{chance}; by the rules {rule}, but readers decide"

    def alike(self) -> str:
        (wait,) = (reason for reason in self.reasons if reason.metric == "ttft.p50")
        far = max(abs(wait.low or 0.0), abs(wait.high or 0.0))
        most = seconds_phrase(ceil(far * 1000) / 1000)
        head = (
            f"{NEW} feels as before" if self.setting.is_baseline else f"{NEW} and {OLD} feel alike"
        )
        clear = next((r for r in self.reasons if r.is_clear and r.noticed == "no"), None)
        small = f"first {self.setting.text} at most {most} s"
        if clear is not None:
            small = f"{self._with(clear)} is clear, but too small"
        said = f"{head}: a reader would not notice the difference ({small})"
        broke = self.failures
        if broke is None or not (broke.new or broke.old):
            said += ", and no answer broke"
        else:
            said += f", and {self._with(broke)}, which is no clear difference"
        retried = next(
            (r for r in self.reasons if r.metric == "retried_share" and r.is_clear), None
        )
        return f"{said}, but {self._with(retried)}" if retried is not None else said

    def undecided(self) -> str:
        head = (
            f"Undecided whether {NEW} is better or worse than before"
            if self.setting.is_baseline
            else f"Undecided between {NEW} and {OLD}"
        )
        lead = next((reason for reason in self.reasons if reason.is_open), None)
        if lead is None:
            return f"{head}: too little is known of either"
        said = f"{head}: {self._with(lead)}"
        if lead.more is None:
            return said
        return f"{said}; {more_phrase(lead, self.setting.each)} would decide it"

    def too_few(self) -> str:
        n, m = self.setting.streams
        told = f"{NEW} from before ({n:,} now, {m:,} before)"
        if not self.setting.is_baseline:
            told = f"{NEW} from {OLD} ({n:,} and {m:,})"
        broke = self.failures
        failed = f", and {self._with(broke)}" if broke and (broke.new or broke.old) else ""
        return f"Too few streams to tell {told}: each needs {self.setting.least} at least{failed}"

    def all_failed(self) -> str:
        n, m = self.setting.streams
        if self.setting.is_baseline:
            return f"Every answer of {NEW} broke, as before ({n:,} now, {m:,} before)"
        return (
            f"Nothing to choose between {NEW} and {OLD}: every answer broke "
            f"({n:,} of {NEW}, {m:,} of {OLD})"
        )

    def no_data(self) -> str:
        compared = f"{NEW} cannot be compared with before"
        if not self.setting.is_baseline:
            compared = f"{NEW} and {OLD} cannot be compared"
        return f"{compared}: not both have output in the log"

    def _head(self, verb: str) -> str:
        if not self.setting.is_baseline:
            return f"{MARKS[self.subject]} {verb} better than {MARKS[other(self.subject)]}"
        return f"{NEW} {verb} {'better' if self.decision.better == 'new' else 'worse'} than before"

    def _say(self, reason: Reason) -> str:
        return phrase(reason, self.subject, text=self.setting.text)

    def _all(self, reasons: Sequence[Reason]) -> str:
        return _joined([self._say(reason) for reason in _most(reasons)])

    def _with(self, reason: Reason) -> str:
        """Say a difference where the sentence has no subject."""
        said = phrase(reason, "new", text=self.setting.text)
        return said if self.setting.is_baseline else f"with {NEW} {said}"

    def _counts_against(self) -> str | None:
        """Return the failures, if what feels better broke more often, as chance explains."""
        broke = self.failures
        if (
            broke is None
            or self.decision.by_failures
            or broke.better in (self.decision.better, None)
        ):
            return None
        return count_phrase(broke, self.subject)


def _most(reasons: Sequence[Reason]) -> list[Reason]:
    """Return what is said of the reasons: the first of each of the first two levels."""
    levels = dict.fromkeys(reason.level for reason in reasons)
    firsts = [next(reason for reason in reasons if reason.level == level) for level in levels]
    return firsts[:_MOST_SAID]


def _joined(said: Sequence[str]) -> str:
    """Join parts of a sentence that hold commas themselves."""
    return ", and ".join(said)
