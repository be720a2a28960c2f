"""In which format a file is, seen by what is in it, and its rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

from lm_deluge.cli.running.asked import Wrong
from lm_deluge.cli.running.documents import DECODER, JsonText, rows_in
from lm_deluge.cli.running.packed import FileText, damaged, text_of, unpacked
from lm_deluge.cli.running.tables import csv_rows, delimiter_of, parquet_rows
from lm_deluge.values.foreign import type_name

__all__ = ["FORMATS", "RowSource"]

FORMATS: Final = ("jsonl", "json", "csv", "tsv", "text", "parquet")

_EXTENSIONS: Final = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonlines": "jsonl", ".json": "json",
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "text", ".text": "text",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip

_PACKED: Final = frozenset({".gz", ".zst", ".zstd", ".bz2", ".xz", ".gzip"})

#: Characters in which the first row of a document must end.
_FIRST_ROW: Final = 1 << 24

#: How files begin that are no text and no prompts, and what to do with them.
_OTHERS: Final = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet or document: save the table as CSV"),
    (b"%PDF", "a PDF"),
    (b"ARROW1", "an Arrow file: save it as Parquet"),
    (b"SQLite format 3", "a database: save a table of it as CSV"),
)


class RowSource:
    """The rows of a file, as often as they are asked for.

    ``name``: as the user wrote it, ``-`` for standard input. ``given``: the format, if it was said.
    ``columns``: what a row is asked by, if that was said.

    Raises ``click.UsageError`` for a file whose format cannot be told, or is none that is read.
    """

    def __init__(
        self,
        file: IO[bytes],
        name: str,
        *,
        given: str | None = None,
        encoding: str | None = None,
        columns: Collection[str] = (),
    ) -> None:
        self._file = file
        self._columns = columns
        self._delimiter = "\t" if given == "tsv" else None
        self.form = "parquet" if given == "parquet" or _is_parquet(file) else None
        if self.form is None:
            if given is None:
                _check_begin(file, name)
            self._text = text_of(file, encoding)
            self.form = _form_of(self._text, name, given)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield rows with the number of their line, or what is wrong with them as ``Wrong``."""
        if self.form == "parquet":
            return parquet_rows(self._file)
        if self.form == "csv":
            return csv_rows(self._text, self._delimiter)
        return _checked(
            {"jsonl": self._json_lines, "json": self._json, "text": self._lines}[str(self.form)]()
        )

    def _lines(self) -> Iterator[tuple[int, Any]]:
        for number, line in self._text.lines():
            if isinstance(line, Wrong):
                yield number, line
            elif line.strip():
                yield number, line.rstrip("\r\n")

    def _json_lines(self) -> Iterator[tuple[int, Any]]:
        for number, line in self._text.lines():
            if isinstance(line, Wrong):
                yield number, line
            elif line.strip():
                yield number, _json_of(line, number)

    def _json(self) -> Iterator[tuple[int, Any]]:
        def opening() -> JsonText:
            return JsonText(line for _, line in self._text.lines())

        return rows_in(opening, self._columns)


def _json_of(line: str, number: int) -> Any:
    try:
        return DECODER.decode(line.strip())
    except RecursionError:
        return Wrong(number, "nested too deeply")
    except ValueError as error:
        return Wrong(number, f"not JSON ({error})")


def _checked(rows: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Make objects of texts, which are prompts, and of lists of messages."""
    for number, row in rows:
        if isinstance(row, str):
            yield number, {"prompt": row}
        elif isinstance(row, list) and row and all(_is_message(item) for item in row):
            yield number, {"messages": row}
        elif not isinstance(row, dict | Wrong):
            problem = f"an object is expected, or a text, not {type_name(row)}"
            yield number, Wrong(number, problem)
        else:
            yield number, row


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value


def _is_parquet(file: IO[bytes]) -> bool:
    try:
        return unpacked(file).read(4) == b"PAR1"
    except Exception as error:
        if damaged(error):
            return False  # whoever reads on tells it
        raise


def _check_begin(file: IO[bytes], name: str) -> None:
    file.seek(0)
    begins = file.read(16)
    for mark, what in _OTHERS:
        if begins.startswith(mark):
            raise click.UsageError(f"{name} is {what}")


def _extension(name: str) -> str:
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in _PACKED else path.suffix


def _form_of(text: FileText, name: str, given: str | None) -> str:
    """Return the format; what is in the file says more than its extension."""
    if given is not None and given != "json":
        return "csv" if given == "tsv" else given
    extension = _extension(name)
    named = given or _EXTENSIONS.get(extension)
    beginning = text.beginning()
    if named in ("jsonl", "json") or beginning.lstrip()[:1] in ("{", "["):
        form = _json_form(text, named)
        if form is not None:
            return form
    if named is not None and named != "parquet":
        return named
    if _is_table(beginning):
        return "csv"
    if name == "-":
        return "text"
    raise click.UsageError(
        f"neither the extension of {name} nor what is in it tells its format: "
        f"--format {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    )


def _json_form(text: FileText, named: str | None) -> str | None:
    """Say whether JSON is a value a line or otherwise; ``None`` where it is no JSON at all.

    One line that is an object or a list may be a document, whose list is inside.
    """
    instead = named if named in ("jsonl", "json") else None
    lines = (line for _, line in text.lines() if not isinstance(line, str) or line.strip())
    first = next(lines, None)
    if not isinstance(first, str):
        return instead
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # A document that goes on in the next line, or a damaged one.
        return "json" if _begins_like_json(text) else instead
    if instead is None and not _has_rows(value):
        return None
    return "jsonl" if next(lines, None) is not None else "json"


def _has_rows(value: Any) -> bool:
    return value == [] or isinstance(value[0] if isinstance(value, list) else value, dict)


def _begins_like_json(text: FileText) -> bool:
    """Whether the first row of a file is JSON over several lines."""
    pieces = JsonText(_some(text))
    try:
        pieces.skip("[")
        return _has_rows(pieces.value())
    except Exception:  # noqa: BLE001 - it is none, whatever the reason
        return False


def _some(text: FileText) -> Iterator[str]:
    """Yield lines from the beginning, not more than fit into memory with ease."""
    room = _FIRST_ROW
    for _, line in text.lines():
        if isinstance(line, Wrong) or room < 0:
            return
        room -= len(line)
        yield line


def _is_table(beginning: str) -> bool:
    """Whether what has no extension looks like a table: a row of names, and rows of as many cells."""
    delimiter = delimiter_of(beginning)
    if delimiter is None:
        return False
    first = beginning.split("\n", 1)[0]
    names = [name.strip().strip('"') for name in first.split(delimiter)]
    return all(name and len(name.split()) <= 3 and not name.endswith((".", "?")) for name in names)
