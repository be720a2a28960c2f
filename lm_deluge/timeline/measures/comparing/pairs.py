"""Two groups compared prompt by prompt, where both answered the same ones.

Prompts differ more than variants do: a long one waits longer whoever answers. Compared by prompt, that
part of the noise is gone. The value of a prompt is the median (of shares and QoE the mean) over its
repeats in a group; a difference is between the two values of one prompt; what is said is the median
(the mean) of these. Intervals draw *prompts* anew.

Streams of a prompt are found by a tag, or by the prompt's hash where at least half of the streams of
both groups answered prompts that the other group answered, too, and these are five or more.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from attrs import define, field

from lm_deluge.timeline.measures.comparing.chance import difference_of_shares
from lm_deluge.timeline.measures.comparing.compare import RESAMPLES, SIGNIFICANT, means, percentiles
from lm_deluge.timeline.measures.comparing.noticeable import thresholds_of
from lm_deluge.timeline.measures.comparing.paired_chance import (
    paired_shares,
    signed_rank,
    within_prompts,
)
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.names import better_is_higher
from lm_deluge.timeline.measures.numeric import Counts, Floats, np

__all__ = [
    "LEAST_PROMPTS",
    "PAIRED",
    "WAIT",
    "PairedComparison",
    "Prompts",
    "differences_of",
    "is_noticed",
    "prompts_of",
    "reading_pace",
    "values_by_prompt",
    "values_by_stream",
]

PAIRED: Final = ("failed_share", "ttft.p50", "tpot.p50", "stalls.streams", "starvation.mean")
"""What is compared prompt by prompt, the most important first."""

LEAST_PROMPTS: Final = 5
"""So many prompts of both groups make them comparable by hash."""

WAIT: Final = "wait.p50"
"""Seconds that a reader waits in all: for the first text, and then for more (TTFA and starvation)."""

_SHARES: Final = ("failed_share", "stalls.streams")
_MOMENTS: Final = ("ttft", "ttfa", "e2e")

#: Stands for infinity where numbers are averaged; no stream waits a thousand years.
_NEVER: Final = 3e10


@define
class PairedComparison:
    """How ``new`` differs from ``old`` in one metric, prompt by prompt.

    ``n``: prompts with a value in both groups. ``new``, ``old``: the median (of shares and QoE the mean)
    of the prompts' values. ``difference``: that of the prompts' differences, which is not the difference
    of the medians. ``low``, ``high``: its 95 % interval. Seconds may be infinite: what never came.
    ``better``, ``worse``, ``same``: prompts for which new is better, worse, or not noticeably different.
    ``chance``, ``corrected``: as of ``Comparison``.
    """

    metric: str
    n: int
    new: float | None = None
    old: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    better: int = 0
    worse: int = 0
    same: int = 0
    chance: float | None = None
    corrected: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0, and so many comparisons do not explain it."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return False
        return self.corrected is not None and self.corrected <= SIGNIFICANT


@define(eq=False)
class Prompts:
    """What two groups answered alike: ``keys``, the hashes or tags of prompts, in order of reading.

    ``unpaired``: streams of new and of old that have no counterpart. ``new_of``, ``old_of``: for each
    stream of a group the place of its prompt in ``keys``, -1 without one. ``values``: by metric, one per
    key and group, NaN where there is none. ``is_named``: whether the keys are values of a tag.
    """

    new: Group
    old: Group
    keys: list[str]
    new_of: Counts
    old_of: Counts
    is_named: bool = False
    comparisons: dict[str, PairedComparison] = field(factory=dict)
    values: dict[str, tuple[Floats, Floats]] = field(factory=dict)

    @property
    def unpaired(self) -> tuple[int, int]:
        """Streams of new and of old whose prompt the other group did not answer, or is unknown."""
        return int((self.new_of < 0).sum()), int((self.old_of < 0).sum())

    @property
    def reading_pace(self) -> float:
        """Seconds in which the reader takes in a piece of both groups' mean size."""
        return reading_pace(self.new, self.old)

    @property
    def most_repeats(self) -> int:
        """The most streams of one prompt in one group."""
        return max(
            int(np.bincount(places[places >= 0], minlength=1).max())
            for places in (self.new_of, self.old_of)
        )

    def places(self, key: int) -> tuple[Counts, Counts]:
        """Return the streams of a prompt, new's and old's, as places in their groups' columns."""
        return np.flatnonzero(self.new_of == key), np.flatnonzero(self.old_of == key)

    def called(self, key: int, *, text: bool) -> str:
        """Return a name for a prompt without an opening: by a hash who knows a prompt could find it out,
        so that without ``text`` it is a number."""
        return self.keys[key] if text or self.is_named else f"prompt {key + 1:,}"

    def opening(self, key: int) -> str | None:
        """Return how the prompt begins; ``None`` where the logs do not tell."""
        name = self.keys[key]
        return self.new.openings.get(name) or self.old.openings.get(name)


