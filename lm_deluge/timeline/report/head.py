"""The head of the page: what was measured, when, with which models and prompts, from which logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import np

__all__ = ["TITLE", "head_part"]

TITLE = "How the streams felt"
"""What a page is called unless somebody calls it something."""

_MOST_NAMES = 6
_SHORT_RUN = 120


def head_part(
    measured: Measured,
    *,
    baseline: Measured | None = None,
    title: str = TITLE,
    note: str = "",
    logs: Sequence[str] = (),
    baseline_logs: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the title, the note by lines, and rows of a name and its values."""
    return {
        "title": title,
        "note": note.strip().splitlines(),
        "streams": _streams(measured),
        "rows": list(_rows(measured, baseline, logs, baseline_logs)),
    }


def _rows(
    measured: Measured,
    baseline: Measured | None,
    logs: Sequence[str],
    baseline_logs: Sequence[str],
) -> Iterator[dict[str, Any]]:
    groups = list(measured.groups.values())
    if not groups:
        return
    yield {"name": "When", "names": [], "text": _when(groups)}
    models = sorted({model for group in groups for model in group.models})
    yield _named("Model" if len(models) == 1 else "Models", models)
    yield {"name": "Prompts", "names": [], "text": _prompts(groups)}
    if logs:
        yield _named("Log" if len(logs) == 1 else "Logs", logs)
    if baseline is not None:
        before = list(baseline.groups.values())
        if before:
            yield {
                "name": "Before",
                "names": _few(baseline_logs),
                "text": f"{_streams(baseline)} {_when(before)}",
            }
    settings = measured.settings
    targets = f"; targets: {' and '.join(map(str, settings.targets))}" if settings.targets else ""
    yield {
        "name": "Settings",
        "names": [],
        "text": f"a stall is a gap above {settings.stall:g} s; the reader takes "
        f"{settings.read_rate:g} tokens/s and expects the first after {settings.expected_ttft:g} s"
        f"{targets}",
    }


def _named(name: str, values: Sequence[str]) -> dict[str, Any]:
    shown = _few(values)
    more = len(values) - len(shown)
    text = "not in the log" if not values else f"and {more:,} more" if more > 0 else ""
    return {"name": name, "names": shown, "text": text}


def _few(names: Sequence[str]) -> list[str]:
    return list(names[:_MOST_NAMES])


def _streams(measured: Measured) -> str:
    count = sum(group.streams for group in measured.groups.values())
    groups = len(measured.groups)
    return (
        f"{count:,} stream{'' if count == 1 else 's'} in {groups:,} "
        f"group{'' if groups == 1 else 's'}, by {measured.kind}."
    )


def _when(groups: Sequence[Group]) -> str:
    begins = [group.begin for group in groups if group.begin is not None]
    ends = [group.end for group in groups if group.end is not None]
    if not begins or not ends:
        return "not in the log"
    try:
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (min(begins), max(ends)))
    except (OverflowError, ValueError, OSError):
        return "at no time that a calendar has"
    clock = "%H:%M:%S" if (end - begin).total_seconds() < _SHORT_RUN else "%H:%M"
    first = f"{_day(begin)}, {begin.strftime(clock)}"
    if begin.date() == end.date():
        last = end.strftime(clock)
        return f"{first} UTC" if begin.strftime(clock) == last else f"{first} to {last} UTC"
    return f"{first} to {_day(end)}, {end.strftime(clock)} UTC"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment.strftime('%B')} {moment.year}"


def _prompts(groups: Sequence[Group]) -> str:
    hashes = [prompt for group in groups for prompt in group.prompts]
    known = {prompt for prompt in hashes if prompt is not None}
    unknown = sum(1 for prompt in hashes if prompt is None)
    lengths = np.concatenate([group.values("prompt_chars") for group in groups])
    said = []
    if known:
        said.append(f"{len(known):,} different one{'' if len(known) == 1 else 's'}")
        if unknown:
            said[-1] += f" (unknown for {unknown:,} stream{'' if unknown == 1 else 's'})"
    if len(lengths):
        low, middle, high = (float(np.percentile(lengths, q)) for q in (0, 50, 100))
        said.append(
            f"{low:,.0f} characters long"
            if low == high
            else f"{low:,.0f} to {high:,.0f} characters long, {middle:,.0f} in the median"
        )
    if not said:
        return "not in the log"
    return ", ".join(said) + ("" if known else "; the log does not tell which")
