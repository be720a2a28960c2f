"""Tables as the docstring of a module draws them."""

from __future__ import annotations

from types import ModuleType
from typing import cast


def drawn(module: ModuleType) -> dict[tuple[str, str], str]:
    """Return the cells of the docstring's one table, by row and column."""
    lines = cast("str", module.__doc__).splitlines()
    first, second, third = (at for at, line in enumerate(lines) if line.startswith("==="))
    edges = [
        at
        for at, mark in enumerate(lines[first])
        if mark == "=" and " " in (lines[first][at - 1 : at] or " ")
    ]
    cells = [
        [line[a:b].strip() for a, b in zip(edges, [*edges[1:], None], strict=True)]
        for line in (*lines[first + 1 : second], *lines[second + 1 : third])
    ]
    return {
        (row[0], column): cell
        for row in cells[1:]
        for column, cell in zip(cells[0][1:], row[1:], strict=True)
    }
