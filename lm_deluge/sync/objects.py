"""The object in a stream's answer as it grows, for code without ``async``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_deluge.observers.objects import Objects as AsyncObjects
from lm_deluge.sync.bridge import items_of
from lm_deluge.values.growth import Growth

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ObjectLoop"]


class ObjectLoop:
    """The object in an answer while it grows, for ``for``: see ``lm_deluge.Objects``."""

    def __init__(self, objects: AsyncObjects) -> None:
        self._objects = objects
        self._values = items_of(lambda _: objects)

    @property
    def growth(self) -> Growth | None:
        """What is still open of the value that was yielded last; ``None`` before the first."""
        return self._objects.growth

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._values)

    def close(self) -> None:
        """Look no more; the stream ends if it runs."""
        self._values.close()
