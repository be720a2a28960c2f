"""``RichPrinter``: Markdown on the terminal while it arrives. What draws is loaded when it is made."""

from lm_deluge_plugins.rich_printer.printer import RichPrinter

__all__ = ["RichPrinter"]
