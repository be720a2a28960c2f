"""Tables: CSV as spreadsheets and programs write it, and Parquet."""

from __future__ import annotations

import base64
import csv
import itertools
import math
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final

import click

from lm_deluge.cli.running.asked import Wrong
from lm_deluge.cli.running.packed import FileText, unpacked

__all__ = ["DELIMITERS", "csv_rows", "delimiter_of", "parquet_rows"]

DELIMITERS: Final = (",", ";", "\t", "|")

#: What separates nothing, as it is no character of any text: a table of one column may have commas in it.
_NONE: Final = "\ufdd0"

#: Characters of a cell that CSV readers take; Python's own limit is 131,072.
_LONGEST_CELL: Final = min(sys.maxsize, 2**31 - 1)

#: Rows that are looked at to see what separates cells.
_LOOKED_AT: Final = 50

#: Rows of a Parquet file that are in memory at a time.
_AT_A_TIME: Final = 256


def delimiter_of(beginning: str) -> str | None:
    """Return what separates the cells of a table that begins so; ``None`` where nothing does.

    Excel's first line ``sep=;`` says it; else it is what gives the rows equally many cells, at least two.
    """
    said = _said_delimiter(beginning)
    if said is not None:
        return said
    counts = {char: _cells(beginning, char) for char in DELIMITERS}
    even = [char for char in DELIMITERS if counts[char] and len(set(counts[char])) == 1]
    several = [char for char in even if counts[char][0] > 1]
    if several:
        return max(several, key=lambda char: counts[char][0])
    # Rows that do not agree are told of; the header says most.
    heads = {char: found[0] for char, found in counts.items() if found and found[0] > 1}
    return max(heads, key=lambda char: heads[char]) if heads else None


def _said_delimiter(beginning: str) -> str | None:
    line = beginning.split("\n", 1)[0].strip("\ufeff\r").strip('"')
    return line[4] if len(line) == 5 and line.lower().startswith("sep=") else None


def _cells(beginning: str, delimiter: str) -> list[int]:
    """Return how many cells each of the first whole rows has."""
    csv.field_size_limit(_LONGEST_CELL)
    lines = beginning.splitlines(keepends=True)
    found: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            if cells:
                found.append(len(cells))
            if len(found) == _LOOKED_AT:
                break
    except csv.Error:
        pass
    # The last may be cut.
    return found[:-1] if len(found) > 2 else found


def csv_rows(text: FileText, delimiter: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a table by the names of its first row; blank ones are none.

    A column without a name is called by its place, and is left out where it is empty. What is wrong is
    yielded as ``Wrong``.
    """
    csv.field_size_limit(_LONGEST_CELL)
    char = delimiter or delimiter_of(text.beginning()) or _NONE
    damage: list[Wrong] = []
    reader = csv.reader(_until(text, damage), delimiter=char, strict=True)
    header: list[str] | None = None
    try:
        for cells in itertools.takewhile(lambda _: not damage, reader):
            if not any(cell.strip() for cell in cells) or _is_said(cells, char, reader.line_num):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                twice = [name for name in header if name and header.count(name) > 1]
                if twice:
                    problem = f"the first line names `{twice[0]}` twice"
                    yield 1, Wrong(reader.line_num, problem, is_last=True)
                    return
                continue
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()  # as of rows that a spreadsheet once had more in
            if len(cells) != len(header):
                found = f"{len(cells)} cells where the header has {len(header)}"
                yield reader.line_num, Wrong(reader.line_num, found)
                continue
            yield reader.line_num, _named(header, cells)
    except csv.Error as error:
        if not damage:
            damage.append(Wrong(reader.line_num, f"not CSV ({error})", is_last=True))
    for wrong in damage:
        yield wrong.number, wrong


def _until(text: FileText, damage: list[Wrong]) -> Iterator[str]:
    """Yield lines until one cannot be read: what follows it may belong to another cell."""
    for number, line in text.lines():
        if isinstance(line, Wrong):
            damage.append(Wrong(number, line.problem, is_last=True))
            return
        yield line


def _is_said(cells: list[str], delimiter: str, number: int) -> bool:
    """Whether a row is Excel's ``sep=;``, which the delimiter itself cuts in two."""
    return number == 1 and delimiter.join(cells).lower() == f"sep={delimiter}"


def _named(header: list[str], cells: list[str]) -> dict[str, Any]:
    return {
        name or f"column {at}": cell
        for at, (name, cell) in enumerate(zip(header, cells, strict=True), 1)
        if name or cell
    }


def parquet_rows(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a Parquet file; raises ``click.UsageError`` without pyarrow or for a damaged file."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise click.UsageError(
            "a Parquet file is read by the package pyarrow: "
            "pip install 'lm-deluge-streaming[parquet]'"
        ) from None
    from pyarrow import ArrowException

    number = 0
    source = unpacked(file)
    try:
        table = parquet.ParquetFile(source)
        for batch in table.iter_batches(batch_size=_AT_A_TIME):
            for row in batch.to_pylist():
                number += 1
                yield number, {str(name): _plain(value) for name, value in row.items()}
    except (ArrowException, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        yield number + 1, Wrong(number + 1, f"the Parquet file is damaged ({told})", is_last=True)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: times in ISO 8601, bytes in base64, what is no number as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
