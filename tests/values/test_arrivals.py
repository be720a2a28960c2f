"""When the pieces of an answer arrived."""

from __future__ import annotations

from array import array

from lm_deluge import Delta, Token
from lm_deluge.values.arrivals import Arrivals


def delta(text: str, arrived: float) -> Delta:
    return Delta(kind="reasoning", index=0, text=text, arrived=arrived, read=0)


def test_nothing_arrived_yet() -> None:
    arrivals = Arrivals()
    assert len(arrivals) == 0
    assert (arrivals.first_output, arrivals.last_output, arrivals.deltas) == (None, None, 0)


def test_tokens_of_one_read_share_its_time() -> None:
    arrivals = Arrivals()
    assert arrivals.add([Token("ab", 0, 0.5, 2), Token("c", 1, 0.5, 2)], []) == 3
    assert arrivals.add([Token("d", 2, 0.75, 5)], []) == 1
    assert list(arrivals.lengths) == [2, 1, 1]
    assert list(arrivals.slots) == [0, 0, 1]
    assert list(arrivals.times) == [0.5, 0.75]
    assert list(arrivals.reads) == [2, 5]
    assert len(arrivals) == 3
    assert (arrivals.first_output, arrivals.last_output) == (0.5, 0.75)


def test_other_pieces_count_as_output_and_not_as_tokens() -> None:
    arrivals = Arrivals()
    assert arrivals.add([], [delta("hmm", 0.25)]) == 3
    assert arrivals.add([Token("a", 0, 0.5, 1)], [delta("xy", 0.5), delta("", 0.5)]) == 3
    assert (arrivals.first_output, arrivals.last_output, arrivals.deltas) == (0.25, 0.5, 3)
    assert len(arrivals) == 1
    assert list(arrivals.times) == [0.5]


def test_choices_are_kept_from_the_first_other_one_on() -> None:
    arrivals = Arrivals()
    arrivals.add([Token("a", 0, 0.1, 0), Token("b", 1, 0.1, 0)], [])
    assert list(arrivals.choices) == []
    arrivals.add([Token("c", 2, 0.2, 1), Token("d", 3, 0.2, 1, 4)], [])
    assert list(arrivals.choices) == [0, 0, 0, 4]
    arrivals.add([Token("e", 4, 0.3, 2)], [])
    assert list(arrivals.choices) == [0, 0, 0, 4, 0]


def test_a_token_costs_one_byte_and_a_read_ten() -> None:
    arrivals = Arrivals()
    for at in range(100):
        arrivals.add([Token("x", 2 * at, 0.1, at), Token("y", 2 * at + 1, 0.1, at)], [])
    kept = [getattr(arrivals, name) for name in Arrivals.__slots__ if name != "__weakref__"]
    arrays = [column for column in kept if isinstance(column, array)]
    assert sum(column.itemsize * len(column) for column in arrays) == 200 * 1 + 100 * 10


def test_large_numbers_are_kept_as_they_are() -> None:
    arrivals = Arrivals()
    arrivals.add([Token("a", 0, 0.1, 1)], [])
    arrivals.add([Token("b" * 70_000, 1, 0.2, 900), Token("c", 2, 0.2, 900, 2**31 - 1)], [])
    arrivals.add_visible(["d"] * 300, 0.3, 901)
    assert list(arrivals.lengths) == [1, 70_000, 1, *[1] * 300]
    assert list(arrivals.choices) == [0, 0, 2**31 - 1, *[0] * 300]
    assert list(arrivals.slots) == [0, 1, 1, *[2] * 300]
    assert list(arrivals.reads) == [1, 900, 901]
    assert list(arrivals.times) == [0.1, 0.2, 0.3]
