"""A proxy that watches: timelines of any app, in any language, which is told another base URL alone."""

from __future__ import annotations

from typing import Final

__all__: Final[list[str]] = []
