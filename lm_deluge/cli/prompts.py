"""A file of prompts, for ``lm-deluge run``: JSON Lines, CSV or text."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import click
from attrs import frozen

from lm_deluge.cli import standard_input
from lm_deluge.values.addresses import redact_url
from lm_deluge.values.conversation import to_messages

__all__ = ["FORMATS", "JOB", "PromptFile", "PromptLine", "format_of", "opened"]

FORMATS: Final = ("jsonl", "csv", "text")

#: The tag under which a run finds its own answers again in a log.
JOB: Final = "job"

#: What a line may ask for beside its prompt, as ``client.stream`` takes it.
ASKED: Final = ("tools", "tool_choice", "response_format", "extra_body")

_EXTENSIONS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "text"}
_KEYS: Final = ("prompt", "messages", "id", "tags", *ASKED)

#: Characters of a cell that CSV readers take; Python's own limit is 131,072.
_LONGEST_CELL: Final = min(sys.maxsize, 2**31 - 1)


@frozen
class PromptLine:
    """One prompt, and all that its answer depends on but the model.

    ``id``: as the file gives it, else the 0-based index. ``text``: what is asked, to be read; images
    and other data by their hash. ``messages``: as they are sent, the system message of the command
    included. ``digest``: of the line's own messages; ``old_digest``: of those that are sent, by which
    earlier versions knew an answer. ``sample``: 0-based, of the lines of the same id and messages.
    ``asked``: arguments of ``client.stream``.
    """

    id: str
    text: str
    messages: list[dict[str, Any]]
    tags: dict[str, Any]
    digest: str
    old_digest: str
    sample: int
    asked: dict[str, Any]


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


def opened(name: str) -> IO[bytes]:
    """Open the prompts so that they can be read twice; what comes through a pipe is copied to disk."""
    try:
        if name != "-":
            file = Path(name).open("rb")  # noqa: SIM115 - the caller closes it
            if stat.S_ISREG(Path(name).stat().st_mode):
                return file
            copy = tempfile.TemporaryFile()  # noqa: SIM115
            with file:
                shutil.copyfileobj(file, copy)
            return copy
        if sys.stdin is None:
            raise click.UsageError("cannot read the prompts: standard input is closed")
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        for piece in standard_input.pieces("the prompts"):
            copy.write(piece)
        return copy
    except OSError as error:
        raise click.UsageError(f"cannot read the prompts: {error}") from None


class PromptFile:
    """Reads a file of prompts as often as it is asked, one at a time.

    Raises ``click.ClickException`` (exit code 2) naming the line that makes no sense.
    """

    def __init__(self, file: IO[bytes], name: str, form: str, system: str | None) -> None:
        self._file = file
        self._name = name
        self._form = form
        self._system = system
        #: Of the line that was read last, 1-based.
        self.number = 0

    def __iter__(self) -> Iterator[PromptLine]:
        self._file.seek(0)
        rows = {"jsonl": self._json_rows, "csv": self._csv_rows, "text": self._text_rows}
        seen: Counter[int] = Counter()
        for index, (number, row) in enumerate(rows[self._form]()):
            try:
                line = self._line(row, index, seen)
            except (ValueError, TypeError) as error:
                raise self.wrong(number, str(error)) from None
            except RecursionError:
                raise self.wrong(number, "nested too deeply") from None
            self.number = number
            yield line

    def _line(self, row: dict[str, Any], index: int, seen: Counter[int]) -> PromptLine:
        unknown = [key for key in row if key not in _KEYS]
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
        for key, value in row.items():
            _check_text(value, key)
        if ("prompt" in row) == ("messages" in row):
            raise ValueError('give either "prompt" or "messages"')
        if "prompt" in row and not isinstance(row["prompt"], str):
            raise TypeError(f'"prompt" must be a text, not {type(row["prompt"]).__name__}')
        own = to_messages(row.get("prompt", row.get("messages")))  # type: ignore[arg-type]
        messages = own
        if self._system is not None:
            messages = [{"role": "system", "content": self._system}, *own]
        tags = {} if row.get("tags") is None else row["tags"]
        if not isinstance(tags, dict):
            raise TypeError(f'"tags" must be an object, not {type(tags).__name__}')
        if JOB in tags:
            raise ValueError(f"the tag {JOB!r} is the run's own: give it another name")
        known = row.get("id")
        if known is not None and (isinstance(known, bool) or not isinstance(known, (str, int))):
            raise TypeError(f'"id" must be a text or an integer, not {type(known).__name__}')
        name = str(index) if known is None else str(known)
        digest = _digest(own)
        place = hash((name, digest))
        seen[place] += 1
        return PromptLine(
            id=name,
            text=_readable(own),
            messages=messages,
            tags=tags,
            digest=digest,
            old_digest=digest if messages is own else _digest(messages),
            sample=seen[place] - 1,
            asked={key: row[key] for key in ASKED if row.get(key) is not None},
        )

    def _lines(self) -> Iterator[tuple[int, str]]:
        for number, data in enumerate(self._file, 1):
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self.wrong(number, f"not UTF-8 ({error.reason})") from None
            if "\0" in text:
                raise self.wrong(number, "a zero byte: this is no text")
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
                row = _DECODER.decode(line.strip())
            except RecursionError:
                raise self.wrong(number, "nested too deeply") from None
            except ValueError as error:
                raise self.wrong(number, f"not JSON ({error})") from None
            if not isinstance(row, dict):
                raise self.wrong(number, f"an object is expected, not {type(row).__name__}")
            yield number, row

    def _csv_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        csv.field_size_limit(_LONGEST_CELL)
        reader = csv.reader((line for _, line in self._lines()), strict=True)
        header: list[str] | None = None
        try:
            for cells in reader:
                if header is None:
                    header = [cell.strip() for cell in cells]
                    if "prompt" not in header:
                        raise self.wrong(1, "the first line must name a column `prompt`")
                    twice = [name for name in header if header.count(name) > 1]
                    if twice:
                        raise self.wrong(1, f"the first line names `{twice[0]}` twice")
                elif cells:
                    if len(cells) != len(header):
                        found = f"{len(cells)} cells where the header has {len(header)}"
                        raise self.wrong(reader.line_num, found)
                    row: dict[str, Any] = dict(zip(header, cells, strict=True))
                    given = {key: row.pop(key) for key in ("prompt", "id") if row.get(key)}
                    row.pop("prompt", None)
                    row.pop("id", None)
                    yield reader.line_num, {"prompt": "", **given, "tags": row}
        except csv.Error as error:
            raise self.wrong(reader.line_num, f"not CSV ({error})") from None

    def wrong(self, number: int, problem: str) -> click.ClickException:
        """Return the error that names the file, a line of it, and what is wrong there."""
        return click.UsageError(f"{self._name}, line {number}: {problem}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; of two of one name, JSON readers keep one without a word."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON can hold")
    return number


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite
)


def _check_text(value: object, where: str) -> None:
    """Raise ``ValueError`` for half a character (a lone surrogate), which no file or wire can hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            message = f"half a character ({value[error.start]!a}, a lone surrogate) in {where!r}"
            raise ValueError(message) from None
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, where)
            _check_text(item, where)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, where)


def _digest(messages: list[dict[str, Any]]) -> str:
    said = json.dumps(messages, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(said).hexdigest()[:16]


def _readable(messages: list[dict[str, Any]]) -> str:
    """Return what is asked as text: one user message as it is, several by their roles."""
    if len(messages) == 1 and messages[0].get("role") == "user":
        return _content(messages[0].get("content"))
    return "\n\n".join(f"{said['role']}: {_content(said.get('content'))}" for said in messages)


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(_part(part) for part in parts)


def _part(part: object) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
    data = json.dumps(part, sort_keys=True, ensure_ascii=False)
    image = part.get("image_url") if isinstance(part, Mapping) else None
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str):
        if not url.startswith("data:"):
            return f"[{kind} {redact_url(url)}]"
        data = url
    return f"[{kind} sha256:{hashlib.sha256(data.encode()).hexdigest()}]"
