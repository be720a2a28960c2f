"""``--prompt '{question}\\nAnswer briefly.'``: a text with columns in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from lm_deluge.cli.running.asked import Row, columns_of, value_at
from lm_deluge.values.spelling import nearest

__all__ = ["Template", "missing", "paths_of"]

#: What a backslash and a letter, typed, stand for.
_TYPED: Final = {"n": "\n", "t": "\t", "\\": "\\"}

#: How deep in a row columns are looked for that a wrong name may stand for.
_DEEP: Final = 3


@frozen
class Template:
    """``parts``: texts as they are, and columns in a tuple of one."""

    parts: tuple[str | tuple[str], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read what was typed: ``{column}``, ``{{`` and ``}}`` for braces, ``\\n``, ``\\t``, ``\\\\``.

        Raises ``ValueError`` for a brace that is not closed or opened, and where no column is named.
        """
        parts = list(_parts(text))
        if not any(isinstance(part, tuple) for part in parts):
            hint = ": a column is written {name}, with one brace" if "{{" in text else ""
            raise ValueError(f"no column is named in {text!r}, every line would ask the same{hint}")
        return cls(tuple(parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named, in order."""
        return tuple(part[0] for part in self.parts if isinstance(part, tuple))

    def filled(self, row: Row) -> str:
        """Return the text for a row; values that are no text as JSON, null as nothing.

        Raises ``ValueError`` naming a column that the row has not, and where nothing at all is in the
        columns.
        """
        made = [_told(row, part[0]) if isinstance(part, tuple) else part for part in self.parts]
        held = [
            said for said, part in zip(made, self.parts, strict=True) if isinstance(part, tuple)
        ]
        if not any(said.strip() for said in held):
            named = ", ".join(f"`{name}`" for name in self.columns)
            raise ValueError(f"nothing is in {named}, so there is nothing to ask")
        return "".join(made)


def _parts(text: str) -> Iterator[str | tuple[str]]:
    said, at = "", 0
    while at < len(text):
        char, pair = text[at], text[at : at + 2]
        if char == "\\" and pair[1:] in _TYPED:
            said, at = said + _TYPED[pair[1:]], at + 2
        elif pair in ("{{", "}}"):
            said, at = said + char, at + 2
        elif char == "{":
            end = text.find("}", at)
            name = text[at + 1 : end].strip()
            if end < 0 or not name or "{" in name:
                raise ValueError(f"the brace at character {at + 1} of {text!r} names no column; "
                                 "a brace of the text is written {{")  # fmt: skip
            if said:
                yield said
            yield (name,)
            said, at = "", end + 1
        elif char == "}":
            raise ValueError(f"the brace at character {at + 1} of {text!r} closes nothing; "
                             "a brace of the text is written }}")  # fmt: skip
        else:
            said, at = said + char, at + 1
    if said:
        yield said


def _told(row: Row, name: str) -> str:
    found = value_at(row, name)
    if found is None:
        raise ValueError(missing(row, name))
    return _text(found[0])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def missing(row: Row, name: str) -> str:
    """Say that there is no such column, which there are, and which was perhaps meant."""
    near = nearest(name, paths_of(row), n=1)
    if not near:
        near = [path for path in paths_of(row) if path.rpartition(".")[2] == name][:1]
    perhaps = f"; did you mean {{{near[0]}}}?" if near else ""
    return f"there is no column `{name}`; there are {columns_of(row)}{perhaps}"


def paths_of(row: Row, before: str = "", deep: int = _DEEP) -> list[str]:
    """Return the names by which what is in a row can be reached."""
    found = []
    for key, value in row.items():
        found.append(before + key)
        if isinstance(value, dict) and deep > 1:
            found += paths_of(value, f"{before}{key}.", deep - 1)
    return found
