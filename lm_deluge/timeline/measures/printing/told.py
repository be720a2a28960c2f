"""What a report says in sentences on a terminal: the verdict first, the findings last."""

from __future__ import annotations

from collections.abc import Sequence

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.printing.rich_tables import Console, Text
from lm_deluge.timeline.measures.verdict.verdict import Verdict
from lm_deluge.timeline.measures.verdict.verdict_lines import (
    MOST_SHOWN,
    Worth,
    how_compared,
    shown_and_folded,
    telling_and_folded,
)
from lm_deluge.timeline.measures.wording import printable

__all__ = ["print_findings", "print_verdicts"]

_STYLES: dict[Worth, str] = {
    "better": "green",
    "worse": "yellow",
    "open": "cyan",
    "small": "dim",
    "beside": "dim",
    "alike": "dim",
}


def print_verdicts(
    console: Console, verdicts: Sequence[Verdict], comparisons: Comparisons | None
) -> None:
    """Print at most five verdicts, of a single one its reasons; into a pipe all of them."""
    if not verdicts:
        return
    console.print(Text("Verdict", style="bold"))
    shown = telling_and_folded(verdicts)[0] if console.is_terminal else verdicts
    for verdict in shown:
        _say(console, f"▶ {verdict.sentence}", "bold")
        if len(verdicts) == 1:
            for line in shown_and_folded(verdict)[0]:
                _say(console, f"  {line.text}", _STYLES[line.worth])
    if len(shown) < len(verdicts):
        _say(
            console, f"  And {len(verdicts) - len(shown)} more: --html and --json have them.", "dim"
        )
    if comparisons is not None and comparisons.n:
        _say(console, how_compared(comparisons), "dim")
    console.print()


def print_findings(console: Console, findings: Sequence[str]) -> None:
    """Print the findings: on a terminal the five that matter most, then the others."""
    console.print(Text("Findings", style="bold"))
    for place, finding in enumerate(findings or ["Nothing stands out."]):
        if place == MOST_SHOWN and console.is_terminal:
            console.print(Text("More findings", style="bold"))
        _say(console, f"• {finding}")


def _say(console: Console, text: str, style: str = "") -> None:
    # Into a pipe, one line each: for grep.
    console.print(Text(printable(text), style=style), soft_wrap=not console.is_terminal)
