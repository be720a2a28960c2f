"""What ``run_tools`` leaves behind: the last answer, and every round before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from attrs import define, evolve, field, fields, frozen

from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.response import APIResponse
from lm_deluge.values.usage import COUNTS, Usage

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Ending",
    "Round",
    "ToolResult",
    "ToolsResponse",
    "cost_of",
    "response_of",
    "usage_of",
]

Ending: TypeAlias = Literal["answer", "unanswered", "max_rounds", "max_cost", "cut"]
"""Why a run ended; see ``ToolsResponse``."""


@frozen(kw_only=True)
class ToolResult:
    """What came of one call.

    ``call``: what the model asked for. ``text``: what it is told. ``is_error``: whether that is an error:
    the arguments did not fit, there is no such tool, it was refused, raised, or took too long. ``value``:
    what the function returned, ``None`` where it did not; not in ``to_dict``. ``elapsed``: seconds that the
    function ran, monotonic clock; ``None`` where it did not run. ``images``: content parts of those that it
    returned, which a model is shown whose API takes them in results; the text names each.
    """

    call: ToolCall
    text: str
    is_error: bool = False
    value: Any = field(default=None, repr=False, eq=False)
    elapsed: float | None = None
    images: list[dict[str, Any]] = field(factory=list, repr=False)

    @property
    def id(self) -> str:
        """The call's id, ``""`` if it has none."""
        return self.call.id or ""

    @property
    def name(self) -> str:
        """The name that the model called."""
        return self.call.name

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        call = self.call
        said = {"id": call.id, "name": call.name, "arguments": call.arguments}
        images = {"images": list(self.images)} if self.images else {}
        return {
            "call": said,
            "text": self.text,
            "is_error": self.is_error,
            "elapsed": self.elapsed,
            **images,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote. Raises ``ValueError`` for anything else."""
        try:
            call = data["call"]
            return cls(
                call=ToolCall(call["id"], call["name"], call["arguments"]),
                text=data["text"],
                is_error=data["is_error"],
                elapsed=data.get("elapsed"),
                images=data.get("images") or [],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"ToolResult.from_dict: {error!r}") from None


@frozen(kw_only=True)
class Round:
    """One stream of a run, and what came of the calls in its answer.

    ``number``: 1-based. ``response``: the answer that its handlers heard of. ``results``: in the order in
    which the model asked, without those calls that the caller answers.
    """

    number: int
    response: APIResponse
    results: list[ToolResult] = field(factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return {
            "number": self.number,
            "response": self.response.to_dict(),
            "results": [each.to_dict() for each in self.results],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote. Raises ``ValueError`` for anything else."""
        try:
            number, response, results = data["number"], data["response"], data["results"]
            return cls(
                number=number,
                response=APIResponse.from_dict(response),
                results=[ToolResult.from_dict(each) for each in results],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"Round.from_dict: {error!r}") from None


@define(kw_only=True, repr=False)
class ToolsResponse(APIResponse):
    """The last answer of ``run_tools``: an ``APIResponse``, and the rounds that led to it.

    ``rounds``: every stream in order, the last one included, with the results of its calls. ``ended_by``: why
    no other round followed: ``"answer"``: the model asked for nothing more; ``"unanswered"``: it called what
    the caller has to answer; ``"max_rounds"`` and ``"max_cost"``: it would have gone on; ``"cut"``: the
    answer ended before its calls were whole (``finish_reason`` is ``"length"`` or ``"content_filter"``), and
    they were not run. ``unanswered``: calls of the last answer that the caller has to answer, by their ids
    in the conversation; what is no function stands in ``other_calls``.
    """

    rounds: list[Round] = field(factory=list)
    ended_by: Ending = "answer"
    unanswered: list[ToolCall] = field(factory=list)

    @property
    def total_usage(self) -> Usage | None:
        """The tokens of all rounds; a count is ``None`` where one of them does not tell it."""
        return usage_of(self.rounds)

    @property
    def total_cost(self) -> float | None:
        """US dollars of all rounds; ``None`` where one of them is not known."""
        return cost_of(self.rounds)

    @property
    def results(self) -> list[ToolResult]:
        """The results of all rounds, in order."""
        return [result for each in self.rounds for result in each.results]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers that JSON can hold; no timeline."""
        written = super(ToolsResponse, evolve(self, rounds=[])).to_dict()
        return {**written, "rounds": [each.to_dict() for each in self.rounds]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote, also through JSON. Raises ``ValueError`` as ``APIResponse`` does."""
        plain = (
            {key: data[key] for key in data if key != "rounds"}
            if isinstance(data, Mapping)
            else data
        )
        found = super().from_dict(plain)
        rounds = data.get("rounds", [])
        if not isinstance(rounds, list):
            raise ValueError(f"{cls.__name__}.from_dict: rounds: a list is expected")
        found.rounds = [Round.from_dict(each) for each in rounds]
        found.unanswered = [msgspec.convert(each, ToolCall) for each in found.unanswered]
        return found


def response_of(
    rounds: Sequence[Round], ended_by: Ending, unanswered: Sequence[ToolCall] = ()
) -> ToolsResponse:
    """Return the last answer with all rounds beside it."""
    last = rounds[-1].response
    given = {each.name: getattr(last, each.name) for each in fields(APIResponse) if each.init}
    made = ToolsResponse(
        **given,
        rounds=list(rounds),
        ended_by=ended_by,
        unanswered=list(unanswered),
    )
    for each in fields(APIResponse):
        if not each.init:
            setattr(made, each.name, getattr(last, each.name))
    return made


def usage_of(rounds: Sequence[Round]) -> Usage | None:
    """Return the tokens of all rounds; see ``ToolsResponse.total_usage``."""
    told = [each.response.usage for each in rounds]
    known = [usage for usage in told if usage is not None]
    if len(known) < len(told) or not known:
        return None
    counts: dict[str, Any] = {}
    for name in COUNTS:
        values = [getattr(usage, name) for usage in known]
        counts[name] = None if None in values else sum(values)
    return Usage(**counts)


def cost_of(rounds: Sequence[Round]) -> float | None:
    """Return US dollars of all rounds; ``None`` where one of them is not known."""
    costs = [each.response.cost for each in rounds]
    return None if None in costs else sum(cost for cost in costs if cost is not None)
