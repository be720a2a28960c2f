"""Which dialects are spoken."""

from __future__ import annotations

from typing import Final

from lm_deluge.simulator.wires.chat import AzureChatWire, ChatWire
from lm_deluge.simulator.wires.gemini import GeminiWire
from lm_deluge.simulator.wires.messages import MessagesWire
from lm_deluge.simulator.wires.responses import ResponsesWire
from lm_deluge.simulator.wires.wire import Wire

__all__ = ["WIRES"]

WIRES: Final[tuple[type[Wire], ...]] = (
    ChatWire,
    AzureChatWire,
    MessagesWire,
    GeminiWire,
    ResponsesWire,
)
