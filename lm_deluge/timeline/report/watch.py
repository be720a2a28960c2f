"""The part of the page that replays streams: which ones, and their data, kept small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from lm_deluge.timeline.measures.groups import Group, last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.replay.chosen import broken_of, median_of, quantile_of, worst_of
from lm_deluge.timeline.replay.pieces import ReplayedAnswer, answer_of
from lm_deluge.timeline.replay.told import ending_kind, ending_told, short, stream_told
from lm_deluge.timeline.report.drawing import Markup
from lm_deluge.timeline.report.rendering import embedded_json
from lm_deluge.values.timeline import Timeline

__all__ = ["MOST_BYTES", "watch_part"]

MOST_BYTES = 400_000
"""How large the data of all streams may be, in bytes."""

_MOST_PANELS = 4
_MOST_BY_CHANCE = 8
_PLENTY = 8_000  # pieces of a stream, more than anybody watches
_FEW = 125
_CHARACTERS = 8  # a piece, as many as are kept of long ones

_MICROSECONDS = 1e6

_NO_COLOR = "#7a869a"


@define
class _Held:
    """A stream that the page holds: ``place`` in its list, ``label`` in words."""

    group: int
    timeline: Timeline
    labels: list[str]
    place: int = -1
    size: int = 0


@define
class _Streams:
    """The streams chosen so far, each once."""

    held: dict[tuple[int, int], _Held] = field(factory=dict)

    def add(self, group: int, timeline: Timeline | None, label: str) -> None:
        if timeline is None:
            return
        held = self.held.setdefault((group, id(timeline)), _Held(group, timeline, []))
        if label not in held.labels:
            held.labels.append(label)


def watch_part(
    measured: Measured,
    sample: Sample,
    *,
    colors: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any] | None:
    """Return what ``watch.html`` shows; ``None`` where no stream was kept.

    Of each group the median stream, the worst stall and one that broke, and others to choose from
    while there is room; of large groups among those in ``sample``. Side by side: the four largest
    groups, in the order given. Long texts are cut until all streams need ``most_bytes`` at most.
    """
    groups = list(measured.groups.values())
    shown = sorted(groups, key=lambda group: -group.streams)[:_MOST_PANELS]
    side = [place for place, group in enumerate(groups) if any(group is one for one in shown)]
    streams = _Streams()
    roles: dict[str, list[tuple[int, Timeline]]] = {"median": [], "worst": [], "broken": []}
    for place in side:
        by_chance, kept = sample.by_chance(groups[place].name), sample.all(groups[place].name)
        for role, label, timeline in (
            ("median", "median", median_of(by_chance)),
            ("worst", "longest silence", worst_of(kept)),
            ("broken", "broke", broken_of(kept)),
        ):
            if timeline is not None:
                roles[role].append((place, timeline))
                streams.add(place, timeline, label)
    if not streams.held:
        return None
    needed = list(streams.held.values())
    for add in (_add_particular, _add_by_chance):
        for place, group in enumerate(groups):
            add(streams, place, sample.by_chance(group.name), sample.all(group.name))
    stall = measured.settings.stall
    encoded = _fitting(needed, list(streams.held.values()), stall, most_bytes)
    presets = [
        {"key": key, "shown": [streams.held[place, id(line)].place for place, line in roles[key]]}
        for key in roles
    ]
    data = _document(groups, colors or {}, stall, presets, encoded)
    described = sorted((held for held in streams.held.values() if held.place >= 0), key=_by_place)
    return {
        "data": data,
        "presets": {key: bool(lines) for key, lines in roles.items()},
        "groups_note": _groups_note(groups, side),
        "broken_note": _broken_note([groups[place] for place in side], roles["broken"], groups),
        "described": [
            {
                "group": groups[held.group].name,
                "label": ", ".join(held.labels),
                "stream": held.timeline.stream,
                "words": _sentence(stream_told(held.timeline, stall)),
            }
            for held in described
        ],
    }


def _by_place(held: _Held) -> int:
    return held.place


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _add_particular(
    streams: _Streams, place: int, by_chance: Sequence[Timeline], kept: Sequence[Timeline]
) -> None:
    """Add what "this one against that" can be chosen from: streams that show something."""
    streams.add(place, median_of(by_chance), "median")
    streams.add(place, worst_of(kept), "longest silence")
    streams.add(place, broken_of(kept), "broke")
    if len(by_chance) > 4:
        streams.add(place, quantile_of(by_chance, 0.05), "quick to begin")
        streams.add(place, quantile_of(by_chance, 0.95), "slow to begin")
    streams.add(place, next((line for line in kept if line.cancelled), None), "cancelled")
    streams.add(place, next((line for line in kept if line.ending is None), None), "no ending")


def _add_by_chance(
    streams: _Streams, place: int, by_chance: Sequence[Timeline], _: Sequence[Timeline]
) -> None:
    known = {id(held.timeline) for held in streams.held.values()}
    others = (line for line in by_chance if id(line) not in known)
    for number, line in zip(range(1, _MOST_BY_CHANCE + 1), others, strict=False):
        streams.add(place, line, f"another, {number}")


def _fitting(
    needed: Sequence[_Held], all_of_them: Sequence[_Held], stall: float, most_bytes: int
) -> list[Markup]:
    """Return the streams as JSON, those that are needed first, as long as there is room."""
    most = _PLENTY
    while True:
        encoded = [embedded_json(_stream(held, stall, most)) for held in needed]
        if most <= _FEW or sum(map(_size, encoded)) <= most_bytes:
            break
        most //= 2
    left = most_bytes - sum(map(_size, encoded))
    chosen = list(needed)
    for held in all_of_them:
        if held in chosen:
            continue
        text = embedded_json(_stream(held, stall, most))
        if _size(text) <= left:
            left -= _size(text)
            chosen.append(held)
            encoded.append(text)
    # In the lists that people choose from, groups together and the median first.
    order = sorted(
        range(len(chosen)), key=lambda k: (chosen[k].group, _RANKS.get(chosen[k].labels[0], 9))
    )
    for place, k in enumerate(order):
        chosen[k].place = place
    return [encoded[k] for k in order]


_RANKS = {"median": 0, "longest silence": 1, "broke": 2, "quick to begin": 3, "slow to begin": 4}


def _stream(held: _Held, stall: float, most_pieces: int) -> dict[str, Any]:
    """Return a stream's data: microseconds from each piece to the next, and texts or lengths."""
    timeline = held.timeline
    answer = answer_of(timeline)
    pieces, left = [], most_pieces * _CHARACTERS
    for piece in answer.pieces[:most_pieces]:
        left -= piece.length
        if left < 0:
            break
        pieces.append(piece)
    moments = [round(piece.t * _MICROSECONDS) for piece in pieces]
    first = timeline.first_output
    ending = ending_told(timeline)
    values: dict[str, Any] = {
        "group": held.group,
        "label": ", ".join(held.labels),
        "model": timeline.model_used or timeline.model,
        "id": timeline.stream,
        "gaps": [after - before for before, after in zip([0, *moments], moments, strict=False)],
        "stalls": [
            [round(silence.start * _MICROSECONDS), round(silence.seconds * _MICROSECONDS)]
            for silence in timeline.stalls(stall)
        ],
        "first": None if first is None else round(first * _MICROSECONDS),
        "text": None if timeline.ttfa is None else round(timeline.ttfa * _MICROSECONDS),
        "begins": "no text" if timeline.ttfa is None else f"first text {short(timeline.ttfa)}",
        "thinks": timeline.reasoning,
        "kind": ending_kind(timeline),
        "end": round(last_moment(timeline) * _MICROSECONDS),
        "ending": ending,
        "words": _sentence(stream_told(timeline, stall)),
        "notes": _notes(answer, len(pieces)),
        "cut": len(pieces) < len(answer.pieces),
    }
    if answer.has_text:
        values["texts"] = [piece.text for piece in pieces]
    else:
        values["lengths"] = [piece.length for piece in pieces]
    return values


