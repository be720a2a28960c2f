"""The fixtures that users get, in our own tests, too."""

from __future__ import annotations

from lm_deluge.testing import proxy, simulator

__all__ = ["proxy", "simulator"]
