"""What earlier runs have answered: by which question an answer is known, and where it is written.

An answer is known by its prompt's id, messages and number among equal ones, by the model, and by the
parameters it was drawn with; not by where it was asked, with which key, or how patiently.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from lm_deluge.cli.prompts import JOB, PromptLine
from lm_deluge.timeline import read_timelines

__all__ = ["Earlier", "Params", "Question", "from_log", "from_results", "job_of", "params_of"]

Params = dict[str, Any]
"""What an answer depends on beside its prompt and model; what was not given is not in it."""

#: Characters of a value's JSON above which a hash stands for it: it is written with every answer.
_LONGEST: Final = 2000


@frozen
class Question:
    """What is asked of one model, but for the parameters."""

    id: str
    digest: str
    model: str
    sample: int


def question_of(line: PromptLine, model: str) -> Question:
    """Return what a line asks of a model."""
    return Question(line.id, line.digest, model, line.sample)


def params_of(given: Mapping[str, Any], line: PromptLine) -> Params:
    """Return the parameters of the command and of the line, as they are written with an answer."""
    from hashlib import sha256

    params = {}
    for name, value in {**given, **line.asked}.items():
        if value is None or value is False or value == {} or value == []:
            continue
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        if len(text) > _LONGEST:
            value = f"sha256:{sha256(text.encode()).hexdigest()} ({len(text)} characters)"
        params[name] = value
    return params


def job_of(line: PromptLine, params: Params) -> dict[str, Any]:
    """Return the tag by which ``from_log`` knows an answer again."""
    return {
        "id": line.id,
        "prompt_hash": line.digest,
        "sample": line.sample,
        "params": params,
    }


@define
class Earlier:
    """The whole answers that a file holds.

    ``unread``: lines that are no answers and no failures, the first of them being line ``first``;
    they stay where they are.
    """

    unread: int = 0
    first: int = 0
    answered: dict[Question, frozenset[str]] = field(factory=dict)
    #: Of versions that did not write the parameters: how many answers there are.
    older: Counter[tuple[str, str, str]] = field(factory=Counter)
    #: Each set of parameters once: there may be as many answers as prompts, of a few sets.
    _known: dict[frozenset[str], frozenset[str]] = field(factory=dict)

    def has(self, line: PromptLine, model: str, params: Params, *, again: bool) -> bool:
        """Say whether the very question was answered under these parameters.

        ``again``: what does not say its parameters is no such answer; else it is taken for one.
        """
        if _canonical(params) in self.answered.get(question_of(line, model), ()):
            return True
        return not again and self.older[line.id, line.old_digest, model] > line.sample

    def differences(self, line: PromptLine, model: str, params: Params) -> list[str]:
        """Say in which parameters answers to the same question differ; none if there are none."""
        told = []
        for text in self.answered.get(question_of(line, model), ()):
            other = json.loads(text)
            told += [
                f"{name} {_shown(params.get(name))}, there {_shown(other.get(name))}"
                for name in sorted({*params, *other})
                if params.get(name) != other.get(name)
            ]
        return told

    def add(self, row: Mapping[str, Any], model: str, digest: str) -> None:
        """Take in one answer, told by a row of results or by the tag of a log."""
        if "prompt_hash" not in row:
            self.older[str(row.get("id")), digest, model] += 1
            return
        sample, params = row.get("sample"), row.get("params")
        question = Question(
            str(row.get("id")), digest, model, sample if isinstance(sample, int) else 0
        )
        known = _canonical(params if isinstance(params, dict) else {})
        under = self.answered.get(question, frozenset()) | {known}
        self.answered[question] = self._known.setdefault(under, under)


def from_log(path: Path) -> Earlier:
    """Return the answers of earlier runs that a timeline log tells to be whole."""
    earlier = Earlier()
    if not path.is_file():  # a pipe keeps nothing
        return earlier
    for timeline in read_timelines(path, text=False):
        job = timeline.tags.get(JOB)
        if timeline.completed and isinstance(job, dict) and timeline.model is not None:
            earlier.add(job, timeline.model, str(job.get("prompt_hash", job.get("prompt"))))
    return earlier


def from_results(path: Path) -> Earlier:
    """Return the answers that a file of results holds. A half line of a killed run is none."""
    earlier = Earlier()
    if not path.is_file():
        return earlier
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            row = _row(line)
            if row is None:
                if line.strip():
                    earlier.unread += 1
                    earlier.first = earlier.first or number
            elif row["ok"]:
                digest = row.get("prompt_hash", row.get("prompt"))
                earlier.add(row, str(row["model"]), str(digest))
    return earlier


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a line of results; ``None`` for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(row, dict) and isinstance(row.get("ok"), bool)
    return row if is_one and {"id", "prompt", "model"} <= row.keys() else None


def _canonical(params: Params) -> str:
    return json.dumps(params, sort_keys=True, ensure_ascii=False)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "not given"
    return text if len(text) <= 60 else f"{text[:59]}…"
