"""A file of prompts as questions, one at a time: what ``lm-deluge run`` asks."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from attrs import evolve, field, frozen

from lm_deluge.cli.running.asked import JOB, BatchBody, Row, RowAsks, Wrong, value_at
from lm_deluge.cli.running.bodies import WORDS
from lm_deluge.cli.running.formats import RowSource
from lm_deluge.cli.running.kinds import asked_by
from lm_deluge.cli.running.readable import check_text, digest_of, readable
from lm_deluge.cli.running.template import Template, missing
from lm_deluge.values.conversation import to_messages
from lm_deluge.values.foreign import type_name

__all__ = ["Choosing", "PromptFile", "PromptLine", "Wanted"]

#: Names of columns that are remembered, to say which there are.
_NAMES: Final = 1000


@frozen
class Choosing:
    """Which rows are asked: the first ``limit`` of them, of these ``sample`` at random by ``seed``."""

    limit: int | None = None
    sample: int | None = None
    seed: int = 0


@frozen(kw_only=True)
class Wanted:
    """What the command says of every row.

    ``template``: makes the prompt of columns. ``id_by``, ``tag_by``: columns. ``samples``: how often each
    is asked. ``overridden``: fields of ``SamplingParams`` that the command gives, whatever a body says.
    ``all_tags``: every column that is not asked is a tag, as in tables it always was.
    """

    system: str | None = None
    template: Template | None = None
    id_by: str | None = None
    tag_by: tuple[str, ...] = ()
    samples: int = 1
    overridden: frozenset[str] = frozenset()
    all_tags: bool = False


@frozen(kw_only=True)
class PromptLine:
    """One question, and all that its answer depends on but the model.

    ``id``: as the file gives it, else the 0-based index. ``text``: what is asked, to be read; images
    and other data by their hash. ``messages``: as they are sent, the system message of the command
    included. ``digest``: of the line's own messages; ``old_digest``: of those that are sent, by which
    earlier versions knew an answer. ``sample``: 0-based, of the lines of the same id and messages.
    ``asked``: what is asked for beside the messages, by name. ``options``: arguments of
    ``client.stream``; ``body``: the request that the line is, if it is one. ``row``: the columns that
    are carried along. ``turn``: 0-based, ``turns``: what is said after the answer.
    """

    number: int
    id: str
    text: str
    messages: list[dict[str, Any]]
    tags: dict[str, Any]
    digest: str
    old_digest: str
    sample: int
    asked: dict[str, Any]
    options: dict[str, Any] = field(factory=dict)
    body: BatchBody | None = None
    row: Row = field(factory=dict)
    reference: Any = None
    turn: int | None = None
    turns: Sequence[dict[str, Any]] = ()
    said: Sequence[dict[str, Any]] = ()

    def after(self, answer: Mapping[str, Any]) -> PromptLine:
        """Return the next turn of a conversation, in which ``answer`` was said to this one."""
        following, *rest = self.turns
        said = [*self.said, following]
        messages = [*self.messages, dict(answer), following]
        return evolve(
            self,
            text=readable([following]),
            messages=messages,
            digest=digest_of(said),
            old_digest=digest_of(said),
            turn=(self.turn or 0) + 1,
            turns=rest,
            said=said,
        )


class PromptFile:
    """Reads the questions of a file as often as it is asked, one at a time.

    ``told``: what is to be said once of the rows that were read last, with the number of rows.
    ``columns``: those that were there; ``unread``: whether there may be more rows than were read.
    """

    def __init__(self, source: RowSource, wanted: Wanted, choosing: Choosing) -> None:
        self._source = source
        self._wanted = wanted
        self._limit = choosing.limit
        self._chosen = _chosen(source, choosing) if choosing.sample is not None else None
        self.told: Counter[str] = Counter()
        self.columns: dict[str, None] = {}
        self._tagged: set[str] = set()

    def __iter__(self) -> Iterator[PromptLine | Wrong]:
        self.told.clear()
        seen: Counter[int] = Counter()
        for index, (number, row) in enumerate(_first(self._source, self._limit)):
            if self._chosen is not None and index not in self._chosen:
                continue
            if isinstance(row, Wrong):
                yield row
                continue
            if len(self.columns) < _NAMES:
                self.columns |= dict.fromkeys(row)
            try:
                line = self._line(row, index, number)
            except (ValueError, TypeError) as error:
                yield Wrong(number, str(error))
                continue
            except RecursionError:
                yield Wrong(number, "nested too deeply")
                continue
            yield from self._samples(line, seen)

    def unknown_tag(self) -> str | None:
        """Return the name of a column of ``tag_by`` that no row had, after all were read."""
        names = (name for name in self._wanted.tag_by if name not in self._tagged)
        return next(names, None) if self.columns else None

    def _samples(self, line: PromptLine, seen: Counter[int]) -> Iterator[PromptLine]:
        place = hash((line.id, line.digest))
        for _ in range(self._wanted.samples):
            yield evolve(line, sample=seen[place]) if seen[place] else line
            seen[place] += 1

    def _line(self, row: Row, index: int, number: int) -> PromptLine:
        for key, value in row.items():
            check_text(value, key)
        wanted = self._wanted
        asked = asked_by(row, wanted.template)
        own = to_messages(asked.messages)
        messages = own
        if asked.told is not None:
            self.told[asked.told] += 1
        if wanted.system is not None:
            messages = [{"role": "system", "content": wanted.system}, *own]
        body = _overridden(asked.body, wanted)
        digest = digest_of(own)
        tags, kept = self._tags_of(row, asked)
        return PromptLine(
            number=number,
            id=self._id_of(row, asked, index),
            text=readable(own),
            messages=messages,
            tags=tags,
            digest=digest,
            old_digest=digest if messages is own else digest_of(messages),
            sample=0,
            asked=_asked_for(asked, body),
            options=asked.options,
            body=body,
            row={key: row[key] for key in row if key not in kept},
            reference=asked.reference,
            turn=0 if "turns" in asked.used else None,
            turns=asked.turns,
            said=own if asked.turns else (),
        )

    def _id_of(self, row: Row, asked: RowAsks, index: int) -> str:
        name, known = "id", row.get("id") if asked.id is None else asked.id
        if (column := self._wanted.id_by) is not None:
            found = value_at(row, column)
            if found is None:
                raise ValueError(missing(row, column))
            name, known = column, found[0]
            if known in (None, ""):
                raise ValueError(f"`{column}` is empty, and --id-by takes the id from it")
        if known in (None, ""):
            return str(index)
        if isinstance(known, float) and known.is_integer():
            known = int(known)
        if isinstance(known, bool) or not isinstance(known, str | int):
            raise TypeError(f'"{name}" must be a text or an integer, not {type_name(known)}')
        return str(known)

    def _tags_of(self, row: Row, asked: RowAsks) -> tuple[dict[str, Any], set[str]]:
        """Return a row's tags, and the columns that are not carried along."""
        given = row.get("tags")
        tags = dict(given) if isinstance(given, dict) else {}
        if JOB in tags:
            raise ValueError(f"the tag {JOB!r} is the run's own: give it another name")
        kept = {*asked.used, *asked.options}
        if isinstance(given, dict) or given is None:
            kept.add("tags")
        if self._wanted.id_by is None:
            kept.add("id")
        if self._wanted.tag_by:
            for name in self._wanted.tag_by:
                found = value_at(row, name)
                if found is not None:
                    self._tagged.add(name)
                    tags[_tag_name(name)] = _tag(found[0])
        elif self._wanted.all_tags:
            template = self._wanted.template
            known = {*kept, JOB, *(template.columns if template is not None else ())}
            tags |= {key: row[key] for key in row if key not in known}
        return tags, kept


