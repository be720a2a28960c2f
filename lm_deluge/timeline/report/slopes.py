"""The slope picture: a line a prompt, from its value in one group to its value in the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import frozen

from lm_deluge.timeline.measures.comparing.pairs import WAIT, Prompts, is_noticed, values_by_prompt
from lm_deluge.timeline.measures.findings.about_pairs import amount
from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.timeline.report.axes import Axis, seconds_axis, spread

__all__ = ["LABELLED", "slope"]

LABELLED = 8
"""Up to so many prompts have their words beside their lines."""

_SINGLE = 120
_MOST = 1_000
_OPENING = 34
_APART = 7.0

#: Of 1000: the height of what never came, and of the rest below it.
_NEVER, _TOP = 40.0, 100.0

_TITLES = {
    "ttft.p50": ("First output", "seconds until something appears", "sooner", "later"),
    WAIT: ("Waiting in all", "seconds for the first text, then for more", "shorter", "longer"),
}


def slope(prompts: Prompts, metric: str, *, text: bool) -> dict[str, Any] | None:
    """Return what the picture of a metric shows; ``None`` where no prompt has it in both groups.

    Left is the old group, right the new one. At most 1,000 lines, every k-th of the prompts by their
    old value; up to 120 of them have words of their own to point at.
    """
    new, old = values_by_prompt(prompts, metric)
    keys = np.flatnonzero(~(np.isnan(new) | np.isnan(old)))
    if not len(keys):
        return None
    finite = np.concatenate((new[keys], old[keys]))
    scale = _Scale(seconds_axis(finite[np.isfinite(finite)]), bool(np.isinf(finite).any()))
    kinds = np.where(
        is_noticed(prompts, metric, new[keys], old[keys]), np.where(new[keys] < old[keys], 0, 1), 2
    )
    title, note, better, worse = _TITLES[metric]
    drawn = _thinned(keys, old)
    chosen = np.isin(keys, drawn)
    called = partial(_called, prompts, text=text)
    medians = [np.median(values[keys]) for values in (old, new)]
    return {
        "title": title,
        "note": note,
        "is_log": scale.axis.is_log,
        "never": _NEVER / 10 if scale.never else None,
        "ticks": scale.ticks(),
        "kinds": [
            {
                "class": name,
                "count": f"{int((kinds == kind).sum()):,}",
                "words": words,
                **_lines(keys[chosen & (kinds == kind)], new, old, scale, called),
            }
            for kind, (name, words) in enumerate(
                (("better", better), ("worse", worse), ("same", "about the same"))
            )
        ],
        "middle": scale.path(*(np.array([median]) for median in medians)),
        "labels": _labels(keys, new, scale, called) if len(keys) <= LABELLED else [],
        "medians": [_amount(median) for median in medians],
        "left_out": ""
        if len(drawn) == len(keys)
        else f"{len(drawn):,} of {len(keys):,} prompts are drawn, evenly taken by their left value.",
        "count": f"{len(keys):,}",
        "dense": len(keys) > _SINGLE,
    }


def _thinned(keys: Counts, old: Floats) -> Counts:
    if len(keys) <= _MOST:
        return keys
    ordered = keys[np.argsort(old[keys], kind="stable")]
    return np.asarray(ordered[np.linspace(0, len(keys) - 1, _MOST).astype(int)])


@frozen
class _Scale:
    """Heights of 1000 from the top; with ``never`` there is room above for what never came."""

    axis: Axis
    never: bool

    @property
    def top(self) -> float:
        return _TOP if self.never else 0.0

    def heights(self, values: Floats) -> Floats:
        places = self.axis.places(np.where(np.isinf(values), self.axis.high, values))
        return np.where(np.isinf(values), _NEVER, 1000 - places * (1000 - self.top))

    def path(self, old: Floats, new: Floats) -> str:
        ends = zip(self.heights(old), self.heights(new), strict=True)
        return "".join(f"M0 {begin:.0f}L1000 {end:.0f}" for begin, end in ends)

    def ticks(self) -> list[dict[str, Any]]:
        part = (1000 - self.top) / 1000
        return [
            {"at": round(tick.at * part, 2), "label": tick.label}
            for tick in self.axis.ticks(5, unit=" s")
        ]


def _lines(
    keys: Counts, new: Floats, old: Floats, scale: _Scale, called: Callable[[int], str]
) -> dict[str, Any]:
    if len(keys) > _SINGLE:
        return {"path": scale.path(old[keys], new[keys]), "each": []}
    return {
        "path": "",
        "each": [
            {
                "path": scale.path(old[[key]], new[[key]]),
                "told": f"{called(int(key))}: {_amount(old[key])} → {_amount(new[key])}",
            }
            for key in keys
        ],
    }


def _labels(
    keys: Counts, new: Floats, scale: _Scale, called: Callable[[int], str]
) -> list[dict[str, Any]]:
    """Return the prompts' words beside the ends of their lines, pushed apart where they would meet."""
    heights = scale.heights(new[keys]) / 10
    order = np.argsort(heights, kind="stable")
    return [
        {"at": place, "text": called(int(keys[k]))}
        for place, k in zip(spread(heights[order].tolist(), _APART), order, strict=True)
    ]


def _amount(value: Any) -> str:
    return amount("ttft.p50", float(value))


def _called(prompts: Prompts, key: int, *, text: bool) -> str:
    opening = prompts.opening(key) if text else None
    name = " ".join((opening or prompts.called(key, text=text)).split())
    return name if len(name) <= _OPENING else f"{name[:_OPENING]}…"
