"""What is wrong with the layout of an open page, told by its boxes: overlaps, clipping, contrast."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from support.browser import Page

__all__ = ["layout_complaints"]

_COMPLAINTS = (Path(__file__).parent / "layout.js").read_text(encoding="utf-8")


async def layout_complaints(page: Page) -> list[str]:
    """Return what overlaps, is cut off, off the screen, hard to read, or broken inside a word."""
    return cast("list[str]", await page.value_of(_COMPLAINTS))
