"""Wire formats: what readers are sent, made from frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lm_deluge_plugins.relay.formats.ag_ui import AGUI
from lm_deluge_plugins.relay.formats.events import Events
from lm_deluge_plugins.relay.formats.format import Encoder
from lm_deluge_plugins.relay.formats.ui_message import UIMessages

__all__ = ["AGUI", "FORMATS", "Encoder", "Events", "UIMessages", "encoder_of"]

FORMATS: Final[Mapping[str, Callable[[], Encoder]]] = {
    "events": Events,
    "ui-message": UIMessages,
    "ag-ui": AGUI,
}


def encoder_of(name: str | Encoder) -> Encoder:
    """Return a new encoder of a format, or the one given; ``ValueError`` for a name that none has."""
    if not isinstance(name, str):
        return name
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {name[:50]!r}")
    return FORMATS[name]()
