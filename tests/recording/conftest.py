"""The fixtures that users get, in our own tests, too."""

from __future__ import annotations

from lm_deluge.testing import replay, simulator

__all__ = ["replay", "simulator"]
