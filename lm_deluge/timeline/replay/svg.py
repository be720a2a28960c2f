"""Streams as an animated SVG: one file without scripts, for slides, pull requests and pages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from lm_deluge.timeline.replay.scene import (
    HEAD,
    LINE,
    MARGIN,
    PADDING,
    SIZE,
    STATE,
    TRACK,
    Lane,
    Scene,
    is_right_to_left,
    make_scene,
)
from lm_deluge.timeline.replay.states import GLYPHS, StreamReplay, on_clock
from lm_deluge.timeline.replay.told import ending_kind, short, stream_told

__all__ = ["MOST_BYTES", "animated_svg"]

MOST_BYTES = 2_000_000
"""How large a picture may be."""

#: Seconds within which pieces are shown together where the picture would be too large.
_MERGED = (0.0, 1 / 30, 0.1, 0.3)

_LIGHT = (
    "--ground:#fff;--panel:#f5f7fa;--paper:#fff;--text:#1b2330;--soft:#5b6675;--line:#dde3ea;"
    "--stall:#b35900;--trouble:#c92a2a"
)
_DARK = (
    "--ground:#12161c;--panel:#1b212a;--paper:#12161c;--text:#e6eaf0;--soft:#9aa6b5;--line:#303945;"
    "--stall:#ffb35c;--trouble:#ff7b72"
)
# Pieces of the text are ``p``, what is told for a while ``o``, what is told in the end ``f``.
_STYLE = f"""
:root{{{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
text{{font-family:Arial,Helvetica,"Liberation Sans","Noto Sans",sans-serif;fill:var(--text);white-space:pre}}
.t{{font-size:15px;unicode-bidi:plaintext}}
.n{{font-size:16px;font-weight:700}}
.s{{font-size:12.5px;fill:var(--soft)}}
.w{{font-size:14.5px;font-weight:700}}
.c{{font-size:15px;font-weight:700}}
.stalled{{fill:var(--stall)}}
.broke{{fill:var(--trouble)}}
.o{{visibility:hidden}}
@media (prefers-reduced-motion:reduce){{
.p,.f{{visibility:visible!important}}
.o{{visibility:hidden!important}}
.m{{transform:translateY(var(--end))!important}}
.h{{display:none}}
}}
"""

# Widths of Helvetica's letters, in parts of their size; between classes of letters it is about right.
_NARROW = frozenset("iljI.,:;'|!`")
_THIN = frozenset('ftr()[]{}/\\ -"*')
_BROAD = frozenset("mwMW@%&")


def width_of(text: str) -> float:
    """Return about how many pixels a text takes in the picture's font, a little more than it does."""
    return sum(map(_letter, text)) * SIZE * 1.03


def _letter(char: str) -> float:
    if char in _NARROW:
        return 0.27
    if char in _THIN:
        return 0.34
    if char in _BROAD:
        return 0.86
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    return 0.7 if char.isupper() else 0.56


def animated_svg(
    replays: Sequence[StreamReplay], *, width: int, speed: float = 1.0, most_bytes: int = MOST_BYTES
) -> tuple[str, Scene]:
    """Return the picture, and what is in it; raises ``ValueError`` where it would be too large.

    It plays again and again and holds the end for a while; a viewer that animates nothing, and one who
    wants no motion, see the end. Each piece becomes visible when it came, ``speed`` times as fast.
    """
    holds = sum(len(each.answer.text) for each in replays if each.answer.has_text)
    for merged in (
        _MERGED if holds <= most_bytes else ()
    ):  # laid out only where it may be small enough
        scene = make_scene(replays, width_of, width=width, speed=speed, merged=merged)
        picture = "".join(_drawn(scene))
        if len(picture.encode("utf-8")) <= most_bytes:
            return picture, scene
    message = (
        f"the picture would be larger than {most_bytes / 1e6:g} MB: show fewer or shorter streams"
    )
    raise ValueError(message)


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    """Escape; what XML has no place for is shown as the replacement character."""
    return escape(_legal(text))


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _drawn(scene: Scene) -> Iterator[str]:
    names = " and ".join(lane.replay.name for lane in scene.lanes)
    told = ". ".join(
        f"{lane.replay.name}: {stream_told(lane.replay.timeline, lane.replay.stall)}"
        for lane in scene.lanes
    )
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {scene.width} {scene.height}" '
        f'width="{scene.width}" height="{scene.height}" role="img" aria-label={quoteattr(_legal(told))}>'
        f"<title>{_text(names)}</title><desc>{_text(told)}</desc><style>{_STYLE}</style>"
        f'<rect width="100%" height="100%" rx="12" fill="var(--ground)"/>'
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="3" height="7" fill="var(--stall)"/></pattern></defs>'
    )
    for number, lane in enumerate(scene.lanes):
        yield from _lane(scene, lane, number)
    yield from _foot(scene)
    yield "</svg>\n"


def _lane(scene: Scene, lane: Lane, number: int) -> Iterator[str]:
    left, top, wide = lane.left, MARGIN, lane.width
    tall = HEAD + scene.visible * LINE + STATE
    inside = wide - 2 * PADDING
    begins = lane.replay.timeline.ttfa
    first = "no text" if begins is None else f"first text after {short(begins)}"
    yield (
        f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{tall}" rx="9" fill="var(--panel)" '
        f'stroke="var(--line)"/><rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="5" rx="2" '
        f'fill="{lane.color}"/>'
        f'<clipPath id="k{number}"><rect x="{left + 6:.1f}" y="{top}" width="{wide - 12:.1f}" '
        f'height="{tall + TRACK}"/></clipPath><g clip-path="url(#k{number})">'
        f'<text class="n" x="{left + PADDING:.1f}" y="{top + 26}">{_text(lane.replay.name)}</text>'
        f'<text class="s" x="{left + PADDING:.1f}" y="{top + 44}">{_text(first)}</text></g>'
        f'<rect x="{left + 7:.1f}" y="{top + HEAD - 6}" width="{wide - 14:.1f}" '
        f'height="{scene.visible * LINE + 8}" rx="6" fill="var(--paper)" stroke="var(--line)"/>'
        f'<clipPath id="l{number}"><rect x="{left + 8:.1f}" y="{top + HEAD - 4}" '
        f'width="{wide - 16:.1f}" height="{scene.visible * LINE + 4}"/></clipPath>'
        f'<g clip-path="url(#l{number})">'
    )
    yield from _body(scene, lane, top + HEAD)
    yield "</g>"
    yield from _told(scene, lane, top + HEAD + scene.visible * LINE + 27, number)
    yield from _track(scene, lane, top + tall + 10, inside)


def _body(scene: Scene, lane: Lane, top: float) -> Iterator[str]:
    """Draw the text, which moves up where it is longer than the panel."""
    turns = lane.turns(scene.visible)
    end = -turns[-1][1] * LINE if turns else 0
    yield f'<g class="m" style="--end:{end}px" transform="translate(0 {end})">'
    if turns:
        moments = [(0.0, 0), *turns]
        values = ";".join(f"0 {-lines * LINE}" for _, lines in moments)
        times = ";".join(_share(scene, t) for t, _ in moments)
        yield (
            f'<animateTransform attributeName="transform" type="translate" calcMode="discrete" '
            f'values="{values}" keyTimes="{times}" {_round(scene)}/>'
        )
    for number, line in enumerate(lane.lines):
        y = top + number * LINE + SIZE
        if line and line[0].text is None:
            for run in line:
                yield (
                    f'<rect class="p" x="{lane.left + PADDING + run.x:.1f}" y="{y - 10:.1f}" '
                    f'width="{run.width:.1f}" height="10" rx="3" fill="{lane.color}" opacity=".7">'
                    f"{_from(scene, run.t)}</rect>"
                )
        elif line:
            right = is_right_to_left(line)
            x = lane.left + (lane.width - PADDING if right else PADDING)
            anchor = ' direction="rtl"' if right else ""  # whose start is the right edge
            runs = "".join(
                f'<tspan class="p">{_text(run.text or "")}{_from(scene, run.t)}</tspan>'
                for run in line
            )
            yield f'<text class="t" x="{x:.1f}" y="{y:.1f}"{anchor}>{runs}</text>'
    yield "</g>"


def _told(scene: Scene, lane: Lane, y: float, number: int) -> Iterator[str]:
    last = len(lane.states) - 1
    for place, (begin, state) in enumerate(lane.states):
        until = lane.states[place + 1][0] if place < last else None
        kind = "f" if until is None else "o"
        yield (
            f'<text class="w {kind} {state.kind}" x="{lane.left + PADDING:.1f}" y="{y:.1f}" '
            f'clip-path="url(#k{number})">{_text(state.words)}{_between(scene, begin, until)}</text>'
        )


def _track(scene: Scene, lane: Lane, y: float, wide: float) -> Iterator[str]:
    """Draw when text came, stalls and the ending on a line of seconds, and where the picture is."""
    line, left = lane.replay.timeline, lane.left + PADDING
    wide -= 16  # for the ending's sign

    def at(seconds: float) -> float:
        return left + wide * seconds / scene.length

    end = lane.replay.end
    begins = line.ttfa if line.ttfa is not None else end
    yield _box(left, y + 6, at(begins) - left, 2, f'fill="{lane.color}" opacity=".6"')
    yield _box(at(begins), y, at(end) - at(begins), 14, f'rx="3" fill="{lane.color}" opacity=".4"')
    for stall in line.stalls(lane.replay.stall):
        wide_one = at(stall.start + stall.seconds) - at(stall.start)
        yield _box(at(stall.start), y, wide_one, 14, 'fill="url(#hatch)" stroke="var(--stall)"')
    if line.ttfa is not None:
        yield _box(at(begins) - 1, y - 3, 3, 20, f'fill="{lane.color}"')
    kind = ending_kind(line)
    yield f'<text class="c {kind}" x="{at(end) + 4:.1f}" y="{y + 12:.1f}">{GLYPHS[kind]}</text>'
    share = scene.length / scene.speed / scene.seconds
    last = f"{at(scene.length):.1f}"
    yield (
        f'<rect class="h" x="{last}" y="{y - 5:.1f}" width="2" height="24" fill="var(--text)">'
        f'<animate attributeName="x" values="{left:.1f};{last};{last}" '
        f'keyTimes="0;{share:.6f};1" {_round(scene)}/></rect>'
    )


def _box(x: float, y: float, width: float, height: float, rest: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:g}" {rest}/>'
    )


def _foot(scene: Scene) -> Iterator[str]:
    y = scene.height - MARGIN + 2
    speed = "" if scene.speed == 1 else f", {scene.speed:g} times as fast as it was"
    yield (
        f'<text class="s" x="{scene.width - MARGIN}" y="{y}" text-anchor="end">'
        f"of {short(scene.length)}{speed}</text>"
    )
    ticks = scene.ticks
    for begin, until in zip(ticks, [*ticks[1:], None], strict=True):
        last = until is None
        word = short(scene.length) if last else on_clock(begin)
        yield (
            f'<text class="c {"f" if last else "o"}" x="{MARGIN}" y="{y}">{word}'
            f"{_between(scene, begin, until)}</text>"
        )


def _round(scene: Scene) -> str:
    return f'dur="{scene.seconds:.3f}s" repeatCount="indefinite"'


def _share(scene: Scene, seconds: float) -> str:
    """Return a second of the streams as a share of the picture's round."""
    share = seconds / scene.speed / scene.seconds
    return f"{min(1.0, share):.7f}".rstrip("0").rstrip(".") or "0"


def _from(scene: Scene, seconds: float) -> str:
    """Animate: there from a second on, until the picture begins again."""
    share = _share(scene, seconds)
    if share == "0":
        return ""
    return (
        f'<animate attributeName="visibility" calcMode="discrete" values="hidden;visible" '
        f'keyTimes="0;{share}" {_round(scene)}/>'
    )


def _between(scene: Scene, begin: float, until: float | None) -> str:
    """Animate: there from one second to another; without another, until the picture begins again."""
    shares = [("hidden", "0")] if _share(scene, begin) != "0" else []
    shares.append(("visible", _share(scene, begin)))
    if until is not None:
        shares.append(("hidden", _share(scene, until)))
    values = ";".join(value for value, _ in shares)
    times = ";".join(share for _, share in shares)
    return (
        f'<animate attributeName="visibility" calcMode="discrete" values="{values}" '
        f'keyTimes="{times}" {_round(scene)}/>'
    )
