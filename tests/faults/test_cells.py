"""Which cells of the fault tests run where: the page says it, and no cell is left out silently."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

from faults import test_cancellation, test_ending_loops, test_hostile_handlers, test_matrix
from support.cancelling import SCRIPTS
from support.consumers import CONSUMERS, HANDLERS
from support.fault_table import CELLS, TABLE, half_of
from support.hostile_methods import ASYNC_DEEDS, DEEDS
from support.programs import ROOT
from support.wires import WIRES

PAGE = ROOT / "docs" / "design" / "faults.md"
MATRIX = [(row.spec, *cell) for row in TABLE for cell in CELLS]
SAMPLE = [(row.spec, *cell) for row in TABLE for cell in half_of(row)]
SWEEPS = test_cancellation.sweeps()
HOSTILE = test_hostile_handlers.sample()


def is_slow(case: Any) -> bool:
    return any(mark.name == "slow" for mark in getattr(case, "marks", ()))


def counts(test: Callable[..., Any]) -> tuple[int, int]:
    """How many cases a test has, and how many of them are in the default run."""
    lists = [list(mark.args[1]) for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    by_default = [[case for case in cases if not is_slow(case)] for cases in lists]
    return math.prod(map(len, lists)), math.prod(map(len, by_default))


#: What is combined with what; how many cells that is; how many are in the default run; which.
ROWS: list[tuple[str, int, int, str]] = [
    ("fault × consumer × handler", len(MATRIX), len(SAMPLE), "every second, in turn"),
    (
        "fault that passes × consumer, tried again",
        counts(test_matrix.test_a_passing_failure_before_any_output_is_told_and_tried_again)[0]
        * len(CONSUMERS),
        counts(test_matrix.test_a_passing_failure_before_any_output_is_told_and_tried_again)[1]
        * len(CONSUMERS),
        "all",
    ),
    (
        "fault × second and third attempt, by `stream`",
        *counts(test_matrix.test_a_fault_is_the_same_at_the_second_and_the_third_attempt),
        "every third",
    ),
    (
        "fault × one read, by `stream`",
        *counts(test_matrix.test_a_fault_is_the_same_where_its_bytes_come_in_one_read),
        "all",
    ),
    (
        "fault × other wire, consumers and handlers in turn",
        *counts(test_matrix.test_a_fault_comes_to_the_same_in_the_other_wires),
        "every third fault in one wire",
    ),
    (
        "consumer × way to cancel × script, at every step",
        *counts(test_cancellation.test_cancelled_at_any_step_it_ends_once),
        "each pair once but for bodies that stay open, scripts and wires in turn",
    ),
    (
        "consumer × script × loop, at every end of `asyncio.run`",
        *counts(test_ending_loops.test_the_end_of_asyncio_run_at_any_step_ends_the_stream),
        "all",
    ),
    (
        "deed × kind × method × scope × consumer of handlers",
        len(list(test_hostile_handlers.cases())),
        len(HOSTILE),
        "every deed and kind, the others in turn",
    ),
    (
        "kind of object as a handler × consumer",
        *counts(test_hostile_handlers.test_what_a_handler_is_changes_nothing),
        "all",
    ),
]


def test_the_page_says_which_cells_run_where() -> None:
    said = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    for name, total, default, which in ROWS:
        assert f"| {name} | {total} | {default} | {which} |" in said


def pairs(cells: Iterable[tuple[Any, ...]]) -> set[tuple[int, int, Any, Any]]:
    """Every two values that stand together in a cell, with their places."""
    return {
        (a, b, cell[a], cell[b])
        for cell in cells
        for a, b in itertools.combinations(range(len(cell)), 2)
    }


def test_every_pair_of_fault_consumer_and_handler_is_in_the_default_run() -> None:
    assert set(MATRIX) == set(itertools.product([r.spec for r in TABLE], CONSUMERS, HANDLERS))
    assert len(MATRIX) == len(set(MATRIX))
    assert pairs(SAMPLE) == pairs(MATRIX)


def test_every_consumer_is_cancelled_in_every_way_and_in_every_script_in_the_default_run() -> None:
    assert len(SWEEPS) == math.prod(map(len, (CONSUMERS, test_cancellation.ACTS, SCRIPTS)))
    sample = {case.values[:3] for case in SWEEPS if not is_slow(case)}
    quick = {case.values[:3] for case in SWEEPS if case.values[1] != "body stays open"}
    assert pairs(sample) == pairs(quick)
    assert {case.values[3] for case in SWEEPS if not is_slow(case)} == set(WIRES)


def test_every_deed_of_a_handler_and_every_consumer_is_in_the_default_run() -> None:
    assert {case[:2] for case in HOSTILE} == {case[:2] for case in test_hostile_handlers.cases()}
    assert {case[0] for case in HOSTILE} == {*DEEDS, *ASYNC_DEEDS}
    for place in (2, 3, 4):
        everything = {case[place] for case in test_hostile_handlers.cases()}
        assert {case[place] for case in HOSTILE} == everything


def test_a_case_that_is_not_in_the_default_run_is_in_the_slow_one() -> None:
    share = test_matrix.test_every_consumer_and_handler_sees_the_fault_and_keeps_the_promises
    assert counts(share) == (2 * len(TABLE), len(TABLE))
