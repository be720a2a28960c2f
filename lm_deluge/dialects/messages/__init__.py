"""Anthropic's Messages, and whoever speaks it."""

from lm_deluge.dialects.messages.dialect import MESSAGES

__all__ = ["MESSAGES"]
