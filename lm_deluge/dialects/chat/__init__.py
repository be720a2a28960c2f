"""Chat completions: OpenAI's, and whoever speaks it."""

from lm_deluge.dialects.chat.dialect import CHAT

__all__ = ["CHAT"]
