"""What ``client.stream`` prints with; in a file of its own, as it is a plugin."""

from __future__ import annotations

__all__ = ["default_printer"]


def default_printer() -> object:
    """Return a new ``StdoutPrinter``."""
    from lm_deluge_plugins.stdout_printer import StdoutPrinter

    return StdoutPrinter()
