"""The results of a run: one JSON object a line, in a file or on standard output."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from lm_deluge import APIResponse
from lm_deluge.cli.running.earlier import Params
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.cli.terminal import harmless_on
from lm_deluge.errors import StreamError

__all__ = ["Results", "print_row", "row_of"]

_HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")


def row_of(
    line: PromptLine,
    model: str,
    params: Params,
    base_url: str,
    outcome: APIResponse | StreamError,
) -> dict[str, Any]:
    """Return one answer, or how it failed, as JSON can hold it."""
    row: dict[str, Any] = {"id": line.id, "prompt": line.text, "prompt_hash": line.digest}
    row |= {"sample": line.sample, "model": model, "params": params, "base_url": base_url}
    if isinstance(outcome, APIResponse):
        told = outcome.to_dict()
        row |= {"ok": True, "completion": outcome.completion, "tags": line.tags}
        row |= {"finish_reason": outcome.finish_reason, "usage": told["usage"]}
        row |= {"finish_reason_raw": outcome.finish_reason_raw}
        row |= {"stop_details": outcome.stop_details}
        row |= {"cost": outcome.cost, "ttft": outcome.ttft, "elapsed": outcome.elapsed}
        row |= {"model_used": outcome.model_used, "attempts": outcome.attempts}
        choices = outcome.choices
        if outcome.form is not None:
            row["parsed"] = outcome.parsed
        if len(choices) > 1 or outcome.tool_calls or outcome.reasoning or outcome.refusal:
            row["choices"] = told["choices"]
    else:
        partial = outcome.partial
        row |= {"ok": False, "error": type(outcome).__name__, "message": str(outcome)}
        row |= {"partial": partial.text if partial is not None else "", "tags": line.tags}
    beside = {"turn": line.turn, "row": line.row or None, "reference": line.reference}
    return row | {name: value for name, value in beside.items() if value is not None}


class Results:
    """Appends to a file of results, or writes to standard output (``path`` ``None``).

    ``write``: puts a text on standard output, where something else is drawn on the same terminal.

    Raises ``OSError`` if the file cannot be opened, ``click.UsageError`` without a standard output.
    """

    def __init__(self, path: Path | None, *, write: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._print = write if write is not None else _print
        if path is None:
            if sys.stdout is None:
                message = "standard output is closed: say where the answers go with --out FILE"
                raise click.UsageError(message)
            return
        half = False
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                half = file.read(1) != b"\n"
        self._file = path.open("ab", buffering=0)
        if half:  # a line of a run that was killed, or of an editor that ends without one
            self._file.write(b"\n")

    async def add(self, row: dict[str, Any]) -> None:
        """Write one row; it is safe from a kill of this process when this returns.

        Raises ``OSError``: ``BrokenPipeError`` when nobody reads standard output any more.
        """
        text = json.dumps(row, ensure_ascii=self.path is None and _is_narrow(), default=str) + "\n"
        # Of what came from outside some may be no text; the row is written all the same.
        await asyncio.to_thread(self._write, _HALF_A_CHARACTER.sub("\ufffd", text))

    def _write(self, text: str) -> None:
        if self.path is None:
            self._print(text)
            return
        data = memoryview(text.encode())
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file."""
        if self.path is not None:
            self._file.close()


def _is_narrow() -> bool:
    """Say whether standard output has not all characters."""
    return "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()


def print_row(row: Mapping[str, Any]) -> None:
    """Write an object to standard output, as a line of JSON."""
    _print(json.dumps(row, ensure_ascii=_is_narrow(), default=str) + "\n")


def _print(text: str) -> None:
    sys.stdout.write(harmless_on(text, sys.stdout))
    sys.stdout.flush()
