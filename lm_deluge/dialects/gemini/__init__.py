"""Google's Gemini API, and whoever speaks it."""

from lm_deluge.dialects.gemini.dialect import GEMINI

__all__ = ["GEMINI"]
