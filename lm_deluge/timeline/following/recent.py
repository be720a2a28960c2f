"""What the last minutes were like: figures by group, errors, and the rules broken now."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from lm_deluge.timeline.following.streams import FollowedLog, RunningStream
from lm_deluge.timeline.measures.budget.rule_texts import MaxRegression, Rule
from lm_deluge.timeline.measures.budget.rules import Judged, judge_rules
from lm_deluge.timeline.measures.error_words import error_kinds
from lm_deluge.timeline.measures.groups import Group, Settings
from lm_deluge.timeline.measures.metrics import Measured, group_name, measure

__all__ = ["BrokenNow", "Lookout", "Recent", "RecentGroup"]

_MOST_ERRORS = 5


@frozen
class RecentGroup:
    """A group now: streams that run, and those that ended in the window.

    ``waiting``: running streams without any output, the longest for ``longest_wait`` seconds.
    ``silent``: the longest seconds since the last output of one that had some. ``retries``: attempts
    that failed before another, of running streams too. ``group``: those that ended, measured;
    ``None`` if none did.
    """

    name: str
    running: int
    waiting: int
    longest_wait: float | None
    silent: float | None
    retries: int
    group: Group | None


@frozen
class BrokenNow:
    """A rule that is broken now, and ``since`` when, wall clock in seconds."""

    judged: Judged
    since: float


@frozen
class Recent:
    """One look at the last minutes.

    ``now``: wall clock in seconds. ``errors``: how streams ended that did not become whole, as the
    group's name, words and a count, the most frequent first. ``newest``: when the newest line was
    written, ``None`` before any. ``crowded``: only the newest streams of the window are measured.
    """

    now: float
    groups: tuple[RecentGroup, ...]
    errors: tuple[tuple[str, str, int], ...]
    broken: tuple[BrokenNow, ...]
    newest: float | None
    lines: int
    skipped: int
    files: int
    crowded: bool


@define
class Lookout:
    """Look at logs that grow, again and again, and remember since when a rule is broken.

    ``rules``: a rule without data to judge by waits, as does a regression without ``baseline``. Raises
    ``ValueError`` where ``judge_rules`` does.
    """

    log: FollowedLog
    settings: Settings
    by: tuple[str, ...] = ()
    rules: Sequence[Rule] = ()
    baseline: Measured | None = None
    _since: dict[int, float] = field(factory=dict)

    def look(self, now: float) -> Recent:
        """Return what the window is like at ``now``, wall clock in seconds, as of the last ``poll``."""
        measured = measure(self.log.ended, by=self.by, settings=self.settings)
        running: dict[str, list[RunningStream]] = {}
        for stream in self.log.running.values():
            running.setdefault(group_name(stream.about, self.by), []).append(stream)
        names = sorted({*measured.groups, *running})
        errors = [
            (name, kind.words, kind.count)
            for name, group in measured.groups.items()
            for kind in error_kinds(group)
        ]
        errors.sort(key=lambda error: -error[2])
        return Recent(
            now=now,
            groups=tuple(
                _group(name, running.get(name, []), measured.groups.get(name), now)
                for name in names
            ),
            errors=tuple(errors[:_MOST_ERRORS]),
            broken=self._judge(measured, now),
            newest=self.log.newest,
            lines=self.log.lines,
            skipped=self.log.skipped,
            files=self.log.files,
            crowded=self.log.is_crowded,
        )

    def _judge(self, measured: Measured, now: float) -> tuple[BrokenNow, ...]:
        rules = [
            rule
            for rule in self.rules
            if self.baseline is not None or not isinstance(rule, MaxRegression)
        ]
        broken = []
        for place, judged in enumerate(judge_rules(measured, rules, self.baseline)):
            found = tuple(problem for problem in judged.problems if not problem.no_data)
            if not found:
                self._since.pop(place, None)
                continue
            since = self._since.setdefault(place, now)
            broken.append(BrokenNow(Judged(judged.rule, found), since))
        return tuple(broken)


def _group(
    name: str, running: Sequence[RunningStream], group: Group | None, now: float
) -> RecentGroup:
    waits = [stream.waited(now) for stream in running if stream.output is None]
    silences = [max(0.0, now - stream.output) for stream in running if stream.output is not None]
    retries = sum(stream.retries for stream in running)
    if group is not None:
        retries += sum(group.retries.values())
    return RecentGroup(
        name,
        len(running),
        len(waits),
        max(waits, default=None),
        max(silences, default=None),
        retries,
        group,
    )