def _notes(answer: ReplayedAnswer, kept: int) -> list[str]:
    notes = []
    if answer.choices > 1:
        notes.append(f"One of {answer.choices} answers to the same request is shown.")
    if not answer.exact:
        notes.append("The log replaced a secret in this text: where a piece ends is estimated.")
    if not answer.has_text:
        notes.append("This log has no text: each bar is a piece, as long as its text was.")
    if kept < len(answer.pieces):
        characters = sum(piece.length for piece in answer.pieces[:kept])
        notes.append(f"The text after its first {characters:,} characters is not in this page.")
    return notes


def _groups_note(groups: Sequence[Group], side: Sequence[int]) -> str:
    if len(side) == len(groups):
        return ""
    return (
        f"Side by side are the {len(side)} largest of {len(groups)} groups; others can be chosen."
    )


def _broken_note(
    side: Sequence[Group], broken: Sequence[tuple[int, Timeline]], groups: Sequence[Group]
) -> str:
    have = [groups[place].name for place, _ in broken]
    whole = [group.name for group in side if not group.failed]
    unseen = [group.name for group in side if group.failed and group.name not in have]
    notes = [f"No answer of {name} broke." for name in whole] if have else []
    notes += [f"None of those of {name} that broke is in this page." for name in unseen]
    return " ".join(notes)


def _document(
    groups: Sequence[Group],
    colors: Mapping[str, str],
    stall: float,
    presets: Sequence[Mapping[str, Any]],
    streams: Sequence[Markup],
) -> Markup:
    named = [{"name": group.name, "color": colors.get(group.name) or _NO_COLOR} for group in groups]
    head = embedded_json(
        {"stall": round(stall * _MICROSECONDS), "groups": named, "presets": presets}
    )
    return head[:-1] + Markup(',"streams":[') + Markup(",").join(streams) + Markup("]}")


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
