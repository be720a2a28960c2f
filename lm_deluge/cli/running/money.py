"""What a run costs: before it begins, and while ``--max-cost`` bounds it."""

from __future__ import annotations

from attrs import define, field

from lm_deluge import APIResponse
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.cli.running.targets import AskedModel
from lm_deluge.cli.throttle import FIRST_GUESS
from lm_deluge.cli.tokens import prompt_tokens
from lm_deluge.errors import StreamError
from lm_deluge.models.registry import cost_of
from lm_deluge.values.usage import Usage

__all__ = ["CostBound", "Estimate", "estimate_of"]


#: Streams that may run before it is known what an answer costs.
_BLIND = 4


@define
class Estimate:
    """``cost``: US dollars, ``None`` where no price is known. ``given``: tokens of the prompt;
    ``answer``: of the answer, which is a guess unless it ``is_bounded``."""

    cost: float | None
    given: float
    answer: float
    is_bounded: bool


def estimate_of(line: PromptLine, target: AskedModel, most: int | None) -> Estimate:
    """Return what the answer to a line may cost. ``most``: the most tokens of an answer, if it is bounded."""
    given = prompt_tokens(line.messages)
    params = target.client.sampling_params
    bound, choices = most, params.n
    if line.body is not None:
        own = line.body.sampling
        choices = own["n"] if isinstance(own.get("n"), int) else choices
        if most is None and isinstance(own.get("max_new_tokens"), int):
            bound = own["max_new_tokens"]
    answer = float(FIRST_GUESS if bound is None else bound) * max(choices, 1)
    used = Usage(input_tokens=round(given), output_tokens=round(answer))
    return Estimate(cost_of(target.info, used), given, answer, bound is not None)


@define
class CostBound:
    """So much may be spent, ``None`` for any sum. ``spent``: US dollars, earlier runs' included."""

    limit: float | None
    spent: float = 0.0
    _running: dict[int, float] = field(factory=dict, init=False)
    _answers: int = field(default=0, init=False)
    _mean: float = field(default=0.0, init=False)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.spent >= self.limit

    def has_room(self, estimate: Estimate) -> bool:
        """Whether a further stream may start beside those that run.

        One at a time always may while something is left, so that what is left can be spent; a few, until
        the first answer tells what one costs.
        """
        if self.limit is None or self.is_spent:
            return self.limit is None
        if not self._running:
            return True
        if not self._answers and len(self._running) >= _BLIND:
            return False
        running = sum(max(guess, self._mean) for guess in self._running.values())
        return self.spent + running + self._expected(estimate) <= self.limit

    def started(self, index: int, estimate: Estimate) -> None:
        """A stream is about to start."""
        if self.limit is not None:
            self._running[index] = self._expected(estimate)

    def ended(self, index: int, target: AskedModel, outcome: APIResponse | StreamError) -> None:
        """A stream is over: what it cost is spent, of one that failed what the server counted."""
        expected = self._running.pop(index, 0.0)
        if isinstance(outcome, APIResponse):
            cost = expected if outcome.cost is None else outcome.cost
            self._answers += 1
            self._mean += (cost - self._mean) / self._answers
        else:
            usage = outcome.partial.usage if outcome.partial is not None else None
            cost = cost_of(target.info, usage) or 0.0
        self.spent += cost

    def _expected(self, estimate: Estimate) -> float:
        return self._mean if self._answers else estimate.cost or 0.0
