"""The part of the page that replays streams: which ones, and their data, kept small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_deluge.timeline.measures.comparing.compare import pair_groups
from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.replay.pieces import ReplayedAnswer, answer_of
from lm_deluge.timeline.replay.told import ending_kind, ending_told, short, stream_told
from lm_deluge.timeline.report.drawing import Markup
from lm_deluge.timeline.report.rendering import embedded_json
from lm_deluge.timeline.report.watched import (
    MOST_PANELS,
    Watched,
    WatchedGroup,
    WatchedStream,
    watched,
)

__all__ = ["MOST_BYTES", "watch_part"]

MOST_BYTES = 400_000
"""How large the data of all streams may be, in bytes."""

_PLENTY = 8_000  # pieces of a stream, more than anybody watches
_FEW = 125
_CHARACTERS = 8  # a piece, as many as are kept of long ones

_MICROSECONDS = 1e6

_NO_COLOR = "#7a869a"


def watch_part(
    measured: Measured,
    sample: Sample,
    *,
    colors: Mapping[str, str] | None = None,
    before: tuple[Measured, Sample] | None = None,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any] | None:
    """Return what ``watch.html`` shows; ``None`` where no stream was kept.

    Of each group the median stream, the worst stall and one that broke, and others to choose from
    while there is room; of large groups among those in ``sample``. Side by side: the four largest
    groups, in the order given; with a baseline, ``before``, the two largest that both have, each beside
    what it was. Long texts are cut until all streams need ``most_bytes`` at most.
    """
    groups, side = _side_by_side(measured, sample, before)
    chosen = watched(groups, side)
    if not chosen.needed:
        return None
    stall = measured.settings.stall
    held, encoded = _fitting(chosen, stall, most_bytes)
    places = {id(stream): place for place, stream in enumerate(held)}
    presets = [
        {"key": key, "shown": [places[id(stream)] for stream in streams]}
        for key, streams in chosen.presets.items()
    ]
    return {
        "data": _document(groups, colors or {}, stall, presets, encoded),
        "presets": {key: bool(streams) for key, streams in chosen.presets.items()},
        "groups_note": _groups_note(groups, chosen.side),
        "median_note": _median_note(groups, chosen),
        "broken_note": _broken_note(groups, chosen),
        "described": [
            {
                "group": groups[stream.group].name,
                "label": ", ".join(stream.labels),
                "stream": stream.timeline.stream,
                "words": _sentence(stream_told(stream.timeline, stall)),
            }
            for stream in held
        ],
    }


def _side_by_side(
    measured: Measured, sample: Sample, before: tuple[Measured, Sample] | None
) -> tuple[list[WatchedGroup], list[int]]:
    """Return all groups that can be watched, and the places of those that stand side by side."""
    groups = [WatchedGroup(name, group, sample) for name, group in measured.groups.items()]
    if before is None:
        largest = sorted(range(len(groups)), key=lambda place: -groups[place].group.streams)
        return groups, sorted(largest[:MOST_PANELS])
    old, old_sample = before
    both: list[tuple[int, WatchedGroup, WatchedGroup]] = []
    for new_group, old_group in pair_groups(measured, old).values():
        if new_group is not None and old_group is not None:
            was = WatchedGroup(f"{old_group.name}, baseline", old_group, old_sample)
            now = WatchedGroup(new_group.name, new_group, sample)
            both.append((new_group.streams, was, now))
    if not both:
        return _side_by_side(measured, sample, None)
    paired = {id(now.group) for _, _, now in both}
    others = [each for each in groups if id(each.group) not in paired]
    listed = [each for _, was, now in both for each in (was, now)]
    largest = sorted(range(len(both)), key=lambda place: -both[place][0])[: MOST_PANELS // 2]
    return [*listed, *others], [place for k in sorted(largest) for place in (2 * k, 2 * k + 1)]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _fitting(
    chosen: Watched, stall: float, most_bytes: int
) -> tuple[list[WatchedStream], list[Markup]]:
    """Return the streams that there is room for, and their JSON; those needed before others."""
    most = _PLENTY
    while True:
        fitting = [(held, embedded_json(_stream(held, stall, most))) for held in chosen.needed]
        left = most_bytes - sum(_size(text) for _, text in fitting)
        if left >= 0 or most <= _FEW:
            break
        most //= 2
    for held in chosen.others:
        text = embedded_json(_stream(held, stall, most))
        if _size(text) <= left:
            left -= _size(text)
            fitting.append((held, text))
    # In the lists that people choose from, groups together and the median first.
    fitting.sort(key=lambda entry: (entry[0].group, _RANKS.get(entry[0].labels[0], len(_RANKS))))
    return [held for held, _ in fitting], [text for _, text in fitting]


_RANKS = {"median": 0, "longest silence": 1, "broke": 2, "quick to begin": 3, "slow to begin": 4}


def _stream(held: WatchedStream, stall: float, most_pieces: int) -> dict[str, Any]:
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


def _groups_note(groups: Sequence[WatchedGroup], side: Sequence[int]) -> str:
    if len(side) == len(groups):
        return ""
    return (
        f"Side by side are the {len(side)} largest of {len(groups)} groups; others can be chosen."
    )


def _median_note(groups: Sequence[WatchedGroup], chosen: Watched) -> str:
    silent = [
        groups[stream.group].name
        for stream in chosen.presets["median"]
        if stream.timeline.ttfa is None
    ]
    return " ".join(f"No answer of {name} has text." for name in silent)


def _broken_note(groups: Sequence[WatchedGroup], chosen: Watched) -> str:
    broken = chosen.presets["broken"]
    have = {stream.group for stream in broken}
    notes = []
    for place in chosen.side:
        name = groups[place].name
        if not groups[place].group.failed and broken:
            notes.append(f"No answer of {name} broke.")
        elif groups[place].group.failed and place not in have:
            notes.append(f"None of those of {name} that broke is in this page.")
    return " ".join(notes)


def _document(
    groups: Sequence[WatchedGroup],
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
