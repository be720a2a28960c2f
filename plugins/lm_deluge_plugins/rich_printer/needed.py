"""What is said where rich, and what comes with it, is missing."""

from __future__ import annotations

from typing import Final

__all__ = ["NEEDED"]

NEEDED: Final = "RichPrinter needs rich: pip install rich (the extra rich)"
