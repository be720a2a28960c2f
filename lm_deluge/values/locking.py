"""The one lock over what threads share: who listens, and what is kept for each event loop.

It is held for a few steps at a time; nothing is awaited, and nobody else's code is called, under it.
"""

from __future__ import annotations

import os
import threading
from typing import Final

__all__ = ["LOCK"]

#: Reentrant: what the garbage collector calls may come in between at any step.
LOCK: Final = threading.RLock()

if hasattr(os, "register_at_fork"):
    # A child must not begin with a table half changed, nor with a lock whose holder is not there.
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )
