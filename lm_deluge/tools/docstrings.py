"""What a docstring says of a function and of its parameters, in any of the usual styles."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Described", "described_by"]


@frozen
class Described:
    """``text``: what the function does. ``parameters``: what each parameter is, by its name."""

    text: str = ""
    parameters: dict[str, str] = field(factory=dict)


def described_by(doc: str) -> Described:
    """Read a docstring of Google's, NumPy's, Sphinx' or Epydoc's style; of others all is the text.

    Without the package that knows the styles all is the text, too, and nothing of it is lost to the model.
    """
    if not doc.strip():
        return Described()
    try:
        import docstring_parser
    except ImportError:
        return Described(doc.strip())
    try:
        found = docstring_parser.parse(doc)
    except docstring_parser.ParseError:
        return Described(doc.strip())
    told = {
        each.arg_name.lstrip("*"): " ".join(each.description.split())
        for each in found.params
        if each.description
    }
    text = found.description or ""
    return Described(text.strip(), told)
