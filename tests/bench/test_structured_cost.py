"""What an object that grows costs: each character once, however often it is looked at."""

from __future__ import annotations

import json
from time import process_time

import msgspec
import pytest

from lm_deluge import Token
from lm_deluge.structured.growing import Following, GrowingAnswer, wait_after
from lm_deluge.structured.shape import shape_of

SIZE = 1_000_000


class Row(msgspec.Struct):
    n: int
    text: str
    more: list[int | bool | None]


def rows_of(size: int) -> str:
    """About so many characters of JSON."""
    rows = [
        {"n": at, "text": "lorem ipsum dolor sit", "more": [at, None, True]}
        for at in range(size // 74)
    ]
    return json.dumps(rows)


TEXTS = {
    "objects": rows_of(SIZE),
    "one text": json.dumps({"a": "x" * SIZE}),
    "escapes": json.dumps({"a": "é\n" * (SIZE // 8)}),
    "numbers": json.dumps(list(range(SIZE // 8))),
}


def pieces_of(text: str) -> list[Token]:
    return [
        Token(text=text[at : at + 8], index=at, arrived=0.0, read=0)
        for at in range(0, len(text), 8)
    ]


@pytest.mark.parametrize("every", [1, 7, 1_000])
def test_each_character_is_looked_at_once(every: int) -> None:
    text = rows_of(20_000)
    growing = GrowingAnswer(Following(shape=shape_of(list[Row])))
    for at, piece in enumerate(pieces_of(text)):
        growing.feed(piece)
        if at % every == 0:
            growing.look()
    growing.look()
    assert growing.scanned == len(text)


def test_looks_take_a_tenth_of_the_time_at_most() -> None:
    assert wait_after(0.0) == 0.05
    assert wait_after(0.02) == pytest.approx(0.2)


def seconds_for(text: str) -> float:
    """CPU seconds for a text in pieces of 8 characters that is looked at as often as may be."""
    growing = GrowingAnswer(Following(shape=shape_of(list[Row]) if text[0] == "[" else None))
    pieces = pieces_of(text)
    begun = process_time()
    not_before = 0.0
    for piece in pieces:
        growing.feed(piece)
        looked = process_time()
        if looked >= not_before:
            growing.look()
            not_before = looked + wait_after(process_time() - looked)
    growing.look()
    return process_time() - begun


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_a_megabyte_in_small_pieces_takes_a_second_at_most(name: str) -> None:
    assert min(seconds_for(TEXTS[name]) for _ in range(3)) <= 1.0


@pytest.mark.slow
def test_twice_as_much_takes_twice_as_long() -> None:
    half, whole = rows_of(SIZE // 2), rows_of(SIZE)
    pairs = [(seconds_for(half), seconds_for(whole)) for _ in range(7)]
    once, twice = (min(each) for each in zip(*pairs, strict=True))
    assert twice <= 2.6 * once