def _first(source: RowSource, limit: int | None) -> Iterator[tuple[int, Any]]:
    for count, found in enumerate(source):
        if count == limit:
            return
        yield found


def _chosen(source: RowSource, choosing: Choosing) -> frozenset[int]:
    """Return the indexes of the rows that chance takes: the same ones whenever the seed is the same."""
    lots = (
        (_lot(index, choosing.seed), index)
        for index, _ in enumerate(_first(source, choosing.limit))
    )
    return frozenset(index for _, index in heapq.nsmallest(choosing.sample or 0, lots))


def _lot(index: int, seed: int) -> bytes:
    return blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()


def _tag_name(column: str) -> str:
    return "job_" if column == JOB else column


def _tag(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _asked_for(asked: RowAsks, body: BatchBody | None) -> dict[str, Any]:
    if body is None:
        return asked.options
    # The items of a body are its messages.
    params = {name: value for name, value in body.params.items() if name != "input"}
    return {**params, **asked.options}


def _overridden(body: BatchBody | None, wanted: Wanted) -> BatchBody | None:
    """Return a body without what the command says otherwise, and with its system message."""
    if body is None:
        return None
    fields = wanted.overridden
    words = WORDS[body.api]
    gone = {name for name, known in words.items() if known in fields}
    params = {key: value for key, value in body.params.items() if key not in gone}
    if "reasoning_effort" in fields:
        params.pop("reasoning", None)
    if isinstance(config := params.get("generationConfig"), dict):
        params["generationConfig"] = {key: config[key] for key in config if key not in gone}
    sampling = {name: value for name, value in body.sampling.items() if name not in fields}
    messages = body.messages
    if wanted.system is not None:
        messages = [{"role": "system", "content": wanted.system}, *messages]
    return evolve(body, params=params, sampling=sampling, messages=messages)
