"""What earlier runs have answered: by which question an answer is known, and where it is written.

An answer is known by its prompt's id, messages and number among equal ones, by the model, and by the
parameters it was drawn with; not by where it was asked, with which key, or how patiently.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from lm_deluge.cli.running.asked import JOB
from lm_deluge.cli.running.batch_reading import cost_in, is_answer, is_batch_row
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.timeline import read_timelines

__all__ = [
    "Earlier",
    "Params",
    "Question",
    "batch_id",
    "from_log",
    "from_results",
    "job_of",
    "params_of",
]

Params = dict[str, Any]
"""What an answer depends on beside its prompt and model; what was not given is not in it."""

#: Characters of a value's JSON above which a hash stands for it: it is written with every answer.
_LONGEST: Final = 2000

#: How the ids of batch results begin that were written here, and how much of them is the question.
_BATCH: Final = "batch_req_deluge_"
_QUESTION: Final = 24


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


def batch_id(line: PromptLine, model: str, params: Params) -> str:
    """Return the id of a batch result, by which the question and its parameters are known again."""
    question = json.dumps([line.id, line.digest, model, line.sample], ensure_ascii=False)
    return f"{_BATCH}{_hash(question)[:_QUESTION]}{_hash(_canonical(params))[:8]}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@define
class Earlier:
    """The whole answers that a file holds.

    ``unread``: lines that are no answers and no failures, the first of them being line ``first``;
    they stay where they are. ``cost``: US dollars of the answers, as far as it is known.
    """

    path: Path | None = None
    unread: int = 0
    first: int = 0
    cost: float = 0.0
    answered: dict[Question, frozenset[str]] = field(factory=dict)
    #: Of versions that did not write the parameters: how many answers there are.
    older: Counter[tuple[str, str, str]] = field(factory=Counter)
    #: Of batch results that were written elsewhere: how many a ``custom_id`` has.
    foreign: Counter[str] = field(factory=Counter)
    #: Each set of parameters once: there may be as many answers as prompts, of a few sets.
    _known: dict[frozenset[str], frozenset[str]] = field(factory=dict)
    #: Of batch results that were written here: the questions, and the ends of ids, of parameters.
    _batch: dict[str, frozenset[str]] = field(factory=dict)
    #: Where the answers to turns begin, in bytes: the next turn has them in it.
    _places: dict[tuple[Question, str], int] = field(factory=dict)

    def has(self, line: PromptLine, model: str, params: Params, *, again: bool) -> bool:
        """Say whether the very question was answered under these parameters.

        ``again``: what does not say its parameters is no such answer; else it is taken for one.
        """
        if _canonical(params) in self.answered.get(question_of(line, model), ()):
            return True
        if self._batch:
            known = batch_id(line, model, params)
            if known[-8:] in self._batch.get(known[:-8], ()):
                return True
        if again:
            return False
        if self.foreign[line.id] > line.sample:
            return True
        return self.older[line.id, line.old_digest, model] > line.sample

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
        if self._batch and batch_id(line, model, params)[:-8] in self._batch:
            told.append("batch results do not say which")
        return told

    def answer(self, line: PromptLine, model: str, params: Params) -> str | None:
        """Return the answer to a turn, ``None`` where the file does not hold its text."""
        place = self._places.get((question_of(line, model), _canonical(params)))
        if place is None or self.path is None:
            return None
        with self.path.open("rb") as file:
            file.seek(place)
            row = _row(file.readline())
        text = None if row is None else row.get("completion")
        return text if isinstance(text, str) else None

    def add(self, row: Mapping[str, Any], model: str, digest: str, place: int = -1) -> None:
        """Take in one answer, told by a row of results or by the tag of a log.

        ``place``: where the row begins in its file, if its text may be needed.
        """
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
        if place >= 0 and row.get("turn") is not None:
            self._places[question, known] = place

    def add_batch(self, row: Mapping[str, Any]) -> None:
        """Take in a line of batch results, of ours or of a provider's."""
        if not is_answer(row):
            return
        self.cost += cost_in(row)
        known = str(row.get("id") or "")
        if not known.startswith(_BATCH):
            self.foreign[str(row["custom_id"])] += 1
            return
        question, params = known[:-8], known[-8:]
        self._batch[question] = self._batch.get(question, frozenset()) | {params}


def from_log(path: Path) -> Earlier:
    """Return the answers of earlier runs that a timeline log tells to be whole."""
    earlier = Earlier(path)
    if not path.is_file():  # a pipe keeps nothing
        return earlier
    for timeline in read_timelines(path, text=False):
        job = timeline.tags.get(JOB)
        if timeline.completed and isinstance(job, dict) and timeline.model is not None:
            earlier.add(job, timeline.model, str(job.get("prompt_hash", job.get("prompt"))))
            earlier.cost += timeline.cost or 0.0
    return earlier


def from_results(path: Path) -> Earlier:
    """Return the answers that a file of results holds. A half line of a killed run is none."""
    earlier = Earlier(path)
    if not path.is_file():
        return earlier
    place = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            begins, place = place, place + len(line)
            row = _object(line)
            if row is not None and is_batch_row(row):
                earlier.add_batch(row)
            elif row is None or not _is_row(row):
                if line.strip():
                    earlier.unread += 1
                    earlier.first = earlier.first or number
            elif row["ok"]:
                digest = row.get("prompt_hash", row.get("prompt"))
                earlier.add(row, str(row["model"]), str(digest), begins)
                cost = row.get("cost")
                earlier.cost += cost if isinstance(cost, int | float) else 0.0
    return earlier


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a line of results; ``None`` for anything else."""
    row = _object(line)
    return row if row is not None and _is_row(row) else None


def _is_row(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("ok"), bool) and {"id", "prompt", "model"} <= row.keys()


def _canonical(params: Params) -> str:
    return json.dumps(params, sort_keys=True, ensure_ascii=False)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "not given"
    return text if len(text) <= 60 else f"{text[:59]}…"
