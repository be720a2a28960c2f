"""What follows a network read, an end or a limit: the table, cell by cell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from lm_deluge.engine import reading
from lm_deluge.engine.reading import AFTER, Condition, Happening, Then, after
from support.drawn import drawn

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)


def answer_that_is(condition: Condition, *, whole: bool = False) -> Any:
    """What the table asks of an answer; conditions that come later in the list hold, too."""
    at = CONDITIONS.index(condition)
    return SimpleNamespace(
        error=ValueError() if condition == "faulty" else None,
        done=at <= CONDITIONS.index("done"),
        finished=at <= CONDITIONS.index("finished"),
        may_be_over=at <= CONDITIONS.index("doubtful"),
        whole=whole,
    )


def test_the_table_has_a_cell_for_whatever_happens_to_whatever_answer() -> None:
    assert set(AFTER) == set(HAPPENINGS)
    assert all(set(row) == set(CONDITIONS) for row in AFTER.values())
    assert {then for row in AFTER.values() for then in row.values()} == set(get_args(Then))


def test_the_table_is_the_one_that_is_drawn() -> None:
    assert drawn(reading) == {
        (happening, condition): then
        for happening, row in AFTER.items()
        for condition, then in row.items()
    }


@pytest.mark.parametrize("happening", HAPPENINGS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_first_condition_that_holds_counts(happening: Happening, condition: Condition) -> None:
    assert after(happening, answer_that_is(condition)) == AFTER[happening][condition]


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_a_clean_end_that_is_taken_for_one_is_no_cut(happening: Happening) -> None:
    then = after(happening, answer_that_is("open", whole=True))
    assert then == ("whole" if happening == "end" else AFTER[happening]["open"])
