"""OpenAI's Responses, and whoever speaks it."""

from lm_deluge.dialects.responses.dialect import RESPONSES

__all__ = ["RESPONSES"]
