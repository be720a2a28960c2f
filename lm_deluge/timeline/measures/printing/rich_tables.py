"""rich for the modules that need it, or an ImportError that says what to install."""

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError as error:
    message = "the report's tables need rich: pip install rich"
    raise ImportError(message) from error

__all__ = ["Console", "Table", "Text", "box"]
