"""The formulas of ``support.other_tools`` are those of AIPerf and GuideLLM: their own code says the same.

By hand, because both bring hundreds of megabytes that their figures do not need: in an environment of its
own ``pip install --no-deps aiperf guidellm`` and what importing them asks for (pydantic, numpy, loguru,
orjson, …), then ``LM_DELUGE_BENCHMARKS=…/bin/python pytest tests/outside/test_benchmarks.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import other_tools

_PROGRAM = os.environ.get("LM_DELUGE_BENCHMARKS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_PROGRAM is None, reason="LM_DELUGE_BENCHMARKS names no interpreter"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["text", "reasoning"])
def answers(request: pytest.FixtureRequest) -> list[other_tools.Answer]:
    return other_tools.whole(other_tools.drawn(11, reasoning=request.param, bundled=2))


@pytest.fixture(scope="module")
def theirs(answers: list[other_tools.Answer]) -> dict[str, Any]:
    given = [
        {
            "reasoning": answer.reasoning, "text": other_tools.events_of(answer), "end": answer.end,
            "tokens": answer.tokens,
        }
        for answer in answers
    ]  # fmt: skip
    program = Path(__file__).with_name("benchmark_figures.py")
    done = subprocess.run(
        [str(_PROGRAM), "-W", "ignore", str(program)],
        input=json.dumps(given), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("figure", ["ttft", "ttfo", "icl", "itl", "latency"])
def test_aiperfs_formulas(
    theirs: dict[str, Any], answers: list[other_tools.Answer], figure: str
) -> None:
    ours = other_tools.aiperf(answers)[figure]
    assert theirs["figures"]["aiperf"][figure] == pytest.approx(ours, rel=1e-6)


@pytest.mark.parametrize("figure", ["ttft", "ttfot", "itl", "tpot", "latency"])
def test_guidellms_formulas(
    theirs: dict[str, Any], answers: list[other_tools.Answer], figure: str
) -> None:
    ours = other_tools.guidellm(answers)[figure]
    assert theirs["figures"]["guidellm"][figure] == pytest.approx(ours, rel=1e-6)


def test_deviation_and_percentiles_are_ours(
    theirs: dict[str, Any], answers: list[other_tools.Answer]
) -> None:
    ours = other_tools.ours(answers)["ttft"]
    for tool, statistics in theirs["statistics"].items():
        assert statistics == pytest.approx({name: ours[name] for name in statistics}), tool
