"""What is known of an object that grows, beside its value."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

__all__ = ["Growth"]


@frozen(kw_only=True)
class Growth:
    """Where an object still grows, and whose it is.

    ``kind``: ``"answer"``: of the text; ``"tool_call"``: the arguments of a call. ``is_whole``: nothing
    follows, and the value is what was asked for. ``open``: the keys and indices on the way to the innermost
    part that is open, a text, a list or an object; ``()`` for the value itself, ``None`` once it is whole.
    Everything that is not on this way is over, and fits the schema.
    ``index``, ``id``, ``name``: of the tool call, as in ``Delta``. ``choice``: 0 unless ``n > 1`` was asked.
    """

    kind: Literal["answer", "tool_call"] = "answer"
    is_whole: bool = False
    open: tuple[str | int, ...] | None = None
    choice: int = 0
    index: int = 0
    id: str | None = None
    name: str | None = None

    def is_open(self, *path: str | int) -> bool:
        """Whether the part at the end of a way still grows: ``growth.is_open("steps", 2, "text")``."""
        return self.open is not None and self.open[: len(path)] == path
