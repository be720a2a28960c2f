"""The page of a report; needs numpy and jinja2."""
