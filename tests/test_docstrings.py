"""The docstrings of all that is public have one style, which CONTRIBUTING.md describes."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from test_public_names import COMPLETE

#: What a section may be called; each of its entries is indented by four and begins with ``name: ``.
SECTIONS = ("Arguments", "Attributes", "Keys", "Raises")

_HEADING = re.compile(r"^(\w+):$", re.M)
_OTHER_STYLE = re.compile(r":(param|type|return|returns|rtype|raises)\b|^-{3,}$", re.M)
_ENTRY = re.compile(r"^    (\w[\w, .*]*?):(?: |$)", re.M)


def _functions(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class itself defines, by name."""
    for name, value in vars(owner).items():
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and (inspect.isfunction(inner) or isinstance(inner, property)):
            yield name, inner


def _described() -> Iterator[tuple[str, Any]]:
    """Yield all that has a docstring of its own: modules, classes, functions, methods, properties."""
    seen: set[int] = set()
    for path in COMPLETE:
        module = importlib.import_module(path)
        yield path, module
        for name in module.__all__:
            value = getattr(module, name)
            if id(value) in seen or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            seen.add(id(value))
            yield f"{path}.{name}", value
            if inspect.isclass(value):
                for method, function in _functions(value):
                    yield f"{path}.{name}.{method}", function


DESCRIBED = dict(_described())


def _sections(docstring: str) -> dict[str, str]:
    """Return the text under each heading."""
    parts = _HEADING.split(docstring)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _faults(docstring: str, takes: set[str] | None) -> list[str]:
    """Return what is wrong with a docstring; ``takes`` are its function's parameters, if it is one's."""
    if not docstring:
        return ["there is none"]
    faults = []
    first = docstring.partition("\n")[0]
    if not first.endswith((".", ":")) or first[:1].islower():
        faults.append(f"the first line is no sentence: {first!r}")
    if other := _OTHER_STYLE.search(docstring):
        faults.append(f"another style: {other.group()!r}")
    for heading, text in _sections(docstring).items():
        if heading not in SECTIONS:
            faults.append(f"a section of another name: {heading!r}")
        elif heading == "Arguments" and takes is not None:
            named = [
                name.strip(" *") for entry in _ENTRY.findall(text) for name in entry.split(",")
            ]
            faults += [f"no such parameter: {name!r}" for name in named if name not in takes]
    return faults


def _options(annotation: Any) -> set[str]:
    """Return the names of ``**options: Unpack[...]``: parameters, too."""
    of = str(annotation)
    return set() if "StreamOptions" not in of else set(_stream_options())


def _stream_options() -> Any:
    return importlib.import_module("lm_deluge").StreamOptions.__annotations__


def _takes(value: Any) -> set[str] | None:
    if inspect.ismodule(value) or isinstance(value, property):
        return None
    try:
        parameters = inspect.signature(value).parameters
    except ValueError:  # a class of built-in kind has none
        return None
    names = set(parameters)
    for parameter in parameters.values():
        names |= _options(parameter.annotation)
    return names


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_public_docstring_begins_with_a_sentence_and_has_sections_of_one_style(name: str) -> None:
    value = DESCRIBED[name]
    assert _faults(inspect.getdoc(value) or "", _takes(value)) == []


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("", "there is none"),
        ("Return nothing", "the first line is no sentence"),
        ("returns nothing.", "the first line is no sentence"),
        ("Return.\n\n:param x: a number", "another style"),
        ("Return.\n\nArgs:\n    x: a number", "a section of another name: 'Args'"),
        ("Return.\n\nArguments:\n    x: a number\n    y: none", "no such parameter: 'y'"),
    ],
)
def test_a_docstring_of_another_style_is_found(docstring: str, fault: str) -> None:
    (found,) = _faults(docstring, {"x"})
    assert found.startswith(fault)


def test_no_docstring_of_the_house_names_its_arguments_otherwise() -> None:
    assert _faults("Return.\n\nArguments:\n    x: a number", {"x"}) == []
