"""Streams measured in groups, and the report's ``--json`` object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from lm_deluge.logs.seen_lines import UNKNOWN_STREAM
from lm_deluge.timeline.columnar.measuring import measure_files
from lm_deluge.timeline.measures.groups import Group, Settings, tag_text
from lm_deluge.timeline.reading import LogReader, Skipped
from lm_deluge.values.timeline import Timeline

__all__ = ["Measured", "measure", "tag_values"]

By = str | Sequence[str] | None
"""A tag, several, or ``None`` for the model."""


@define
class Measured:
    """A log measured: its ``groups`` by name, and what was ``skipped`` of its ``lines``.

    ``by``: the tags that make the groups, none of them for the model. ``tags``: every tag's name
    that was met. ``pair``: the tag that says which streams answered the same prompt; ``None``: their hash.
    ``beside``: lines of requests that did not stream (``request``) and of what a proxy did not understand
    (``note``).
    ``lacks``: what the files of other tools do not tell, a sentence each.
    """

    groups: dict[str, Group]
    by: tuple[str, ...]
    settings: Settings
    lines: int
    skipped: list[Skipped]
    tags: frozenset[str] = frozenset()
    pair: str | None = None
    beside: Mapping[str, int] = field(factory=dict)
    lacks: Sequence[str] = ()

    @property
    def kind(self) -> str:
        """What the groups are: ``"model"``, or the tags."""
        return ", ".join(self.by) or "model"

    def called(self, group: Group) -> str:
        """Return a group's name as a sentence needs it: ``"variant B"``."""
        return f"{self.by[0]} {group.name}" if len(self.by) == 1 else group.name

    @property
    def skipped_lines(self) -> int:
        """How many lines were not read."""
        return sum(skipped.count for skipped in self.skipped)

    def to_json(
        self,
        findings: Iterable[str] = (),
        comparisons: Mapping[str, Any] | None = None,
        verdict: Iterable[Mapping[str, Any]] = (),
        pairs: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Return the object of ``lm-deluge report --json``.

        ``comparisons``: what the findings rest on, as ``Comparisons.to_json`` returns it. ``verdict``:
        what ``Verdict.to_json`` returns of each. ``pairs``: what ``pairs_json`` returns.
        """
        return {
            "groups": {name: group.summary() for name, group in self.groups.items()},
            "skipped_lines": self.skipped_lines,
            "findings": list(findings),
            "comparisons": dict(comparisons) if comparisons is not None else {"n": 0},
            "verdict": list(verdict),
            "pairs": list(pairs),
            **{f"{event}s": n for event in ("request", "note") if (n := self.beside.get(event))},
        }


def measure(
    timelines: Iterable[Timeline],
    *,
    by: By = None,
    pair: str | None = None,
    settings: Settings | None = None,
    keep: Callable[[str, Timeline], None] | None = None,
) -> Measured:
    """Measure streams in groups: by the tag or tags ``by``, or by model.

    The tag ``model`` of a stream that has none is its model. ``pair``: the tag that says which streams
    answered the same prompt; without it the prompt's hash does. ``keep`` is called with each stream's
    group name and timeline, for those who draw it. Memory: ``Group``'s, plus what ``timelines``
    holds. Groups are ordered by name.
    """
    settings = settings or Settings()
    asked = (by,) if isinstance(by, str) else tuple(by or ())
    groups: dict[str, Group] = {}
    tags: set[str] = set()

    def group_of(timeline: Timeline) -> Group:
        tags.update(timeline.tags)
        name = group_name(timeline, asked)
        group = groups.get(name)
        if group is None:
            group = groups[name] = Group(name, settings, pair=pair)
        return group

    if keep is None and isinstance(timelines, LogReader) and timelines.is_whole:
        timelines.unfinished = measure_files(timelines.files, settings, group_of)
    else:
        for timeline in timelines:
            group = group_of(timeline)
            group.add(timeline)
            if keep is not None:
                keep(group.name, timeline)
    ordered = dict(sorted(groups.items()))
    if isinstance(timelines, LogReader):
        _count_disbelieved(timelines, groups.values())
    made = Measured(ordered, asked, settings, 0, [], frozenset(tags), pair)
    if isinstance(timelines, LogReader):
        made.lines, made.skipped = timelines.lines, timelines.skipped
        made.beside, made.lacks = timelines.beside, timelines.files.lacks
    return made


def _count_disbelieved(reader: LogReader, groups: Iterable[Group]) -> None:
    """Count what browsers told and no stream bears out as lines that were not read."""
    told = reader.files.sightings
    if not told.streams:
        return
    known: set[str] = set()
    for group in groups:
        known.update(group.ids)
        for log, line, problem in group.way.joined.refused:
            if log is told:
                reader.files.skip(problem, line)
    for id_, readers in told.streams.items():
        if id_ not in known:
            for sightings in readers.values():
                for each in sightings:
                    reader.files.skip(UNKNOWN_STREAM, each.line)


def group_name(timeline: Timeline, by: Sequence[str]) -> str:
    """Return the stream's group: its model, its tag as text, or ``variant=B, region=eu``.

    One into which a proxy injected a fault is none of the others': ``gpt-4o (fault pause:1)``.
    """
    name = _group_name(timeline, by)
    return name if timeline.fault is None else f"{name} (fault {timeline.fault})"


def _group_name(timeline: Timeline, by: Sequence[str]) -> str:
    if not by:
        return _model(timeline)
    if len(by) == 1:
        return _tag(timeline, by[0])
    values = ((tag, _tag(timeline, tag)) for tag in by)
    return ", ".join(f"{tag}={_apart(value)}" for tag, value in values)


def tag_values(name: str, by: Sequence[str]) -> list[str]:
    """Return the values of the tags that ``group_name`` made a name of, one for each of ``by``."""
    if len(by) < 2:
        return [name] if by else []
    values = []
    rest = name
    for tag in by:
        rest = rest.removeprefix(f"{tag}=")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
        else:
            end = rest.find(", ") if ", " in rest else len(rest)
            value = rest[:end]
        values.append(value)
        rest = rest[end:].removeprefix(", ")
    return values


def _model(timeline: Timeline) -> str:
    return timeline.model or timeline.model_used or "(unknown model)"


def _tag(timeline: Timeline, tag: str) -> str:
    """Return a stream's value of a tag as text; its model where it has no tag ``model``."""
    tags: Mapping[str, Any] = timeline.tags
    if tag not in tags:
        return _model(timeline) if tag == "model" else f"(no {tag})"
    return tag_text(tags[tag])


def _apart(value: str) -> str:
    """Quote a value that could be taken for two: groups must not run together."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',="') else value
