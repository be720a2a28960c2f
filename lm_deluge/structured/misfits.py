"""Where a value does not fit, and why."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

__all__ = ["Misfit", "MisfitError", "Path", "shown_path"]

Path: TypeAlias = tuple[str | int, ...]


@frozen
class Misfit:
    """``path``: the keys and indices on the way to it. ``message``: why, as a clause."""

    path: Path
    message: str


class MisfitError(Exception):
    """What a model said is not what was asked for. ``misfit``: where, and why."""

    def __init__(self, misfit: Misfit) -> None:
        super().__init__(misfit.message)
        self.misfit = misfit


def shown_path(path: Path) -> str:
    """Return a way into a value as people write it: ``steps[2].name``; ``""`` for all of it."""
    parts = [
        f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else f"[{key!r}]"
        for key in path
    ]
    return "".join(parts).removeprefix(".")
