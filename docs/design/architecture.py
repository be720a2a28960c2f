"""Draws architecture.svg: the way of a network read, and the rooms as lm_deluge/README.md has them.

python docs/design/architecture.py writes the picture beside this file.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
HOUSE = HERE.parents[1] / "lm_deluge" / "README.md"

#: Station, the room it is in, and what happens there, in two lines.
WAY = (
    ("socket", "", "bytes wait", "in the kernel"),
    ("tap", "http", "the moment", "is noted"),
    ("exchange", "http", "bytes and their", "arrival"),
    ("events", "wire", "split at", "blank lines"),
    ("chunks", "dialects", "JSON, or a", "known envelope"),
    ("pieces", "dialects", "tokens, deltas,", "numbered"),
    ("dispatcher", "observers", "each receiver", "isolated, timed"),
    ("receivers", "", "handlers and", "consumers"),
)

WIDTH, MARGIN, ROW = 1000, 24, 27
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: var(--ink) }
  .title { font-size: 16px; font-weight: 600 } .name { font-weight: 600 } .soft { fill: var(--soft) }
  .small { font-size: 11.5px } .middle { text-anchor: middle }
  .page { fill: var(--page) } .box { fill: var(--box); stroke: var(--line) }
  .door { fill: var(--door); stroke: var(--edge) }
  .line { fill: none; stroke: var(--line); stroke-width: 1.5 }
  .up { stroke: var(--edge); stroke-dasharray: 4 3 }
  .head { fill: var(--line) } .uphead { fill: var(--edge) }
  svg { --page: #fff; --ink: #1a2230; --soft: #56627a; --line: #6b7890; --box: #f1f4f9; --door: #d9ebff;
        --edge: #1668c1 }
  @media (prefers-color-scheme: dark) {
    svg { --page: #12161d; --ink: #e8edf5; --soft: #a3aec2; --line: #8793a8; --box: #1f2631; --door: #17395e;
          --edge: #7db8ff }
  }
"""


def rooms() -> list[tuple[str, bool, str]]:
    """Return name, whether it is public, and its line, highest room first."""
    text = HOUSE.read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (public|) ?\| (.+?) \|$", text, re.M)
    return [(name, bool(word), line.replace("`", "")) for name, word, line in reversed(rows)]


def arrows_up() -> list[tuple[str, str]]:
    """Return the rooms that an arrow up leads from and to."""
    return re.findall(r"^- `(\w+)[\w.]*` → `(\w+)`", HOUSE.read_text("utf-8"), re.M)


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" class="{kind}"/>'
    )


def way(top: float) -> list[str]:
    """The stations of a read, and the task that drives it."""
    gap = 15
    wide = (WIDTH - 2 * MARGIN - gap * (len(WAY) - 1)) / len(WAY)
    drawn = [text(MARGIN, top, "The way of a network read", "title")]
    y = top + 16
    for place, (name, room, first, second) in enumerate(WAY):
        x = MARGIN + place * (wide + gap)
        middle = x + wide / 2
        drawn += [
            box(x, y, wide, 66, "box"),
            text(middle, y + 20, name, "name middle"),
            text(middle, y + 39, first, "small middle"),
            text(middle, y + 54, second, "small middle"),
            text(middle, y + 81, f"{room}/" if room else "", "small soft middle"),
        ]
        if place:
            drawn.append(
                f'<path d="M{x - gap:g} {y + 33:g}H{x - 5:g}" class="line" marker-end="url(#head)"/>'
            )
    left, right = MARGIN + 2 * (wide + gap), MARGIN + 7 * (wide + gap) - gap
    drawn += [
        f'<path d="M{left:g} {y + 90:g}v8H{right:g}v-8" class="line"/>',
        text(
            (left + right) / 2,
            y + 115,
            "engine/: one task per stream reads, feeds, emits, and judges whether the answer is over",
            "small middle",
        ),
    ]
    return drawn


def house(top: float) -> list[str]:
    """The rooms, one a row, highest first; public ones are doors."""
    found = rooms()
    drawn = [
        text(MARGIN, top, "The rooms: each imports only rooms below it", "title"),
        box(WIDTH - MARGIN - 330, top - 13, 16, 16, "door"),
        text(WIDTH - MARGIN - 308, top, "outsiders may import what its __all__ names", "small"),
    ]
    first = top + 16
    wide, left = 150, MARGIN + 34
    at = {name: first + place * ROW + 11 for place, (name, _, _) in enumerate(found)}
    for name, public, line in found:
        y = at[name]
        drawn += [
            box(left, y - 11, wide, 22, "door" if public else "box"),
            text(left + wide / 2, y + 4.5, name, "name small middle"),
            text(left + wide + 52, y + 4.5, line, "small"),
        ]
    end = first + len(found) * ROW - 5
    drawn.append(
        f'<path d="M{MARGIN + 12} {first}V{end - 6:g}" class="line" marker-end="url(#head)"/>'
    )
    for lower, upper in arrows_up():
        edge = left + wide
        drawn.append(
            f'<path d="M{edge} {at[lower]:g}h30V{at[upper]:g}H{edge + 6}" class="line up" '
            'marker-end="url(#uphead)"/>'
        )
    drawn.append(
        text(
            left,
            end + 22,
            "Dashed: an arrow that points up; lm_deluge/README.md gives its reason.",
            "small soft",
        )
    )
    return drawn


def picture() -> str:
    """Return the whole picture."""
    height = 200 + 16 + len(rooms()) * ROW + 40
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" class="{name}"/></marker>'
        for name in ("head", "uphead")
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-label="The way of a network read, and the rooms">',
            f"<style>{STYLE}</style><defs>{heads}</defs>",
            f'<rect width="{WIDTH}" height="{height}" class="page"/>',
            *way(36),
            *house(200),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    (HERE / "architecture.svg").write_text(picture(), "utf-8")
