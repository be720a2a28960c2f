"""Which request gets which fault, and what is no fault."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge.simulator import Fault, Simulator, faults
from support.faulty import simulator
from support.plain_client import Ask


async def test_a_sequence_is_one_fault_per_request_and_then_health(ask: Ask) -> None:
    async with simulator("status:500", None, Fault("status:429")) as sim:
        assert [(await ask(sim)).status for _ in range(5)] == [500, 200, 429, 200, 200]
        assert [request.fault for request in sim.requests] == [
            "status:500",
            None,
            "status:429",
            None,
            None,
        ]


async def test_one_fault_is_for_every_request(ask: Ask) -> None:
    for given in ("status:500", Fault("status:500")):
        async with Simulator(faults=given) as sim:
            assert [(await ask(sim)).status for _ in range(3)] == [500] * 3


async def test_probabilities_are_drawn_with_the_seed(ask: Ask) -> None:
    async def drawn(**arguments: Any) -> list[int | None]:
        async with Simulator(tokens=1, **arguments) as sim:
            return [(await ask(sim)).status for _ in range(60)]

    once = await drawn(faults=Fault("status:500", p=0.3))
    assert 5 < once.count(500) < 35
    assert once == await drawn(faults=Fault("status:500", p=0.3))
    assert once != await drawn(faults=Fault("status:500", p=0.3), seed=2)
    mixed = await drawn(faults={"status:500": 0.3, Fault("status:429"): 0.3})
    assert {500, 429, 200} == set(mixed)


async def test_a_function_may_choose_the_fault(ask: Ask) -> None:
    async with Simulator(faults=lambda index: "status:500" if index % 2 else None) as sim:
        assert [(await ask(sim)).status for _ in range(4)] == [200, 500, 200, 500]


@pytest.mark.parametrize(
    "spec",
    [
        "nonsense",
        "",
        "reset:x",
        "reset:-1",
        "reset:1:2",
        "status",
        "status:abc",
        "status:99",
        "status:500:pdf",
        "status:500:retry-after=x",
        "status:500:should-retry=maybe",
        "drip:-1",
        "drip:inf",
        "no-done:1",
        "error-frame:odd",
        "error-frame:text:x",
        "refuse:soon",
    ],
)
def test_what_is_no_fault_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"fault"):
        Simulator(faults=[spec])


def test_probabilities_must_make_sense() -> None:
    with pytest.raises(ValueError, match="p must be"):
        Fault("reset", p=1.5)
    unlikely: list[dict[str | Fault, float]] = [{"reset": 0.6, "drop": 0.6}, {"reset": -0.1}]
    for weights in unlikely:
        with pytest.raises(ValueError, match="add up"):
            Simulator(faults=weights)


def test_every_fault_is_in_the_documentation_and_the_other_way_round() -> None:
    documented = {
        line.removeprefix("``").split("``")[0].split(":")[0].split("[")[0]
        for line in (faults.__doc__ or "").splitlines()
        if line.startswith("``")
    }
    assert documented == set(Fault.names())
