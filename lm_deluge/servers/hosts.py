"""By which names a server may be asked: a page of the web can have one of its own looked up as 127.0.0.1."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from lm_deluge.values.addresses import address_of

__all__ = ["bare_host", "host_in", "is_ours"]

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)(?::\d{1,5})?", re.I)
_NAME: Final = re.compile(r"[\w.-]+|[0-9a-fA-F:.]+")


def host_in(header: str) -> str | None:
    """Return the name or address in a ``Host``, without brackets and port; None if it is no NAME:PORT."""
    found = _HOST.fullmatch(header)
    return None if found is None else found[1].strip("[]")


def bare_host(name: str) -> str | None:
    """Return a host's name or address as ``is_ours`` compares it; None for what is neither."""
    bare = name.strip().removeprefix("[").removesuffix("]").rstrip(".").lower()
    return bare if _NAME.fullmatch(bare) else None


def is_ours(name: str, allowed: Collection[str], reached: str) -> bool:
    """Whether a server is asked by a name of its own: loopback's, an allowed one, or where it was reached.

    ``allowed``: as ``bare_host`` returns them; ``reached``: the address that the connection came to.
    """
    name = name.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost") or name in allowed:
        return True
    address = address_of(name)
    return address is not None and (address.is_loopback or address == address_of(reached))
