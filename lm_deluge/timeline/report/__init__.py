"""The page of a report; needs bokeh and jinja2."""
