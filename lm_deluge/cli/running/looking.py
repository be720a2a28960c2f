"""All questions of a run, looked at before the first one is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
from attrs import define, field, frozen

from lm_deluge.cli.progress import Counts
from lm_deluge.cli.running.asked import Wrong
from lm_deluge.cli.running.earlier import Earlier, Params, params_of
from lm_deluge.cli.running.lines import PromptFile, PromptLine
from lm_deluge.cli.running.targets import AskedModel, AskedModels
from lm_deluge.cli.terminal import notice
from lm_deluge.errors import AuthenticationError
from lm_deluge.values.conversation import Message
from lm_deluge.values.spelling import nearest

__all__ = ["Job", "OpenQuestion"]

#: Differences of parameters that are named.
_NAMED: Final = 3

#: Kinds of what is wrong that are told with their lines.
_TOLD: Final = 5


@frozen(eq=False)
class OpenQuestion:
    """One question to one model, and its turns that follow."""

    line: PromptLine
    target: AskedModel
    params: Params


@define(eq=False, kw_only=True)
class Job:
    """What is to be asked: the questions of a file that earlier runs have not answered.

    ``name``: of the file. ``given``: what the command says of answers, ``None`` where it says nothing.
    ``again``: whether answers that do not say their parameters count for nothing.
    """

    name: str
    lines: PromptFile
    targets: AskedModels
    earlier: Earlier
    given: Mapping[str, Any]
    again: bool
    counts: Counts = field(factory=lambda: Counts(0))
    _wrong: dict[str, list[int]] = field(factory=dict, init=False)
    _assumed: int = field(default=0, init=False)
    _others: int = field(default=0, init=False)
    _differences: dict[str, None] = field(factory=dict, init=False)

    def works(self) -> Iterator[OpenQuestion]:
        """Yield what is to be asked, in the order of the file; of a conversation the first open turn.

        Raises ``click.UsageError`` for a line that changed since all were looked at.
        """
        for line in self.lines:
            if isinstance(line, Wrong):
                raise click.UsageError(f"{self.name}, line {line.number}: {line.problem}")
            for target in self.targets.of(line):
                work = self.open_turn(OpenQuestion(line, target, params_of(self.given, line)))
                if work is not None:
                    yield work

    def open_turn(self, work: OpenQuestion) -> OpenQuestion | None:
        """Return the first turn without an answer, ``None`` where all have one.

        It needs the answers to the turns before it: where their text is not kept, the first is asked.
        """
        line = work.line
        if not line.turns:
            return None if self._has(line, work) else work
        if not any(not self._has(turn, work) for turn in _turns(line)):
            return None
        asked_again = 0
        while self._has(line, work):
            answer = self.earlier.answer(line, work.target.name, work.params)
            asked_again += 1
            if answer is None:
                self.counts.total += asked_again
                self.counts.skipped -= asked_again
                return work
            line = line.after(Message.ai(answer).to_openai())
        return OpenQuestion(line, work.target, work.params)

    def _has(self, line: PromptLine, work: OpenQuestion, *, again: bool | None = None) -> bool:
        given = self.again if again is None else again
        return self.earlier.has(line, work.target.name, work.params, again=given)

    def look_through(self) -> None:
        """Count what is to be asked; what makes no sense is told before anything is sent.

        Raises ``UsageError`` for lines that cannot be asked, for none at all, and, unless the command
        says ``--again``, where there are answers to the same prompts under other parameters.
        """
        for line in self.lines:
            if isinstance(line, Wrong):
                self._wrong.setdefault(line.problem, []).append(line.number)
                continue
            try:
                targets = self.targets.of(line)
            except AuthenticationError:
                raise
            except (ValueError, TypeError) as error:
                if line.body is None or line.body.model is None or self.targets.chosen:
                    raise
                self._wrong.setdefault(str(error), []).append(line.number)
                continue
            for target in targets:
                self._look_at(OpenQuestion(line, target, params_of(self.given, line)))
        self._raise_if_wrong()
        if not self.counts.total and not self.counts.skipped:
            raise click.UsageError("there are no prompts in the file")
        self._check_tags()
        self._raise_if_other()

    def _look_at(self, work: OpenQuestion) -> None:
        line = work.line
        if _may_be_refused(line):
            try:
                work.target.open(line).cancel()
            except (ValueError, TypeError) as error:
                self._wrong.setdefault(str(error), []).append(line.number)
                return
        for turn in _turns(line):
            if self._has(turn, work):
                self.counts.skipped += 1
                self._assumed += bool(work.params) and not self._has(turn, work, again=True)
                continue
            self.counts.total += 1
            found = self.earlier.differences(turn, work.target.name, work.params)
            self._others += bool(found)
            if len(self._differences) < _NAMED:
                self._differences |= dict.fromkeys(found)

    def _raise_if_wrong(self) -> None:
        """Raise ``UsageError`` naming the lines that cannot be asked, equal ones together."""
        if not self._wrong:
            return
        told = []
        for problem, numbers in list(self._wrong.items())[:_TOLD]:
            more = f" and {len(numbers) - 1} more lines" if len(numbers) > 1 else ""
            told.append(f"line {numbers[0]}{more}: {problem}")
        rest = sum(len(numbers) for numbers in list(self._wrong.values())[_TOLD:])
        if rest:
            told.append(f"and {rest} more lines")
        raise click.UsageError(f"{self.name}, {'; '.join(told)}")

    def _check_tags(self) -> None:
        name = self.lines.unknown_tag()
        if name is not None:
            there = ", ".join(f"`{column}`" for column in self.lines.columns)
            near = nearest(name, self.lines.columns)
            perhaps = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(
                f"--tag-by: there is no column `{name}`; there are {there}{perhaps}"
            )

    def _raise_if_other(self) -> None:
        if self._others and not self.again:
            named = "; ".join(list(self._differences)[:_NAMED])
            raise click.UsageError(
                f"{self.earlier.path} has answers to {self._others} of these under other parameters "
                f"({named}): with --again they are asked, too, and appended"
            )

    def tell(self) -> None:
        """Say once what a user should know of the files."""
        for said, count in self.lines.told.items():
            notice(f"lm-deluge: {count} lines: {said}")
        if self.earlier.unread:
            notice(
                f"lm-deluge: {self.earlier.path} has {self.earlier.unread} lines that are no whole rows "
                f"of answers, the first is line {self.earlier.first}; they stay as they are"
            )
        if self._assumed:
            notice(
                f"lm-deluge: {self._assumed} answers in {self.earlier.path} do not say their parameters; "
                "they are taken to be those of this command (--again asks them anew)"
            )


def _turns(line: PromptLine) -> Iterator[PromptLine]:
    """Yield a line and its turns, without the answers between them."""
    yield line
    while line.turns:
        line = line.after({"role": "assistant", "content": ""})
        yield line


def _may_be_refused(line: PromptLine) -> bool:
    """Whether more is asked than a text, which every API takes."""
    if line.asked or line.body is not None or len(line.messages) > 2:
        return True
    return any(not isinstance(said.get("content"), str) for said in line.messages)
