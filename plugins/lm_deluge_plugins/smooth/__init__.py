"""``Smooth``: text at a reader's pace, for any handler."""

from lm_deluge_plugins.smooth.handler import Smooth

__all__ = ["Smooth"]
