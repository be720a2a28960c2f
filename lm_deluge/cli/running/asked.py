"""What a row of a file asks, whatever kind of file it is of; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

__all__ = ["ASKED", "JOB", "BatchBody", "Row", "RowAsks", "Wrong", "columns_of", "value_at"]

#: A row as its reader made it: columns by name.
Row = dict[str, Any]

#: What a row may ask for beside its prompt, as ``client.stream`` takes it.
ASKED: Final = ("tools", "tool_choice", "response_format", "extra_body")

#: The tag under which a run finds its own answers again in a log.
JOB: Final = "job"


@frozen
class Wrong:
    """A row that cannot be asked: its line, 1-based, and why. ``is_last``: nothing can be read after it."""

    number: int
    problem: str
    is_last: bool = False


@frozen(kw_only=True)
class BatchBody:
    """A request as a provider's API takes it, whole.

    ``api``: the dialect it is written for. ``model``: as it names it. ``params``: what it says beside the
    messages, the model and the tools, in the API's own words. ``messages``: in the API's own words as far
    as the dialect takes them so. ``sampling``: the same as ``params`` for other APIs, as fields of
    ``SamplingParams``; ``form``: the answer's form, for these.
    """

    api: str
    model: str | None
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    sampling: dict[str, Any] = field(factory=dict)
    form: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class RowAsks:
    """What a row asks.

    ``messages``: in OpenAI's form, of the first turn. ``turns``: the user's messages that follow, each
    after the answer to the one before. ``options``: arguments of ``client.stream``. ``reference``: the
    answer that the row gives, text or a message. ``used``: columns that are not carried along. ``told``:
    what is said once of the whole file.
    """

    messages: list[dict[str, Any]]
    turns: list[dict[str, Any]] = field(factory=list)
    options: dict[str, Any] = field(factory=dict)
    body: BatchBody | None = None
    id: str | int | None = None
    reference: Any = None
    used: tuple[str, ...] = ()
    told: str | None = None


def columns_of(row: Row) -> str:
    """Return the names of a row's columns, for messages."""
    names = [f"`{name}`" for name in row]
    more = len(names) - 30
    return ", ".join(names[:30]) + (f" and {more} more" if more > 0 else "")


def value_at(row: Row, name: str) -> tuple[Any] | None:
    """Return, in a tuple, what a column holds, or what a path of dots leads to (``doc.question``).

    A column that has the whole name wins; numbers count from 0 in lists. ``None``: there is none.
    """
    if name in row:
        return (row[name],)
    found: Any = row
    for key in name.split("."):
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return (found,)
