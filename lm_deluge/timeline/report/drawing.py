"""bokeh and jinja2 for the modules that need them, or an ImportError that says what to install."""

try:
    from bokeh.document import Document
    from bokeh.embed import components
    from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
    from bokeh.plotting import figure
    from bokeh.resources import Resources
    from jinja2 import Environment, FunctionLoader
    from markupsafe import Markup
except ImportError as error:
    message = "the report's page needs bokeh, jinja2 and numpy: pip install bokeh jinja2 numpy"
    raise ImportError(message) from error

__all__ = [
    "ColumnDataSource",
    "Document",
    "Environment",
    "FunctionLoader",
    "HoverTool",
    "Markup",
    "NumeralTickFormatter",
    "Resources",
    "components",
    "figure",
]
