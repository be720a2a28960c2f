"""Streams as an animated GIF, for slides and chats that show nothing else; needs Pillow."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil
from typing import Any, Final

from attrs import define, field, frozen

from lm_deluge.timeline.replay.letters import Image, ImageDraw, Letters
from lm_deluge.timeline.replay.scene import (
    COLORS,
    FOOT,
    HEAD,
    HOLD,
    LINE,
    MARGIN,
    PADDING,
    SIZE,
    STATE,
    Lane,
    PlacedRun,
    Scene,
    is_right_to_left,
    make_scene,
)
from lm_deluge.timeline.replay.states import StreamReplay, on_clock
from lm_deluge.timeline.replay.svg import MOST_BYTES
from lm_deluge.timeline.replay.told import ending_kind, short

__all__ = ["Gif", "animated_gif"]

#: Seconds from picture to picture at least, a multiple of a GIF's hundredth; slower where it would be
#: too large.
_APART: Final = (0.05, 0.1, 0.2, 0.5)

_GROUND, _PANEL, _PAPER, _LINE = "#ffffff", "#f5f7fa", "#ffffff", "#dde3ea"
_TEXT, _SOFT, _STALL, _TROUBLE = "#1b2330", "#5b6675", "#b35900", "#c92a2a"
_SMALL = 12
_SHADES = 12  # of a colour, for the edges of letters
_BODY = 0.4  # how much colour the line of seconds has
_MOST_LETTERS = 300  # of a line; more are not measured
_TURN = 4  # lines by which a long text moves up: each time all of it is drawn anew


@frozen
class Gif:
    """A picture: ``data``, its bytes; ``moments``, the seconds of the streams that its frames show.

    ``apart``: seconds of the picture from frame to frame at least. ``lacking``: characters that no
    font on this machine has, drawn as boxes.
    """

    data: bytes
    moments: list[float]
    apart: float
    lacking: str


def animated_gif(
    replays: Sequence[StreamReplay], *, width: int, speed: float = 1.0, most_bytes: int = MOST_BYTES
) -> Gif:
    """Draw the picture; raises ``ValueError`` where it would be larger than ``most_bytes``.

    A frame shows all that had come by its second, so that a piece is shown at most one frame late and
    never early. It plays again and again and holds the end for a while.
    """
    painter = _Painter(Letters(SIZE), Letters(_SMALL))
    scene = make_scene(replays, painter.text.width, width=width, speed=speed)
    for apart in _APART:
        moments = _moments(scene, apart)
        data = _encoded(scene, painter, moments, most_bytes)
        if data is not None:
            lacking = "".join(sorted(painter.text.lacking | painter.small.lacking))
            return Gif(data, moments, apart, lacking)
    message = (
        f"the picture would be larger than {most_bytes / 1e6:g} MB: show fewer or shorter streams"
    )
    raise ValueError(message)


def _moments(scene: Scene, apart: float) -> list[float]:
    """Return the seconds of the streams that are shown: where something has changed, ``apart`` or more."""
    changes = {0.0, scene.length, *scene.ticks}
    for lane in scene.lanes:
        changes.update(piece.t for piece in lane.replay.answer.pieces)
        changes.update(t for t, _ in lane.states)
    step = apart * scene.speed
    slices = {ceil(t / step - 1e-9) for t in changes if t <= scene.length}
    return [place * step for place in sorted(slices)]


def _encoded(
    scene: Scene, painter: _Painter, moments: Sequence[float], most_bytes: int
) -> bytes | None:
    """Return the bytes of the picture; ``None`` if they are too many."""
    frames = [painter.frame(scene, moment) for moment in moments]
    durations = [
        round((after - before) / scene.speed * 100) * 10 for before, after in pairwise(moments)
    ]
    out = io.BytesIO()
    # Optimized: only what has changed is written, and around it nothing.
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], loop=0, disposal=1, optimize=True,
        duration=[*durations, round(HOLD * 1000)],
    )  # fmt: skip
    return out.getvalue() if out.tell() <= most_bytes else None


def _palette() -> Any:
    """Return the picture's colours: those that it is drawn in, and shades from each to its ground."""
    inks = (_TEXT, _SOFT, _STALL, _TROUBLE, *COLORS)
    shades = {_rgb(color) for color in (_GROUND, _PANEL, _PAPER, _LINE)}
    for ink in inks:
        steps = _SHADES if ink in (_TEXT, _SOFT) else _SHADES // 2
        shades |= {_mixed(ink, step / steps) for step in range(1, steps + 1)}
    shades |= {_mixed(color, _BODY) for color in COLORS}
    image = Image.new("P", (1, 1))
    image.putpalette([part for shade in sorted(shades) for part in shade])
    return image


