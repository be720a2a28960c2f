"""Numbers as people read them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from lm_deluge.timeline import Measured, Settings, measure, parse_target
from lm_deluge.timeline.measures.names import (
    METRICS,
    better_is_higher,
    in_words,
    look_up,
    unit,
)
from lm_deluge.timeline.measures.printing.tables import print_report
from lm_deluge.timeline.measures.verdict.phrases import phrase
from lm_deluge.timeline.measures.verdict.reasons import Reason, Side
from lm_deluge.timeline.measures.wording import (
    difference,
    interval,
    number,
    percent,
    printable,
    seconds,
    told_amount,
    told_interval,
)
from support.timelines import timeline


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 s"), (8.7e-5, "87 µs"), (0.000_999_6, "1 ms"), (0.0412, "41.2 ms"),
     (0.4, "400 ms"), (0.9996, "1.00 s"), (1.234, "1.23 s"), (12.34, "12.3 s"), (1234.0, "1,234 s"),
     (-0.111, "-111 ms")],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.0042, "0.42 %"),
        (0.042, "4.2 %"),
        (0.18, "18 %"),
        (1.0, "100 %"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("ttft.p95", 0.5, "500 ms"), ("ttft.n", 1234.0, "1,234"), ("rate.p50", 22.9, "22.9 tokens/s"),
     ("qoe.mean", 0.5, "0.500"), ("stalls.streams", 0.5, "50 %"), ("stalls.count", 7, "7"),
     ("cost", 0.0123, "$0.0123"), ("cost", 1234.5, "$1,234.50"), ("goodput", 0.5, "0.5 /s"),
     ("ttft.max", None, "–")],
)  # fmt: skip
def test_numbers_have_their_units(metric: str, value: float | None, text: str) -> None:
    assert number(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "low", "high", "table", "sentence"),
    [
        ("stalls.streams", 0.058, 0.261, "+5.8 to +26.1 points", "5.8–26.1 points"),
        ("failed_share", -0.097, 0.15, "−9.7 to +15.0 points", "−9.7 to +15.0 points"),
        ("ttft.p50", -0.31, -0.18, "−310 to −180 ms", "0.18–0.31 s"),
        ("ttft.p50", -1.5, 0.2, "−1.50 s to +200 ms", "−1.50 to +0.20 s"),
        ("ttft.p50", 1.0, float("inf"), "+1.00 s to +never", "1.00 s to never"),
        ("qoe.mean", 0.01, 0.02, "+0.010 to +0.020", "0.01–0.02"),
        ("ttft.p50", None, None, "–", "unknown"),
    ],
)
def test_intervals_are_written_alike_in_every_table_and_in_every_sentence(
    metric: str, low: float | None, high: float | None, table: str, sentence: str
) -> None:
    assert interval(metric, low, high) == table
    assert told_interval(metric, low, high) == sentence


def test_differences_have_a_sign_and_those_of_shares_are_points() -> None:
    assert difference("stalls.streams", -0.05) == "−5.0 points"
    assert difference("ttft.p95", 0.5) == "+500 ms"
    assert difference("cost", -0.5) == "−$0.5"
    assert difference("ttft.p95", 0.0) == "0 s"
    assert difference("ttft.p95", None) == "–"
    assert told_amount("ttft.p95", -0.5) == "0.50 s"


def test_every_metric_has_words_a_direction_and_a_place() -> None:
    (group,) = measure([timeline([0.5, 1.0])]).groups.values()
    for metric in METRICS:
        assert in_words(metric)
        assert unit(metric) in ("", "s", "tokens/s", "$", "/s")
        assert isinstance(better_is_higher(metric), bool)
        look_up(group.summary(), metric)


@pytest.mark.parametrize(
    ("subject", "low", "high", "text"),
    [
        ("new", 1e-9, 1.5, "the longest 5 % of gaps alike (0–1.50 s longer)"),
        ("old", 1e-9, 1.5, "the longest 5 % of gaps alike (0–1.50 s shorter)"),
        ("new", -1.5, -1e-9, "the longest 5 % of gaps alike (0–1.50 s shorter)"),
        ("new", -0.5, 1.5, "the longest 5 % of gaps alike (from 0.50 s shorter to 1.50 s longer)"),
    ],
)
def test_where_two_are_alike_the_interval_says_which_way_it_lies(
    subject: Side, low: float, high: float, text: str
) -> None:
    reason = Reason("gap.p95", "flow", 0.1, 0.1, low, high, 0.1, is_clear=False)
    assert phrase(reason, subject) == text


def test_text_from_a_log_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[31mb\r\n\x9b\u202e") == "a\ufffd[31mb\ufffd\ufffd\ufffd\ufffd"


def test_the_tables_on_a_narrow_terminal_with_targets_and_a_silent_baseline() -> None:
    settings = Settings(targets=(parse_target("ttft<1"),))
    new = measure([timeline([0.5, 0.6])], settings=settings)
    old = measure([timeline([], ended=1.0)], settings=settings)
    printed = printed_at(80, new, old)
    for text in ("goodput", "Nothing stands out.", "Compared with the baseline"):
        assert text in printed


def test_the_tables_fit_into_80_columns() -> None:
    random = np.random.default_rng(1)

    def log(variant: str) -> Measured:
        lines = []
        for k in range(120):
            stalls = 30 * (random.random(40) < 0.05)
            arrivals = 0.3 + np.cumsum(random.exponential(0.05, 40) * (1 + stalls))
            failed = "ConnectionLostError" if k % 20 == 0 else None
            lines.append(
                timeline(
                    arrivals.tolist(), tags={"v": variant}, failed=failed, phase="between_tokens",
                    cost=12.345, output_tokens=55,
                )
            )  # fmt: skip
        return measure(lines, by="v")

    new, old = log("treatment"), log("treatment")
    printed = printed_at(80, new, old)
    assert max(map(len, printed.splitlines())) <= 80
    assert "…" not in printed
    assert seconds(new.groups["treatment"].summary()["ttft"]["p95"]) in printed


def printed_at(width: int, new: Measured, old: Measured) -> str:
    file = io.StringIO()
    print_report(Console(file=file, force_terminal=True, no_color=True, width=width), new, [], old)
    return re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())
