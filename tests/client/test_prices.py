"""``prices=``: a function of the program's own says what an answer costs, and hurts nothing."""

from __future__ import annotations

import logging
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, Usage
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import read_timelines
from lm_deluge_plugins import FileLogger
from support.scripted import DONE, END, HEADERS, ScriptedServer, delta, http, sse


def client_at(sim: Simulator, model: str = "gpt-5.4", **options: Any) -> LLMClient:
    url = sim.url if ":" in model else sim.base_url
    return LLMClient(model, base_url=url, api_key="k", printer=None, **options)


@pytest.mark.parametrize(
    ("model", "priced"),
    [
        ("gpt-5.4", "gpt-5.4"),
        ("openai-responses:gpt-5.4", "gpt-5.4"),
        ("anthropic:claude-haiku-5-5", "claude-haiku-5-5"),
        ("gemini:gemini-3.8-flash", "gemini-3.8-flash"),
    ],
)
async def test_the_cost_is_what_the_function_says(model: str, priced: str) -> None:
    asked = []

    def prices(model: str, usage: Usage) -> float:
        asked.append((model, usage))
        return 0.25

    async with Simulator(tokens=3) as sim:
        url = sim.base_url if "claude" not in model and "gemini" not in model else sim.url
        client = LLMClient(model, base_url=url, api_key="k", printer=None, prices=prices)
        response = await client.stream("Hi")
    assert response.cost == 0.25
    assert asked == [(priced, response.usage)]


@pytest.mark.parametrize("given", [0.5, Decimal("0.5"), Fraction(1, 2)])
async def test_any_number_is_a_price(given: Any) -> None:
    async with Simulator(tokens=3) as sim:
        cost = (await client_at(sim, prices=lambda model, usage: given).stream("Hi")).cost
    assert (cost, type(cost)) == (0.5, float)


async def test_the_model_that_answered_is_priced_and_others_are_not() -> None:
    asked = []
    async with Simulator(tokens=3, faults=["status:503", None]) as sim:
        client = client_at(
            sim,
            fallback_models=["gpt-6-luna"],
            retries=RetryPolicy(max_attempts=2, initial_delay=0.01),
            prices=lambda model, usage: asked.append(model),
        )
        response = await client.stream("Hi")
    assert response.attempts == 2
    assert asked == [response.model_used]
    assert response.cost is None


async def test_where_nothing_is_counted_nothing_is_asked() -> None:
    asked = []
    async with Simulator(tokens=3, usage=False) as sim:
        client = client_at(sim, prices=lambda model, usage: asked.append(model))
        assert (await client.stream("Hi")).cost is None
    assert asked == []


async def test_many_answers_and_the_log_have_it(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with Simulator(tokens=3) as sim:
        client = client_at(sim, handlers=[FileLogger(log)], prices=lambda model, usage: 2)
        costs = [outcome.cost async for _, outcome in client.stream_many(["a", "b"])]  # type: ignore[union-attr]
        await client.close()
    assert costs == [2.0, 2.0]
    assert [timeline.cost for timeline in read_timelines(log)] == [2.0, 2.0]


async def costly(model: str, usage: Usage) -> float:
    return 1.0


def broken(model: str, usage: Usage) -> float:
    raise RuntimeError("no such price")


class Hostile:
    def __float__(self) -> float:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        (broken, r"raised RuntimeError \(no such price\)"),
        (lambda model: 1.0, r"raised TypeError"),
        (lambda model, usage: Hostile(), r"raised ZeroDivisionError"),
        (lambda model, usage: "1", r"returned '1', no number of US dollars"),
        (lambda model, usage: True, r"returned True"),
        (lambda model, usage: float("nan"), r"returned nan"),
        (lambda model, usage: float("inf"), r"returned inf"),
        (lambda model, usage: -1, r"returned -1"),
        (lambda model, usage: [1], r"returned \[1\]"),
        (lambda model, usage: 10**400, r"raised OverflowError"),
        (costly, r"returned <coroutine"),
    ],
)
async def test_a_function_that_fails_is_told_of_once_and_hurts_nothing(
    prices: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator(text="Good day") as sim:
        client = client_at(sim, prices=prices)
        with caplog.at_level(logging.WARNING, "lm_deluge"):
            answers = [await client.stream("Hi") for _ in range(3)]
    assert [(answer.completion, answer.cost) for answer in answers] == [("Good day", None)] * 3
    (told,) = [record.getMessage() for record in caplog.records]
    assert re.search(words, told)
    assert told.startswith("prices= ")


@pytest.mark.parametrize("given", [{}, 1.0, "gpt", [print]])
def test_what_cannot_be_called_is_named(given: Any) -> None:
    with pytest.raises(TypeError, match="prices must be a function of model and usage, or None"):
        LLMClient("gpt-5.4", prices=given)


# -- totals that say more than their parts


def counted(**usage: Any) -> list[Any]:
    final = sse({"id": "c", "choices": [], "usage": usage})
    return [HEADERS, http(sse(delta("Hello")) + sse(delta(finish="stop")) + final + DONE) + END]


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        # grok-3-mini, as recorded: 303 = 12 + 1 + 290
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 1,
                "total_tokens": 303,
                "completion_tokens_details": {"reasoning_tokens": 290},
            },
            291,
            290,
        ),
        # OpenAI: reasoning is inside
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 291,
                "total_tokens": 303,
                "completion_tokens_details": {"reasoning_tokens": 290},
            },
            291,
            290,
        ),
        # Google's compatible endpoint: thoughts that nothing but the total tells of
        ({"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303}, 1, None),
    ],
)
async def test_a_total_that_says_more_than_its_parts_is_priced(
    usage: dict[str, Any], output: int, reasoning: int | None
) -> None:
    async with ScriptedServer(counted(**usage)) as server:
        client = LLMClient("gpt-5.4", base_url=server.base_url, api_key="k", printer=None)
        response = await client.stream("Hi")
    assert response.usage is not None
    assert response.usage.output_tokens == output
    assert (response.usage.total_tokens, response.usage.reasoning_tokens) == (303, reasoning)
    assert response.usage.raw == usage
    assert response.cost == pytest.approx((12 * 2.5 + 291 * 15) / 1e6)
