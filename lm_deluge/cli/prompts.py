"""A file of prompts, for ``lm-deluge run``: JSON Lines, CSV or text."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
from attrs import frozen

from lm_deluge.conversation import to_messages

__all__ = ["FORMATS", "PromptFile", "PromptLine", "format_of"]

FORMATS: Final = ("jsonl", "csv", "text")

#: The tag under which a run finds its own answers again in a log.
JOB: Final = "job"

_EXTENSIONS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "text"}
_KEYS: Final = ("prompt", "messages", "id", "tags")


@frozen
class PromptLine:
    """One prompt: ``id`` as the file gives it, else its 0-based index; ``digest`` of its messages."""

    id: str
    messages: list[dict[str, Any]]
    tags: dict[str, Any]
    digest: str


def format_of(path: str, given: str | None) -> str:
    """Return the format that is given, or that a file's extension names; raises ``UsageError``."""
    if given is not None:
        return given
    if path == "-":
        raise click.UsageError("say what standard input holds: --format jsonl, csv or text")
    known = _EXTENSIONS.get(Path(path).suffix.lower())
    if known is None:
        raise click.UsageError(
            f"the extension of {path} does not tell its format: --format jsonl, csv or text"
        )
    return known


class PromptFile:
    """Reads a file of prompts as often as it is asked, one at a time.

    Raises ``click.ClickException`` (exit code 2) naming the line that makes no sense.
    """

    def __init__(self, file: IO[bytes], name: str, form: str, system: str | None) -> None:
        self._file = file
        self._name = name
        self._form = form
        self._system = system

    def __iter__(self) -> Iterator[PromptLine]:
        self._file.seek(0)
        rows = {"jsonl": self._json_rows, "csv": self._csv_rows, "text": self._text_rows}
        for index, (number, row) in enumerate(rows[self._form]()):
            try:
                yield self._line(row, index)
            except (ValueError, TypeError) as error:
                raise self._wrong(number, str(error)) from None

    def _line(self, row: dict[str, Any], index: int) -> PromptLine:
        unknown = [key for key in row if key not in _KEYS]
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
        if ("prompt" in row) == ("messages" in row):
            raise ValueError('give either "prompt" or "messages"')
        if "prompt" in row and not isinstance(row["prompt"], str):
            raise TypeError(f'"prompt" must be a text, not {type(row["prompt"]).__name__}')
        messages = to_messages(row.get("prompt", row.get("messages")))  # type: ignore[arg-type]
        if self._system is not None:
            messages = [{"role": "system", "content": self._system}, *messages]
        tags = row.get("tags") or {}
        if not isinstance(tags, dict):
            raise TypeError(f'"tags" must be an object, not {type(tags).__name__}')
        if JOB in tags:
            raise ValueError(f"the tag {JOB!r} is the run's own: give it another name")
        known = row.get("id")
        if known is not None and (isinstance(known, bool) or not isinstance(known, (str, int))):
            raise TypeError(f'"id" must be a text or an integer, not {type(known).__name__}')
        said = json.dumps(messages, sort_keys=True, ensure_ascii=False).encode()
        digest = hashlib.sha256(said).hexdigest()[:16]
        return PromptLine(str(index) if known is None else str(known), messages, tags, digest)

    def _lines(self) -> Iterator[tuple[int, str]]:
        for number, data in enumerate(self._file, 1):
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self._wrong(number, f"not UTF-8 ({error.reason})") from None
            yield number, text

    def _text_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in self._lines():
            if line.strip():
                yield number, {"prompt": line.rstrip("\r\n")}

    def _json_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in self._lines():
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise self._wrong(number, f"not JSON ({error})") from None
            if not isinstance(row, dict):
                raise self._wrong(number, f"an object is expected, not {type(row).__name__}")
            yield number, row

    def _csv_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        reader = csv.reader((line for _, line in self._lines()), strict=True)
        header: list[str] | None = None
        try:
            for cells in reader:
                if header is None:
                    header = [cell.strip() for cell in cells]
                    if header.count("prompt") != 1:
                        raise self._wrong(1, "the first line must name a column `prompt`")
                elif cells:
                    if len(cells) != len(header):
                        found = f"{len(cells)} cells where the header has {len(header)}"
                        raise self._wrong(reader.line_num, found)
                    row: dict[str, Any] = dict(zip(header, cells, strict=True))
                    given = {key: row.pop(key) for key in ("prompt", "id") if row.get(key)}
                    row.pop("prompt", None)
                    row.pop("id", None)
                    yield reader.line_num, {"prompt": "", **given, "tags": row}
        except csv.Error as error:
            raise self._wrong(reader.line_num, f"not CSV ({error})") from None

    def _wrong(self, number: int, problem: str) -> click.ClickException:
        return click.UsageError(f"{self._name}, line {number}: {problem}")
