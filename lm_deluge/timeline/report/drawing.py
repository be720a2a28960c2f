"""jinja2 for the modules that need it, or an ImportError that says what to install."""

try:
    from jinja2 import Environment, FunctionLoader
    from markupsafe import Markup
except ImportError as error:
    message = "the report's page needs jinja2 and numpy: pip install jinja2 numpy"
    raise ImportError(message) from error

__all__ = ["Environment", "FunctionLoader", "Markup"]
