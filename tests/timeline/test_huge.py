"""Numbers, names and times of any size: each report comes, soon, and in numbers."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline.measures.budget.budget import parse_budget
from lm_deluge.timeline.measures.budget.rule_texts import parse_fail_if
from lm_deluge.timeline.replay.scene import make_scene
from lm_deluge.timeline.replay.states import StreamReplay
from support.programs import Call
from support.timelines import stream_lines, timeline

RULE = '[[rule]]\nwhen = "ttft.p95>0.8"\n'


def written(stream: str, arrivals: list[float], **end: Any) -> bytes:
    """A stream's lines; ``end``: what its last one says otherwise."""
    *lines, last = encode_lines(stream_lines(stream, arrivals)).splitlines()
    last = json.dumps({**json.loads(last), **end}, separators=(",", ":")).encode()
    return b"\n".join([*lines, last, b""])


HUGE = {
    "moments": written("z", [1.0, 1e308], t=1.5e308),
    "a moment of some years": written("z", [1.0, 1e9], t=2e9),
    "costs": written("z", [0.5], cost=1.7e308) + written("y", [0.5], cost=1.7e308),
    "counts": written("z", [0.5, 0.6], usage={"output_tokens": 10**400, "input_tokens": 2**70}),
    "counts below nothing": written("z", [0.5, 0.6], usage={"output_tokens": -7}),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_figure_of_a_foreign_log_may_be_of_any_size(
    report: Call, tmp_path: Path, kind: str
) -> None:
    log, page, table = tmp_path / "log.jsonl", tmp_path / "page.html", tmp_path / "table.csv"
    tidy = b"".join(written(f"a{k}", [0.3, 0.4, 0.5]) for k in range(6))
    log.write_bytes(tidy + b"\n" + HUGE[kind])
    done = report(log, "--json", "--html", page, "--csv", table)
    assert done.code == 0, done.err
    figures = json.loads(done.out, parse_constant=pytest.fail)
    assert (figures["groups"]["m"]["output_token_throughput"] or 0) >= 0
    assert not re.search(r",(nan|-?inf),", table.read_text("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        f"[settings]\nstall = {'9' * 400}\n{RULE}",
        f"[settings]\nstall = {'9' * 5000}\n{RULE}",
        "x = " + "[" * 20_000,
        '[[rule]]\nwhen = "ttft.p95>1e999"\n',
        f'[[rule]]\nwhen = "failed>{"9" * 400}"\n',
        f'[settings]\ntargets = ["ttft<=1e400"]\n{RULE}',
    ],
)
def test_a_budget_with_a_number_that_is_none_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^ux\.toml\b"):
        parse_budget(text, "ux.toml")


def test_no_rule_has_a_limit_without_end() -> None:
    with pytest.raises(ValueError, match="too large"):
        parse_fail_if("failed>1e999")


@pytest.mark.parametrize("seconds", [59.0, 3_000.0, 86_400.0, 1e9])
def test_the_words_of_a_long_silence_are_counted(seconds: float) -> None:
    replay = StreamReplay.of("s", timeline([1.0, seconds]), 1.0)
    scene = make_scene([replay], lambda text: 8.0 * len(text), width=500)
    assert 3 < len(scene.lanes[0].states) < 4_000
    assert 3 < len(scene.ticks) < 4_000
    assert scene.ticks[-1] <= scene.length


def test_a_name_of_any_length_fits_into_a_gif() -> None:
    from lm_deluge.timeline.replay.gif import animated_gif

    replay = StreamReplay.of("x" * 100_000, timeline([0.1, 0.2]), 1.0)
    assert animated_gif([replay], width=400).data.startswith(b"GIF8")


def test_a_word_of_any_length_is_broken_soon() -> None:
    measured = 0

    def measure(text: str) -> float:
        nonlocal measured
        measured += len(text)
        return 8.0 * len(text)

    begun = time.process_time()
    replay = StreamReplay.of("s", timeline([0.1], pieces=["漢" * 20_000]), 1.0)
    lines = make_scene([replay], measure, width=500).lanes[0].lines
    assert "".join(run.text or "" for line in lines for run in line) == "漢" * 20_000
    assert measured < 100 * 20_000
    assert time.process_time() - begun < 5.0  # it would be minutes if each letter were sought anew