@define
class _Painter:
    """Draws a scene at a second, in the palette's colours. What stays the same is drawn once."""

    text: Letters
    small: Letters
    _colors: Any = field(factory=_palette, init=False)
    _still: Any = field(default=None, init=False)
    _strips: dict[object, Any] = field(factory=dict, init=False)

    def _kept(
        self, key: object, width: float, height: int, paint: Callable[[Any], None], ground: str
    ) -> Any:
        """Return a small picture, painted when it is first asked for."""
        strip = self._strips.get(key)
        if strip is None:
            image = Image.new("RGB", (max(1, round(width)), height), ground)
            paint(ImageDraw.Draw(image))
            strip = self._strips[key] = self._coloured(image)
        return strip

    def _coloured(self, image: Any) -> Any:
        return image.quantize(palette=self._colors, dither=Image.Dither.NONE)

    def frame(self, scene: Scene, seconds: float) -> Any:
        """Return the picture at a second of the streams."""
        if self._still is None:
            self._still = self._coloured(self._background(scene))
        image = self._still.copy()
        seconds = min(seconds, scene.length)
        for number, lane in enumerate(scene.lanes):
            self._body(image, scene, lane, seconds, number)
            self._state(image, scene, lane, seconds)
            head = self._kept("head", 2, 24, lambda _: None, _TEXT)
            y = MARGIN + HEAD + scene.visible * LINE + STATE + 5
            image.paste(head, (int(_at(scene, lane, seconds)), y))
        clock = short(seconds) if seconds >= scene.length else on_clock(seconds)
        strip = self._kept(
            clock, 120, SIZE + 6, lambda draw: self.text.draw(draw, 0, 1, clock, _TEXT), _GROUND
        )
        image.paste(strip, (MARGIN, scene.height - FOOT + 5))
        return image

    def _background(self, scene: Scene) -> Any:
        image = Image.new("RGB", (scene.width, scene.height), _GROUND)
        draw = ImageDraw.Draw(image)
        tall = HEAD + scene.visible * LINE + STATE
        for lane in scene.lanes:
            left, right = lane.left, lane.left + lane.width
            draw.rounded_rectangle((left, MARGIN, right, MARGIN + tall), 9, _PANEL, _LINE)
            draw.rectangle((left, MARGIN, right, MARGIN + 4), lane.color)
            begins = lane.replay.timeline.ttfa
            first = "no text" if begins is None else f"first text after {short(begins)}"
            inside = lane.width - 2 * PADDING
            name = _fitting(lane.replay.name, inside, self.text)
            self.text.draw(draw, left + PADDING, MARGIN + 12, name, _TEXT)
            self.small.draw(draw, left + PADDING, MARGIN + 33, first, _SOFT)
            draw.rounded_rectangle(_paper(scene, lane), 6, _PAPER, _LINE)
            self._track(draw, scene, lane, MARGIN + tall + 10)
        speed = "" if scene.speed == 1 else f", {scene.speed:g} times as fast as it was"
        words = f"of {short(scene.length)}{speed}"
        at = scene.width - MARGIN - self.small.width(words)
        self.small.draw(draw, at, scene.height - FOOT + 8, words, _SOFT)
        return image

    def _body(self, image: Any, scene: Scene, lane: Lane, seconds: float, number: int) -> None:
        """Draw the text that had come; where there is more than room, it moves up by some lines."""
        left, top, right, _ = _paper(scene, lane)
        width = right - left - 3
        above = lane.line_at(seconds) - scene.visible + 1
        above = -(-above // _TURN) * _TURN if above > 0 else 0
        for row, line in enumerate(lane.lines[above : above + scene.visible]):
            shown = [run for run in line if run.t <= seconds]
            if shown:
                key = number, above + row, len(shown)
                strip = self._kept(key, width, LINE, self._line(lane, line, shown, width), _PAPER)
                image.paste(strip, (int(left + 2), int(top + 4 + row * LINE)))

    def _line(
        self, lane: Lane, line: Sequence[PlacedRun], shown: Sequence[PlacedRun], width: float
    ) -> Callable[[Any], None]:
        def paint(draw: Any) -> None:
            x = PADDING - 9.0
            for run in shown:
                if run.text is None:
                    box = (x + run.x, 6, x + run.x + run.width, 15)
                    draw.rounded_rectangle(box, 3, lane.color)
            text = "".join(run.text or "" for run in shown)
            leftward = is_right_to_left(line)
            if leftward:
                x = width - x - self.text.width(text)
            self.text.draw(draw, x, 2, text, _TEXT, leftward=leftward)

        return paint

    def _state(self, image: Any, scene: Scene, lane: Lane, seconds: float) -> None:
        place = bisect_right(lane.states, seconds + 1e-9, key=lambda state: state[0]) - 1
        state = lane.states[max(0, place)][1]
        color = {"stalled": _STALL, "broke": _TROUBLE}.get(state.kind, _TEXT)
        width = lane.width - 2 * PADDING

        def paint(draw: Any) -> None:
            self.text.draw(draw, 0, 1, _fitting(state.words, width, self.text), color)

        strip = self._kept((state.words, width), width, SIZE + 6, paint, _PANEL)
        y = MARGIN + HEAD + scene.visible * LINE + 13
        image.paste(strip, (int(lane.left + PADDING), y))

    def _track(self, draw: Any, scene: Scene, lane: Lane, y: float) -> None:
        line = lane.replay.timeline
        end = _at(scene, lane, lane.replay.end)
        begins = _at(scene, lane, line.ttfa) if line.ttfa is not None else end
        draw.rectangle((lane.left + PADDING, y + 6, begins, y + 7), lane.color)
        if end > begins:
            draw.rectangle((begins, y, end, y + 14), _mixed(lane.color, _BODY))
        for stall in line.stalls(lane.replay.stall):
            box = (
                _at(scene, lane, stall.start),
                y,
                _at(scene, lane, stall.start + stall.seconds),
                y + 14,
            )
            draw.rectangle(box, _PAPER, _STALL)
            for hatch in range(int(box[0]) + 2, int(box[2]) - 12, 7):
                draw.line((hatch, y + 13, hatch + 12, y + 1), _STALL, 2)
        if line.ttfa is not None:
            draw.rectangle((begins - 1, y - 3, begins + 1, y + 17), lane.color)
        kind = ending_kind(line)
        color = _TROUBLE if kind == "broke" else _TEXT
        x = end + 5.0
        if kind == "whole":
            draw.line((x, y + 7, x + 4, y + 12, x + 11, y + 2), color, 2)
        elif kind == "broke":
            draw.line((x, y + 2, x + 10, y + 12), color, 2)
            draw.line((x, y + 12, x + 10, y + 2), color, 2)
        elif kind == "cancelled":
            draw.rectangle((x, y + 3, x + 9, y + 12), color)
        else:
            self.text.draw(draw, x, y - 1, "?", color)


def _paper(scene: Scene, lane: Lane) -> tuple[float, float, float, float]:
    top = MARGIN + HEAD - 6
    return lane.left + 7, top, lane.left + lane.width - 7, top + scene.visible * LINE + 8


def _at(scene: Scene, lane: Lane, seconds: float) -> float:
    wide = lane.width - 2 * PADDING - 16
    return lane.left + PADDING + wide * seconds / scene.length


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[k : k + 2], 16) for k in (1, 3, 5))


def _mixed(color: str, share: float) -> tuple[int, ...]:
    return tuple(round(part * share + 255 * (1 - share)) for part in _rgb(color))


def _fitting(text: str, width: float, letters: Letters) -> str:
    """Return as much of a text as there is room for."""
    if len(text) <= _MOST_LETTERS and letters.width(text) <= width:
        return text
    text = text[:_MOST_LETTERS]
    while text and letters.width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
