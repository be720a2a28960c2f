"""What the simulator plays for the page: a model that is quick, one that thinks, one that breaks …"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from lm_deluge.simulator import Gap, Simulator

__all__ = ["PACES", "SimulatedPace", "playing", "said_to"]

_TEXTS: Final = Path(__file__).parent / "texts"

#: The words of a question that ask for one of the texts; without any, the first turn gets the first.
_ASKED_BY: Final = {
    "story": ("story", "tale", "lighthouse"),
    "figures": ("table", "list", "figure", "stall", "wait", "stream"),
    "code": ("code", "python", "program", "example", "tool"),
}


@frozen
class SimulatedPace:
    """How a simulated model answers. ``name``: the model's; ``about``: what is to be seen."""

    name: str
    label: str
    about: str
    settings: Mapping[str, Any] = field(factory=dict[str, Any])


def _flowing(median: float = 0.028) -> Gap:
    return Gap.lognormal(median=median, sigma=0.5)


PACES: Final = (
    SimulatedPace(
        "simulator-steady",
        "steady",
        "Text that flows, as from a good service.",
        {"ttft": 0.45, "gap": _flowing()},
    ),
    SimulatedPace(
        "simulator-thinking",
        "thinks first",
        "Reasoning, then the answer.",
        {"ttft": 0.6, "gap": _flowing(), "reasoning": 70},
    ),
    SimulatedPace(
        "simulator-bursts",
        "in bursts",
        "As behind a proxy that buffers: nothing, then much at once.",
        {"ttft": 0.45, "gap": _flowing(), "faults": "buffer:0.8"},
    ),
    SimulatedPace(
        "simulator-stall",
        "stalls",
        "A silence of three seconds in the middle.",
        {"ttft": 0.45, "gap": _flowing(), "faults": "pause:3:40"},
    ),
    SimulatedPace(
        "simulator-slow",
        "slow",
        "Three seconds to the first word, then six pieces a second.",
        {"ttft": 3.0, "gap": _flowing(0.15)},
    ),
    SimulatedPace(
        "simulator-tool",
        "calls a tool",
        "Some text, then a call of a tool.",
        {
            "ttft": 0.45,
            "gap": _flowing(),
            "text": "Let me look that up.",
            "tool_calls": [("get_weather", {"city": "Oslo", "days": 3, "unit": "celsius"})],
        },
    ),
    SimulatedPace(
        "simulator-breaks",
        "breaks",
        "The connection ends in the middle; the answer can be asked for again.",
        {"ttft": 0.45, "gap": _flowing(), "faults": "eof:30"},
    ),
)


def said_to(body: Any) -> str:
    """Return what the simulator says to a request: one of a few texts, by words of the last question."""
    messages = body.get("messages", []) if isinstance(body, dict) else []
    asked = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    question = str(asked[-1]).lower() if asked else ""
    for name, words in _ASKED_BY.items():
        if any(word in question for word in words):
            return _text(name)
    # Other questions go round the texts, so that a talk does not repeat itself at once.
    order = ("hello", *_ASKED_BY)
    return _text(order[(len(asked) - 1) % len(order)])


def _text(name: str) -> str:
    return (_TEXTS / f"{name}.md").read_text("utf-8").strip()


@asynccontextmanager
async def playing() -> AsyncIterator[dict[str, str]]:
    """Let a simulator run for each pace; yield their base URLs by the names of the models."""
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}
        for pace in PACES:
            settings = {"text": said_to, **pace.settings}
            simulator = Simulator(models=[pace.name], keep_requests=0, **settings)
            urls[pace.name] = (await stack.enter_async_context(simulator)).base_url
        yield urls
