"""``--dry-run``: what would be sent, and what it may cost."""

from __future__ import annotations

import json
from typing import Any

from attrs import define

from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.cli.running.looking import Job, OpenQuestion
from lm_deluge.cli.running.money import estimate_of
from lm_deluge.cli.running.readable import without_data
from lm_deluge.cli.running.results import print_row
from lm_deluge.cli.terminal import notice
from lm_deluge.engine.life import planned

__all__ = ["show"]


@define
class _Sum:
    """Of one model: requests, tokens, US dollars; whether a price is known and answers are bounded."""

    requests: int = 0
    given: float = 0.0
    answer: float = 0.0
    cost: float = 0.0
    is_priced: bool = True
    is_bounded: bool = True


def show(job: Job, most: int | None) -> None:
    """Print each request as a line of JSON, without key and secrets, and the sum on stderr.

    ``most``: the most tokens of an answer, if the command says it.
    """
    sums: dict[str, _Sum] = {}
    for work in job.works():
        line: PromptLine | None = work.line
        while line is not None:
            each = OpenQuestion(line, work.target, work.params)
            print_row(_request(each))
            _add(sums.setdefault(work.target.name, _Sum()), each, most)
            answer = {"role": "assistant", "content": "(the answer)"}
            line = line.after(answer) if line.turns else None
    for model, total in sums.items():
        notice(f"lm-deluge: {_told(model, total)}")
    if job.counts.skipped:
        notice(f"lm-deluge: {job.counts.skipped} were complete before, and would not be asked")
    if len(sums) > 1 and all(total.is_priced for total in sums.values()):
        notice(f"lm-deluge: together about ${sum(total.cost for total in sums.values()):.4f}")


def _request(work: OpenQuestion) -> dict[str, Any]:
    """Return what would be sent, with nothing in it that is secret; images by their hash."""
    stream = work.target.open(work.line)
    request = planned(stream).request
    stream.cancel()
    line = work.line
    made: dict[str, Any] = {"id": line.id, "sample": line.sample}
    if line.turn is not None:
        made["turn"] = line.turn
    made |= {"model": work.target.name, "url": request.shown_url + request.path}
    made["body"] = without_data(json.loads(request.body))
    if line.tags:
        made["tags"] = line.tags
    cleaned: dict[str, Any] = json.loads(request.redact(json.dumps(made, ensure_ascii=False)))
    return cleaned


def _add(total: _Sum, work: OpenQuestion, most: int | None) -> None:
    estimate = estimate_of(work.line, work.target, most)
    total.requests += 1
    total.given += estimate.given
    total.answer += estimate.answer
    total.is_bounded &= estimate.is_bounded
    total.is_priced &= estimate.cost is not None
    total.cost += estimate.cost or 0.0


def _told(model: str, total: _Sum) -> str:
    tokens = f"about {total.given:,.0f} tokens of prompts and "
    if total.is_bounded:
        tokens += f"at most {total.answer:,.0f} of answers"
    else:
        tokens += f"{total.answer:,.0f} of answers (a guess: --max-tokens bounds them)"
    cost = f"estimated cost ${total.cost:.4f}" if total.is_priced else "no price is known"
    requests = "1 request" if total.requests == 1 else f"{total.requests:,} requests"
    return f"{requests} to {model} would be sent: {tokens}; {cost}"
