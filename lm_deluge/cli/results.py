"""The results of a run: one JSON object a line, and what an earlier run has in its files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from lm_deluge import APIResponse
from lm_deluge.cli.prompts import JOB, PromptLine
from lm_deluge.errors import StreamError
from lm_deluge.timeline import read_timelines

__all__ = ["Key", "Results", "complete_in_log", "complete_in_results", "key_of"]

Key = tuple[str, str, str]
"""Id of the prompt, digest of its messages, model."""


def key_of(line: PromptLine, model: str) -> Key:
    """Return what tells one wanted answer from the others."""
    return line.id, line.digest, model


def complete_in_log(path: Path) -> set[Key]:
    """Return the answers of earlier runs that a timeline log tells to be whole."""
    if not path.exists():
        return set()
    found = set()
    for timeline in read_timelines(path, text=False):
        job = timeline.tags.get(JOB)
        if timeline.completed and isinstance(job, dict) and timeline.model is not None:
            found.add((str(job.get("id")), str(job.get("prompt")), timeline.model))
    return found


def complete_in_results(path: Path) -> set[Key]:
    """Return the answers that a file of results holds. A half line of a killed run is none."""
    if not path.exists():
        return set()
    found = set()
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and row.get("ok") is True:
                found.add((str(row.get("id")), str(row.get("prompt")), str(row.get("model"))))
    return found


class Results:
    """Appends to the file of results."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        if self._file.tell():
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":  # a half line, of a run that was killed
                self._file.write(b"\n")

    async def add(self, line: PromptLine, model: str, outcome: APIResponse | StreamError) -> None:
        """Append one answer; it is in the file, safe from a kill, when this returns."""
        row: dict[str, Any] = {"id": line.id, "prompt": line.digest, "model": model}
        if isinstance(outcome, APIResponse):
            told = outcome.to_dict()
            row |= {"ok": True, "completion": outcome.completion, "tags": line.tags}
            row |= {"finish_reason": outcome.finish_reason, "usage": told["usage"]}
            row |= {"cost": outcome.cost, "ttft": outcome.ttft, "elapsed": outcome.elapsed}
            row |= {"model_used": outcome.model_used, "attempts": outcome.attempts}
            choices = outcome.choices
            if len(choices) > 1 or outcome.tool_calls or outcome.reasoning or outcome.refusal:
                row["choices"] = told["choices"]
        else:
            partial = outcome.partial
            row |= {"ok": False, "error": type(outcome).__name__, "message": str(outcome)}
            row |= {"partial": partial.text if partial is not None else "", "tags": line.tags}
        await asyncio.to_thread(self._write, msgspec.json.encode(row) + b"\n")

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
