"""Makes the picture of docs/terminal.md.

Usage: make_terminal.py [FOLDER]

`RichPrinter` draws an answer of a simulator on a terminal in memory (pyte); what stands there in the end, in
its colours, is drawn by a real Chromium. FOLDER gets the picture in place of docs/guide/.
Needs chromium (Debian: apt-get install chromium).
"""

import asyncio
import html
import os
import re
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

from making import DOCS, look, save

PICTURE = "terminal/answer.png"
COLUMNS, LINES = 78, 40

QUESTION = "Which of two rivers is longer? With a program."
REASONING = "The Rhine and the Danube, then. Lengths are in every atlas; a table says it best."
ANSWER = """## Two rivers

The **Danube** is more than *twice* as long as the Rhine, and flows the other way:

| river | length | flows into |
|---|---:|---|
| Rhine | 1,233 km | the North Sea |
| Danube | 2,850 km | the Black Sea |

1. Both begin not far from each other, in the Alps and the Black Forest.
2. Since 1992 a [canal](https://en.wikipedia.org/wiki/Rhine-Main-Danube_Canal) joins them.

```python
rivers = {"Rhine": 1_233, "Danube": 2_850}

def longest(lengths: dict[str, int]) -> str:
    return max(lengths, key=lengths.get)  # the Danube
```

> A river is longer than its name.
"""

#: The sixteen colours by pyte's names; all others it gives as six hexadecimal digits.
COLOURS = {
    "black": "#3b4252", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
    "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#d8dee9",
    "brightblack": "#7f8797", "brightred": "#ff7b86", "brightgreen": "#b5e890",
    "brightbrown": "#ffd68a", "brightblue": "#8cc8ff", "brightmagenta": "#e29bff",
    "brightcyan": "#7fdbe6", "brightwhite": "#ffffff",
}  # fmt: skip

PAGE = """<!doctype html><html data-ready="yes"><meta charset="utf-8"><style>
body {{ margin: 0; padding: 18px 20px; background: #1e222a; width: max-content; }}
pre {{ margin: 0; color: #d8dee9; font: 15px/20px "DejaVu Sans Mono", monospace; }}
span {{ display: inline-block; vertical-align: top; }}
</style><pre>{}</pre>"""


def css(cell: Any) -> str:
    """Return how a character looks."""
    front, back = (
        COLOURS.get(name, None if name == "default" else f"#{name}") for name in (cell.fg, cell.bg)
    )
    said = {
        "color": front,
        "background": back,
        "font-weight": "bold" if cell.bold else None,
        "font-style": "italic" if cell.italics else None,
        "text-decoration": "underline" if cell.underscore else None,
    }
    return ";".join(f"{name}:{value}" for name, value in said.items() if value)


def page_of(terminal: Any) -> str:
    """Return what stands on the terminal as a page."""
    lines = []
    for number in range(len(terminal.lines)):
        cells = [terminal.cell(number, column) for column in range(COLUMNS)]
        spans = (
            f'<span style="{style}">{html.escape("".join(cell.data for cell in run))}</span>'
            for style, run in groupby(cells, css)
        )
        lines.append("".join(spans))
    return PAGE.format("\n".join(lines))


async def drawn() -> Any:
    """Let `RichPrinter` draw the answer; return the terminal."""
    from lm_deluge import LLMClient
    from lm_deluge.simulator import Simulator
    from lm_deluge_plugins import RichPrinter
    from support.terminal import Terminal

    class Dimming(Terminal):
        """pyte knows no dim text: here it is grey."""

        def write(self, text: str) -> int:
            return super().write(re.sub(r"\x1b\[2(?=[;m])", "\x1b[90", text))

    terminal = Dimming(COLUMNS, LINES)
    terminal.write(f'$ lm-deluge stream "{QUESTION}"\n')
    async with Simulator(text=ANSWER, reasoning=REASONING, gap=0.002) as simulator:
        client = LLMClient(
            "gpt-6-sol", base_url=simulator.base_url, api_key="any", printer=RichPrinter(terminal)
        )
        response = await client.stream(QUESTION)
    assert response.completion == ANSWER
    return terminal


async def take(url: str, into: Path) -> None:
    """Take a picture of a page."""
    from support.browser import open_page  # drives Chromium; needs pytest

    async with open_page(url) as page:
        width = await page.value_of("Math.ceil(document.body.getBoundingClientRect().width)")
        save(await look(page, width), into)


def main(into: Path) -> None:
    """Make the picture."""
    # A terminal in memory has no size of its own.
    settings = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    os.environ.update(settings, COLORTERM="truecolor")
    terminal = asyncio.run(drawn())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "terminal.html")
        page.write_text(page_of(terminal), encoding="utf-8")
        (into / PICTURE).parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(take(page.as_uri(), into / PICTURE))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else DOCS / "guide")