def reading_pace(new: Group, old: Group) -> float:
    """Return the seconds in which the reader takes in a piece of both groups' mean size.

    A piece is one token where its size is unknown.
    """
    known = [group.summary()["tokens_per_piece"] for group in (new, old)]
    known = [weight for weight in known if weight is not None]
    return (sum(known) / len(known) if known else 1.0) / new.settings.read_rate


def prompts_of(new: Group, old: Group, *, is_named: bool) -> Prompts | None:
    """Pair two groups by prompt and compare them; ``None`` where that makes no sense.

    ``is_named``: whether a tag of the user's says what belongs together: then one prompt is enough.
    """
    shared = {key for key in new.prompts if key is not None} & set(old.prompts)
    keys = [key for key in dict.fromkeys(new.prompts) if key in shared and key is not None]
    place = {key: at for at, key in enumerate(keys)}
    of = [
        np.array([-1 if key is None else place.get(key, -1) for key in group.prompts], np.int64)
        for group in (new, old)
    ]
    if not is_named and (
        len(keys) < LEAST_PROMPTS or any(2 * int((each >= 0).sum()) < len(each) for each in of)
    ):
        return None
    prompts = Prompts(new, old, keys, of[0], of[1], is_named)
    for metric in PAIRED if keys else ():
        prompts.comparisons[metric] = _compared(prompts, metric)
    return prompts


def values_by_stream(group: Group, metric: str) -> Floats:
    """Return one value a stream, NaN where there is none, infinity for a moment that never came."""
    name = metric.partition(".")[0]
    if metric == "failed_share":
        return group.column("failed")
    if metric == "stalls.streams":
        # A stream without a gap did not stall, as in the group's figure.
        return (np.nan_to_num(group.column("stalls")) > 0).astype(np.float64)
    if metric == WAIT:
        waits = values_by_stream(group, "ttfa.p50")
        return waits + np.nan_to_num(group.column("starvation"))
    values = group.column(name).copy()
    if name in _MOMENTS:
        values[np.isnan(values) & (group.column("failed") > 0)] = np.inf
    return values


def values_by_prompt(prompts: Prompts, metric: str) -> tuple[Floats, Floats]:
    """Return new's and old's value of each prompt, NaN where there is none: median or mean of its streams."""
    if metric not in prompts.values:
        of_prompts = _mean_by if _is_mean(metric) else _median_by
        size = len(prompts.keys)
        new, old = (
            of_prompts(values_by_stream(group, metric), places, size)
            for group, places in ((prompts.new, prompts.new_of), (prompts.old, prompts.old_of))
        )
        prompts.values[metric] = new, old
    return prompts.values[metric]


def _is_mean(metric: str) -> bool:
    return metric in _SHARES or metric.endswith(".mean")


def _compared(prompts: Prompts, metric: str) -> PairedComparison:
    is_mean = _is_mean(metric)
    new, old = values_by_prompt(prompts, metric)
    known = ~(np.isnan(new) | np.isnan(old))
    made = PairedComparison(metric, int(known.sum()))
    if not made.n:
        return made
    new, old = new[known], old[known]
    differences = differences_of(new, old)
    middle = np.mean if is_mean else np.median
    made.new, made.old = (_whole(float(middle(_finite(values)))) for values in (new, old))
    made.difference = _whole(float(middle(_finite(differences))))
    noticed = is_noticed(prompts, metric, new, old)
    higher = better_is_higher(metric)
    made.better = int((noticed & ((differences > 0) == higher)).sum())
    made.worse = int(noticed.sum()) - made.better
    made.same = made.n - made.better - made.worse
    if made.n < 2:
        return made
    if metric in _SHARES:
        made.chance = _chance_of_shares(prompts, metric)
    else:
        made.chance = signed_rank(differences)
    made.low, made.high = _interval(prompts, metric, new, old, differences)
    return made


