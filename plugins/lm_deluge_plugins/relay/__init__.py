"""The relay: one log for each stream, and any number of readers, who may come late and come back.

``Relay`` publishes streams; ``MemoryStore`` and ``RedisStore`` keep what they said; ``aiohttp_web`` and
``asgi`` answer requests with it, as ``events``, ``ui-message`` (the AI SDK's ``useChat``) or ``ag-ui``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_deluge_plugins.relay.formats import AGUI, FORMATS, Encoder, Events, UIMessages
from lm_deluge_plugins.relay.frames import Frame
from lm_deluge_plugins.relay.incoming.ag_ui import RunInput, read_run_input
from lm_deluge_plugins.relay.incoming.ui_message import UIRequest, read_ui_request
from lm_deluge_plugins.relay.items import plain_words
from lm_deluge_plugins.relay.publication import Publication
from lm_deluge_plugins.relay.relay import Relay
from lm_deluge_plugins.relay.seen.beacons import Sight
from lm_deluge_plugins.relay.stores.memory import MemoryStore
from lm_deluge_plugins.relay.stores.store import Store, StoreError, UnknownStreamError

if TYPE_CHECKING:
    from lm_deluge_plugins.relay.adapters import aiohttp_web, asgi
    from lm_deluge_plugins.relay.stores.redis import RedisStore

__all__ = [
    "AGUI",
    "FORMATS",
    "Encoder",
    "Events",
    "Frame",
    "MemoryStore",
    "Publication",
    "RedisStore",
    "Relay",
    "RunInput",
    "Sight",
    "Store",
    "StoreError",
    "UIMessages",
    "UIRequest",
    "UnknownStreamError",
    "aiohttp_web",
    "asgi",
    "plain_words",
    "read_run_input",
    "read_ui_request",
]


def __getattr__(name: str) -> Any:
    # Each brings a package or framework that few of the others' users have.
    if name == "RedisStore":
        from lm_deluge_plugins.relay.stores.redis import RedisStore

        return RedisStore
    if name in ("aiohttp_web", "asgi"):
        from importlib import import_module

        return import_module(f"lm_deluge_plugins.relay.adapters.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
