"""Faults have the shape of each dialect, and our client knows them for what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lm_deluge import LLMClient, register_model
from lm_deluge.config import RetryPolicy
from lm_deluge.errors import StreamError
from lm_deluge.models.registry import unregister_model
from lm_deluge.simulator import Fault, Simulator

NAMES = {"messages": "claude-here", "gemini": "gemini-here", "responses": "gpt-here"}
WIRES = tuple(NAMES)

#: What a correct client makes of it, where all dialects agree.
ERRORS = {
    "status:401": "AuthenticationError",
    "status:429": "RateLimitError",
    "status:500": "InternalServerError",
    "reset:2": "ConnectionLostError",
    "drop:2": "ConnectionLostError",
    "eof:2": "AnswerCutError",
    "malformed-json:2": "ProtocolError",
    "error-frame:object:2": "ProviderError",
}
HEALTHY = ("comments:2", "drip", "no-usage", "duplicate-choices", "unordered-choices")

#: What hangs or never ends is bytes and connections, the same for all.
ENDLESS = ("refuse", "hang", "stall", "half", "endless", "comments-", "bad-chunk")
ENDING = [name for name in Fault.names() if not name.startswith(ENDLESS)]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    unregister_model(NAMES[request.param])


async def stream(wire: str, **options: Any) -> Any:
    name = NAMES[wire]
    given = {"text": ["Hel", "lo", " you"], "models": [name]} | options
    async with Simulator(**given) as sim:
        base_url = f"{sim.url}/v1beta" if wire == "gemini" else sim.base_url
        register_model(name, base_url=base_url, dialect=wire)
        client = LLMClient(name, api_key="sk-test", retries=RetryPolicy.none())
        try:
            return await client.stream("Hi", handlers=[])
        except StreamError as error:
            return error


@pytest.mark.parametrize(("fault", "expected"), ERRORS.items())
async def test_what_goes_wrong_is_an_error_of_its_class(
    wire: str, fault: str, expected: str
) -> None:
    error = await stream(wire, faults=fault)
    assert expected in [kind.__name__ for kind in type(error).__mro__], repr(error)


@pytest.mark.parametrize("fault", HEALTHY)
async def test_what_is_odd_but_healthy_is_heard_whole(wire: str, fault: str) -> None:
    response = await stream(wire, faults=fault)
    assert response.completion == "Hello you"
    assert (response.usage is None) == (fault == "no-usage")


async def test_without_its_end_an_answer_is_cut(wire: str) -> None:
    fault = "no-finish" if wire == "gemini" else "no-done"
    error = await stream(wire, faults=fault)
    assert type(error).__name__ == "AnswerCutError"


@pytest.mark.parametrize("name", ENDING)
async def test_every_fault_that_ends_can_be_played(wire: str, name: str) -> None:
    assert await stream(wire, faults="status:503" if name == "status" else name) is not None