def _interval(
    prompts: Prompts, metric: str, new: Floats, old: Floats, differences: Floats
) -> tuple[float | None, float | None]:
    if metric in _SHARES:
        if prompts.most_repeats == 1:
            hit, other = new > 0, old > 0
            counts = (hit & other, hit & ~other, ~hit & other, ~hit & ~other)
            return paired_shares(*(int(each.sum()) for each in counts))
        if not differences.any():  # of which a bootstrap knows nothing
            hits, n = _hits(prompts.new, metric, prompts.new_of, len(prompts.keys))
            others, other_n = _hits(prompts.old, metric, prompts.old_of, len(prompts.keys))
            counted = (int(each.sum()) for each in (hits, n, others, other_n))
            return difference_of_shares(*counted)
    generator = np.random.default_rng((0, crc32(metric.encode()), 2))
    # In an order, and of a sign, that do not depend on which group is called new: swapped groups
    # then have the same interval, mirrored.
    sign = -1.0 if float(np.sign(differences).sum()) < 0 else 1.0
    finite = np.sort(_finite(differences) * sign)
    if _is_mean(metric):
        drawn = means(finite, RESAMPLES, generator)
    else:
        drawn = percentiles(finite, 50, RESAMPLES, generator)
    if drawn is None:
        return None, None
    low, high = sorted((sign * np.percentile(drawn, (2.5, 97.5))).tolist())
    return _whole(low), _whole(high)


def _chance_of_shares(prompts: Prompts, metric: str) -> float:
    size = len(prompts.keys)
    return within_prompts(
        *_hits(prompts.new, metric, prompts.new_of, size),
        *_hits(prompts.old, metric, prompts.old_of, size),
    )


def _hits(group: Group, metric: str, places: Counts, size: int) -> tuple[Counts, Counts]:
    """Return for each prompt how many streams were hit, and how many there are."""
    paired = places >= 0
    hit = values_by_stream(group, metric)[paired] > 0
    kept = places[paired]
    return np.bincount(kept, weights=hit, minlength=size).astype(np.int64), np.bincount(
        kept, minlength=size
    )


def _mean_by(values: Floats, places: Counts, size: int) -> Floats:
    known = (places >= 0) & ~np.isnan(values)
    counts = np.bincount(places[known], minlength=size)
    sums = np.bincount(places[known], weights=values[known], minlength=size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _median_by(values: Floats, places: Counts, size: int) -> Floats:
    known = (places >= 0) & ~np.isnan(values)
    kept, found = places[known], values[known]
    order = np.lexsort((found, kept))
    kept, found = kept[order], found[order]
    counts = np.bincount(kept, minlength=size)
    first = np.cumsum(counts) - counts
    has = counts > 0
    medians = np.full(size, np.nan)
    lower = found[(first + (counts - 1) // 2)[has]]
    upper = found[(first + counts // 2)[has]]
    medians[has] = (lower + upper) / 2
    return medians


def differences_of(new: Floats, old: Floats) -> Floats:
    """Return new - old; what came in neither group is no difference."""
    same = new == old
    return np.where(same, 0.0, np.where(same, 0.0, new) - np.where(same, 0.0, old))


def is_noticed(
    prompts: Prompts, metric: str, new: Floats, old: Floats
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell for which prompts a reader notices the difference of two values, by the verdict's rules."""
    settings = prompts.new.settings
    thresholds = thresholds_of(metric, new, old, stall=settings.stall, reading=prompts.reading_pace)
    size = np.abs(differences_of(new, old))
    return (size > 0) & (size >= (np.inf if thresholds is None else thresholds))


def _finite(values: Floats) -> Floats:
    return np.clip(values, -_NEVER, _NEVER)


def _whole(value: float) -> float:
    """Return what an average of ``_finite`` numbers stands for."""
    if abs(value) < _NEVER / 1e6:
        return value
    return float("inf") if value > 0 else -float("inf")
