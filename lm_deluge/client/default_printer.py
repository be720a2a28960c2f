"""What ``client.stream`` prints with; in a file of its own, as it is a plugin."""

from __future__ import annotations

from typing import Final

from lm_deluge.observers.handler_methods import methods_of

__all__ = ["PRINT", "checked_printer", "default_printer"]


class _Unset:
    """Stands for ``StdoutPrinter()``: the client knows no handler until it needs one."""

    def __repr__(self) -> str:
        return "StdoutPrinter()"


PRINT: Final = _Unset()


def checked_printer(printer: object | None) -> object | None:
    """Return what prints, ``PRINT`` or ``None``; ``TypeError`` for what is no handler."""
    if printer is not None and printer is not PRINT:
        methods_of(printer)
    return printer


def default_printer() -> object:
    """Return a new ``StdoutPrinter``."""
    from lm_deluge_plugins.stdout_printer import StdoutPrinter

    return StdoutPrinter()
