"""The verdict about more than two groups: who is best by the pairwise verdicts, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_deluge.timeline.measures.verdict.phrases import listed
from lm_deluge.timeline.measures.verdict.sentences import mark
from lm_deluge.timeline.measures.verdict.verdict import Verdict

__all__ = ["about_all", "in_order"]

_MOST_NAMES = 4
_WEIGHT = ("better_but_broken", "better", "trade_off", "undecided", "alike", "too_few")


def about_all(
    verdicts: Sequence[Verdict],
    spoken: Mapping[str, str],
    *,
    kind: str,
    left_out: int,
    is_baseline: bool,
) -> tuple[str, dict[str, str], str | None]:
    """Return a template, the names in it, and which group is best, if one is.

    ``kind``: what a group is called in general; ``left_out``: how many were not compared.
    """
    if is_baseline:
        template, names = _since_before(verdicts, spoken)
        return template, names, None
    return _best(verdicts, spoken, kind, left_out)


def in_order(verdicts: Sequence[Verdict], best: str | None) -> list[Verdict]:
    """Return the verdicts: those that something is lost by first, then those about the best."""

    def place(verdict: Verdict) -> tuple[int, int, int]:
        is_worse = verdict.better == "before"
        about_best = best is not None and best in (verdict.new, verdict.old)
        kind = _WEIGHT.index(verdict.kind) if verdict.kind in _WEIGHT else len(_WEIGHT)
        return not is_worse, not about_best, kind

    return sorted(verdicts, key=place)


def _best(
    verdicts: Sequence[Verdict], spoken: Mapping[str, str], kind: str, left_out: int
) -> tuple[str, dict[str, str], str | None]:
    groups = sorted({name for verdict in verdicts for name in (verdict.new, verdict.old) if name})
    beaten = {
        (verdict.keep, verdict.new if verdict.keep == verdict.old else verdict.old)
        for verdict in verdicts
        if verdict.keep is not None
    }
    names = _Names(spoken)
    if len(verdicts) < len(groups) * (len(groups) - 1) // 2:
        taken = list(dict.fromkeys(winner for winner, _ in beaten if winner is not None))
        head = f"Compared within the other tags, {len(beaten)} of {len(verdicts)} comparisons"
        if not taken:
            return (
                f"Compared within the other tags, no comparison of {len(verdicts)} decides",
                {},
                None,
            )
        verb = "names" if len(beaten) == 1 else "name"
        return f"{head} {verb} one to take: {names.listed(sorted(taken))}", names.used, None
    of_all = f"{len(groups)} {kind}s"
    if left_out:
        of_all = f"{of_all} compared (of {len(groups) + left_out})"
    if not beaten:
        if all(verdict.kind == "alike" for verdict in verdicts):
            return f"All {of_all} feel alike: a reader would not notice the differences", {}, None
        return f"No one of {of_all} is told to be better than another", {}, None
    losers = {loser for _, loser in beaten}
    unbeaten = [name for name in groups if name not in losers]
    if not unbeaten:
        return f"No order of {of_all}: each is worse than another one", {}, None
    if len(unbeaten) > 1:
        best = names.listed(unbeaten)
        rest = [name for name in groups if name in losers]
        worse = f"{names.listed(rest)} {_are(rest)} worse than one of them"
        said = f"No single one of {of_all} is best: nothing decides between {best}, and {worse}"
        return said, names.used, None
    (best,) = unbeaten
    beats = [name for name in groups if (best, name) in beaten]
    rest = [name for name in groups if name != best and name not in beats]
    head = f"{names.listed([best])} is the one to take of {of_all}"
    if not beats:
        return f"No other of {of_all} is better than {names.listed([best])}", names.used, best
    if rest:
        head = f"No other of {of_all} is better than {names.listed([best])}"
        apart = f"not told apart from {names.listed(rest)}"
        said = f"{head}: it is better than {names.listed(beats)}, and {apart}"
        return said, names.used, best
    return f"{head}: by the rules it is better than {names.listed(beats)}", names.used, best


def _since_before(
    verdicts: Sequence[Verdict], spoken: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    names = _Names(spoken)
    kept = [(verdict.new or "", verdict.keep) for verdict in verdicts]
    worse = [name for name, keep in kept if keep == "before"]
    better = [name for name, keep in kept if keep not in ("before", None)]
    open_ones = [name for name, keep in kept if keep is None]
    said = []
    if worse:
        said.append(f"{names.listed(worse)} {_are(worse)} worse than before")
    if better:
        said.append(f"{names.listed(better)} {_are(better)} better")
    if not said:
        return "Nothing is told to be better or worse than before", {}
    if open_ones:
        said.append(f"{len(open_ones)} {_are(open_ones)} told to be neither")
    if not worse:
        said[0] = f"{said[0]} than before"
    return ", and ".join(filter(None, (", ".join(said[:-1]), said[-1]))), names.used


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


class _Names:
    """Names as marks in a template; ``used``: what they stand for."""

    def __init__(self, spoken: Mapping[str, str]) -> None:
        self.used: dict[str, str] = {}
        self._spoken = spoken
        self._keys: dict[str, str] = {}

    def listed(self, groups: Sequence[str]) -> str:
        shown = groups if len(groups) <= _MOST_NAMES else groups[: _MOST_NAMES - 1]
        marks = []
        for name in shown:
            key = self._keys.setdefault(name, f"g{len(self._keys)}")
            self.used[key] = self._spoken.get(name, name)
            marks.append(mark(key))
        more = len(groups) - len(shown)
        return listed([*marks, f"{more} more"] if more else marks)
