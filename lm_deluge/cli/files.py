"""The files that a command writes: told apart from those it reads, and tried before the work.

Answers and timelines are appended to what is there; pages, tables and pictures are written anew, over an
earlier one of their kind and nothing else (``check_anew``). Answers in the middle of
somebody's prompts are as good as a loss, and a directory that is not there is found out too late
when the answers have been paid for.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import click

from lm_deluge.cli.running.batch_reading import is_batch_row
from lm_deluge.cli.running.kinds import known_in
from lm_deluge.recording.format import RAW_EVENTS

__all__ = ["OutputFile", "check_anew", "check_stdout", "distinct", "holding"]

#: Lines at the start of a file that are looked at to see what it holds.
_LOOKED_AT: Final = 200

#: Lines that a timeline log has and a recording has not; both have starts and endings.
_OF_TIMELINES: Final = ("token", "reasoning", "refusal", "tool_call", "delta")


class OutputFile(click.Path):
    """The path of a file to append to, which can be written and does not hold something else.

    ``holds``: what it is to hold: ``"answers"``, ``"timelines"`` or ``"recordings"``. With
    ``dash`` the value ``-`` stands for standard output, and is ``None``. ``beside``: what it may hold as
    well, of which the command makes up its mind.
    """

    def __init__(self, holds: str, *, dash: bool = False, beside: tuple[str, ...] = ()) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)
        self._holds = holds
        self._dash = dash
        self._beside = beside

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; raises ``click.BadParameter`` saying why nothing can be written there."""
        if value == "-":
            if self._dash:
                return None
            self.fail("a file is expected; one of the name - is given as ./-", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if (problem := _unwritable(path)) is not None:
            self.fail(problem, param, ctx)
        held = holding(path)
        if held is not None and held not in (self._holds, *self._beside):
            self.fail(f"{path} holds {held}, to which no {self._holds} are added", param, ctx)
        return path


def _unwritable(path: Path) -> str | None:
    """Say why the file cannot be written; nothing is made or changed to find out."""
    try:
        path.stat()
        return None  # what is there was looked at by click
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    folder = Path(os.path.realpath(path)).parent  # of a link's target, where the file would be
    if not folder.is_dir():
        return f"there is no directory {str(folder)!r}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the directory {str(folder)!r} cannot be written"
    return None


def holding(path: Path) -> str | None:
    """Say what the first line that tells holds: answers, batch results, timelines, recordings or prompts."""
    for line in _first_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(row, dict):
            continue
        if "e" in row and "s" in row:
            if row["e"] in RAW_EVENTS:
                return "recordings"
            if row["e"] in _OF_TIMELINES:
                return "timelines"
        elif "ok" in row:
            return "answers"
        elif is_batch_row(row):
            return "batch results"
        elif "prompt" in row or "messages" in row or known_in(row) is not None:
            return "prompts"
    return None


def _first_lines(path: Path) -> Iterator[bytes]:
    """Yield lines from the beginning of a file, whole ones however long they are."""
    try:
        if not path.is_file():  # to read from a pipe would wait for whoever writes to it
            return
        with path.open("rb") as file:
            yield from islice(file, _LOOKED_AT)
    except OSError:
        return


def _place_of(path: str | Path) -> tuple[object, ...] | None:
    """Return what tells a file from others, by whichever path, link or device it is reached."""
    try:
        found = os.stat(path)  # noqa: PTH116 - paths and names alike
    except OSError:
        pass
    else:
        return None if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)
    target = Path(os.path.realpath(path))
    try:
        folder = target.parent.stat()
    except OSError:
        return (str(target),)
    return folder.st_dev, folder.st_ino, target.name


def _standard_place(file: IO[Any] | None) -> tuple[object, ...] | None:
    """Return the same of a standard stream that is redirected to a file; else ``None``."""
    try:
        found = os.fstat(file.fileno()) if file is not None else None
    except (OSError, ValueError):  # it is no file of the system's, or closed
        return None
    if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        return None
    return found.st_dev, found.st_ino


def check_stdout(*kept: Path | None) -> None:
    """Raise ``click.UsageError`` if an answer would be paid for and go nowhere.

    ``kept``: the files in which it is kept, too.
    """
    if sys.stdout is None and not any(kept):
        raise click.UsageError("standard output is closed: nobody would see the answer")


def check_anew(option: str, path: Path, begins: tuple[bytes, ...], *, what: str, kind: str) -> None:
    """See that a file can be written anew, and that nothing is lost by it; nothing is changed to find out.

    An empty file may be written over, and one that ``begins`` so (lower case). ``what`` is to be
    written, as in "the page"; ``kind`` is what may be there, as in "HTML page". Raises
    ``click.UsageError``.
    """
    if not path.parent.is_dir():
        raise click.UsageError(f"{option}: there is no directory {str(path.parent)!r} for {path}")
    try:
        if not path.exists():
            path.open("xb").close()
            path.unlink()
        elif path.is_file():
            with path.open("r+b") as file:
                there = file.read(64).lstrip().lower()
            if there and not there.startswith(begins):
                raise click.UsageError(
                    f"{option}: {path} exists and is no {kind}; it is not overwritten"
                )
    except OSError as error:
        raise click.UsageError(f"{option}: {what} cannot be written: {error}") from None


def distinct(
    outputs: Mapping[str, Path | None],
    *,
    reads: Mapping[str, str | Path] | None = None,
    stdin: bool = False,
    stdout: bool = True,
) -> None:
    """Raise ``click.UsageError`` if an output is an input or another output.

    ``outputs``, ``reads``: paths by what to call them. ``stdin``, ``stdout``: whether the command
    reads and writes these, too; they may be redirected to one of the files.
    """
    inputs = [(name, _place_of(path)) for name, path in (reads or {}).items()]
    if stdin:
        inputs.append(("standard input", _standard_place(sys.stdin)))
    written = [(n, _place_of(p)) for n, p in outputs.items() if p is not None]
    if stdout:
        written.append(("standard output", _standard_place(sys.stdout)))
    seen = {place: name for name, place in inputs if place is not None}
    for name, place in written:
        if place is None:
            continue
        if place in seen:
            raise click.UsageError(f"{name} and {seen[place]} are the same file")
        seen[place] = name
