"""The streams of a log in a table, so that one can be chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.table import Table

from lm_deluge.cli.terminal import make_console
from lm_deluge.timeline.measures.wording import NOTHING, printable
from lm_deluge.timeline.replay.chosen import StreamFacts
from lm_deluge.timeline.replay.told import short

__all__ = ["list_streams"]


def list_streams(facts: Sequence[StreamFacts], tags: Sequence[str]) -> None:
    """Print a line for each stream; ``tags``: those of each, in words."""
    table = Table(box=None, pad_edge=False)
    for head in ("stream", "model", "tags", "first text", "longest silence", "ending"):
        number = head in ("first text", "longest silence")
        whole = number or head == "stream"
        table.add_column(
            head,
            justify="right" if number else "left",
            no_wrap=whole,
            overflow="fold" if whole else "ellipsis",
            min_width=36 if head == "stream" and len(facts[0].stream) > 30 else None,
        )
    for fact, said in zip(facts, tags, strict=True):
        table.add_row(
            *map(printable, (fact.stream, fact.model or NOTHING, said or NOTHING)),
            NOTHING if fact.ttfa is None else short(fact.ttfa),
            NOTHING if fact.longest is None else short(fact.longest),
            printable(fact.ended),
        )
    # Into a pipe or file a table is as wide as it needs to be.
    width = None if sys.stdout.isatty() else 400
    make_console(width=width, markup=False).print(table)
