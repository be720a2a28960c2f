"""Streams laid out side by side for an animation: where each piece stands, and from which second."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from attrs import field, frozen

from lm_deluge.timeline.replay.pieces import ReplayedAnswer
from lm_deluge.timeline.replay.states import ReplayState, StreamReplay

__all__ = ["COLORS", "HOLD", "Lane", "PlacedRun", "Scene", "is_right_to_left", "make_scene"]

HOLD = 2.5
"""Seconds for which the end is shown before it begins again."""

COLORS = ("#2f7de1", "#d9820b", "#0f9d8a", "#8a63d2")
"""Of the first groups, in pictures and on the page."""
MARGIN, GAP, PADDING = 16, 14, 14
LINE, SIZE = 21, 15  # pixels of a line of text, and of its letters
HEAD, STATE, TRACK, FOOT = 58, 44, 30, 34
MOST_LINES = 14

_STEP = 0.1  # seconds by which what counts up is told
_FINE = 60.0  # seconds; in longer streams it is told once a second
_MOST_STEPS = 3600  # in still longer ones every 10, 100, … seconds
_JUST_AFTER = 1e-6
_LONGEST_BAR = 24  # characters
_BAR = 6.0  # pixels for a character that is not there
_BETWEEN_BARS = 6.0

Measure = Callable[[str], float]


@frozen
class PlacedRun:
    """What one piece puts on one line: ``x`` and ``width`` in pixels, there from second ``t`` on.

    ``text``: ``None`` for a bar.
    """

    t: float
    x: float
    width: float
    text: str | None


@frozen
class Lane:
    """One stream's part of the picture: its ``left`` edge, ``width``, ``lines`` of text, ``states``.

    ``states``: what is said under the text, each from a second until the next.
    """

    replay: StreamReplay
    left: float
    width: float
    color: str
    lines: list[list[PlacedRun]]
    states: list[tuple[float, ReplayState]]

    def line_at(self, seconds: float) -> int:
        """The last line with text after so many seconds; -1 without any."""
        begun = [min((run.t for run in line), default=0.0) for line in self.lines]
        return max((k for k, t in enumerate(begun) if t <= seconds and self.lines[k]), default=-1)

    def turns(self, visible: int) -> list[tuple[float, int]]:
        """When the text moves up, and by how many lines it then is."""
        found: list[tuple[float, int]] = []
        for number, line in enumerate(self.lines):
            if line and number >= visible:
                t = min(run.t for run in line)
                found.append((t, number - visible + 1))
        return found


@frozen
class Scene:
    """The picture: its size in pixels, its streams, and how it runs.

    ``length``: seconds of the streams. ``speed``: how many of them pass in one second of the picture.
    ``visible``: lines of text. ``merged``: seconds within which pieces were taken together, or 0.
    """

    width: int
    height: int
    lanes: list[Lane]
    length: float
    speed: float
    visible: int
    merged: float = field(default=0.0)

    @property
    def seconds(self) -> float:
        """How long one round of the picture takes, the end held."""
        return self.length / self.speed + HOLD

    @property
    def ticks(self) -> list[float]:
        """The seconds of the streams at which the clock moves on."""
        step = _step(self.length)
        return [round(k * step, 6) for k in range(int(self.length / step + 1e-9) + 1)]


def make_scene(
    replays: Sequence[StreamReplay],
    measure: Measure,
    *,
    width: int,
    speed: float = 1.0,
    merged: float = 0.0,
) -> Scene:
    """Lay streams out beside each other.

    ``measure``: pixels that a text takes at ``SIZE``. ``merged``: seconds; pieces that came within the
    same so many are shown together, at the last one's time.
    """
    count = len(replays)
    lane_width = (width - 2 * MARGIN - (count - 1) * GAP) / count
    length = max(max((replay.end for replay in replays), default=0.0), 0.1)
    lanes = [
        Lane(
            replay,
            MARGIN + place * (lane_width + GAP),
            lane_width,
            COLORS[place % len(COLORS)],
            list(_lines(replay.answer, lane_width - 2 * PADDING, measure, merged)),
            _states(replay, length),
        )
        for place, replay in enumerate(replays)
    ]
    visible = min(MOST_LINES, max(4, *(len(lane.lines) for lane in lanes)))
    height = round(2 * MARGIN + HEAD + visible * LINE + STATE + TRACK + FOOT)
    return Scene(width, height, lanes, length, speed, visible, merged)


def _lines(
    answer: ReplayedAnswer, width: float, measure: Measure, merged: float
) -> Iterator[list[PlacedRun]]:
    if not answer.has_text:
        yield from _bars(answer, width)
        return
    text = answer.text
    ends: list[int] = []  # offsets at which pieces end
    times: list[float] = []
    for piece in answer.pieces:
        ends.append((ends[-1] if ends else 0) + len(piece.text or ""))
        times.append(piece.t)
    if merged:
        times = _together(times, merged)
    for begin, end in _broken(text, width, measure):
        runs: list[PlacedRun] = []
        x = 0.0
        place = begin
        while place < end:
            index = bisect_right(ends, place)
            until = min(ends[index], end)
            while until < end and times[index + 1] == times[index]:
                index += 1
                until = min(ends[index], end)
            part = text[place:until]
            wide = measure(text[begin:until]) - x
            runs.append(PlacedRun(times[index], x, wide, part))
            x += wide
            place = until
        yield runs


def _together(times: Sequence[float], within: float) -> list[float]:
    """Return for each time the last one of its slice of ``within`` seconds."""
    last: dict[int, float] = {}
    for t in times:
        last[int(t / within)] = t
    return [last[int(t / within)] for t in times]


def _bars(answer: ReplayedAnswer, width: float) -> Iterator[list[PlacedRun]]:
    runs: list[PlacedRun] = []
    x = 0.0
    for piece in answer.pieces:
        long = min(width, max(1, min(piece.length, _LONGEST_BAR)) * _BAR)
        if runs and x + long > width:
            yield runs
            runs, x = [], 0.0
        runs.append(PlacedRun(piece.t, x, long, None))
        x += long + _BETWEEN_BARS
    if runs:
        yield runs


_WORDS = re.compile(r"\n|[^\S\n]+|\S+")


def _broken(text: str, width: float, measure: Measure) -> Iterator[tuple[int, int]]:
    """Yield where lines begin and end: broken at spaces, in long words and wide scripts anywhere."""
    begin = 0
    for word in _WORDS.finditer(text):
        if word[0] == "\n":
            yield begin, word.start()
            begin = word.end()
        elif measure(text[begin : word.end()].rstrip()) > width:
            whole = measure(word[0]) <= width and not any(map(_is_wide, word[0]))
            if whole and word.start() > begin:
                yield begin, word.start()
                begin = word.start()
            else:
                for offset, until in pairwise([*_clusters(word[0]), len(word[0])]):
                    place, after = word.start() + offset, word.start() + until
                    if place > begin and measure(text[begin:after]) > width:
                        yield begin, place
                        begin = place
    if begin < len(text):
        yield begin, len(text)


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def _clusters(word: str) -> list[int]:
    """Return the offsets at which a word may be broken: before no mark and around no joiner."""
    return [
        k
        for k, char in enumerate(word)
        if not (unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"))
        and not "\U0001f3fb" <= char <= "\U0001f3ff"
        and not (k and word[k - 1] == "\u200d")
    ] or [0]


def _step(length: float) -> float:
    """Return the seconds by which what counts up is told in a picture so long."""
    if length <= _FINE:
        return _STEP
    step = 1.0
    while length / step > _MOST_STEPS:
        step *= 10
    return step


def _states(replay: StreamReplay, length: float) -> list[tuple[float, ReplayState]]:
    """Return what is told of a stream, each with the second from which on."""
    step = _step(length)
    first = replay.timeline.first_output
    turns = sorted(
        {0.0, *([first] if first is not None else []), *(p.t for p in replay.answer.pieces)}
    )
    turns = [t for t in turns if t < replay.end]
    moments = {replay.end}
    for begin, end in pairwise([*turns, replay.end]):
        moments.add(begin)
        moments.update(begin + k * step for k in range(1, int((end - begin) / step) + 1))
        if begin + replay.stall < end:
            moments.add(begin + replay.stall + _JUST_AFTER)
    told: list[tuple[float, ReplayState]] = []
    for moment in sorted(moments):
        if moment > replay.end:
            continue
        state = replay.state_at(moment + _JUST_AFTER if moment < replay.end else moment)
        if not told or told[-1][1].words != state.words:
            told.append((moment, state))
    return told


def is_right_to_left(line: Sequence[PlacedRun]) -> bool:
    """Whether the first letter that has a direction runs to the left (UAX #9, P2)."""
    for run in line:
        for char in run.text or "":
            direction = unicodedata.bidirectional(char)
            if direction in ("L", "R", "AL"):
                return direction != "L"
    return False
