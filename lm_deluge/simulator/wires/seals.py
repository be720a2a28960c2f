"""What must come back unchanged: blobs that only the server that made them can make again."""

from __future__ import annotations

import base64
import hashlib

__all__ = ["sealed"]

_SALT = b"lm-deluge-simulator"


def sealed(seed: int, *parts: str, size: int = 96) -> str:
    """Return base64 of ``size`` bytes that belong to these parts, the same in every process."""
    said = "\0".join((str(seed), *parts)).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.shake_256(_SALT + said).digest(size)).decode()
