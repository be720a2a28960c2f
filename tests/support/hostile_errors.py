"""Errors that cannot be described, or lie about what they are."""

from __future__ import annotations

from typing import Any


class Own(BaseException):
    """No ``Exception``."""


class WordlessError(Exception):
    """Cannot be described."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class NumericError(Exception):
    """Describes itself by what is no text."""

    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


class FatalWordsError(Exception):
    """Raises what is no ``Exception`` where it is described."""

    def __str__(self) -> str:
        raise Own


class LiarError(Exception):
    """Says that it is another."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise ValueError("no class")


class NotesError(Exception):
    """Its notes cannot be read."""

    @property
    def __notes__(self) -> Any:
        raise ValueError("no notes")


class BadSyntaxError(SyntaxError):
    """What a traceback wants to know of it makes no sense."""

    lineno = "seven"  # type: ignore[assignment]
    offset = "x"  # type: ignore[assignment]
    text = 3  # type: ignore[assignment]


class MetaName(type):
    @property
    def __name__(cls) -> Any:  # type: ignore[override]
        raise ValueError("no name")


class NamelessError(Exception, metaclass=MetaName):
    """Its class has no name."""
