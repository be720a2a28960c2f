"""JSON that grows: what is shown is true of what follows, whatever the JSON and however it is cut."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.structured.answer_text import AnswerText
from lm_deluge.structured.json_text import GrowingJson
from lm_deluge.structured.misfits import Path
from lm_deluge.structured.reading import Failure, Fitting, read
from lm_deluge.structured.shape import shape_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
WRITTEN = st.builds(
    lambda value, ascii_only, indent: (
        value,
        json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    ),
    VALUES,
    st.booleans(),
    st.sampled_from([None, 1]),
)


def cut(text: str, seed: int) -> list[str]:
    """A text in pieces of 1 to 5 characters."""
    rng = random.Random(seed)
    pieces = []
    at = 0
    while at < len(text):
        size = rng.randint(1, 5)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def is_beginning(less: Any, more: Any) -> bool:
    """Whether a value may be what there was of another: of the same types, and a part of it."""
    if type(less) is not type(more):
        return False
    if isinstance(less, str):
        return bool(more.startswith(less))
    if isinstance(less, list):
        return len(less) <= len(more) and all(map(is_beginning, less, more))
    if isinstance(less, dict):
        names = list(less)
        return names == list(more)[: len(names)] and all(
            is_beginning(less[name], more[name]) for name in names
        )
    return bool(less == more)


def same_but_at(less: Any, more: Any, path: Path | None) -> bool:
    """Whether only what is on the way to what is open has changed."""
    if path is None:
        return bool(less == more)
    if isinstance(less, dict) and isinstance(more, dict):
        return all(
            same_but_at(less[name], more[name], path[1:] if path and path[0] == name else None)
            for name in less
        )
    if isinstance(less, list) and isinstance(more, list):
        return all(
            same_but_at(each, more[at], path[1:] if path and path[0] == at else None)
            for at, each in enumerate(less)
        )
    return path == () or less == more


@settings(max_examples=400, deadline=None)
@given(WRITTEN, st.integers(0, 2**32))
def test_each_value_is_the_beginning_of_the_next_and_the_last_is_whole(
    written: tuple[Any, str], seed: int
) -> None:
    _, text = written
    found = GrowingJson()
    shown: list[tuple[Any, Path | None]] = []
    for piece in cut(text, seed):
        found.feed(piece)
        assert found.fault is None
        if not found.is_empty:
            shown.append((found.value(), found.open))
    found.finish()
    assert found.whole
    assert found.value() == json.loads(text)
    shown.append((found.value(), found.open))
    for (less, path), (more, _) in pairwise(shown):
        assert is_beginning(less, more)
        assert same_but_at(less, more, path)


@settings(max_examples=200, deadline=None)
@given(WRITTEN, st.integers(0, 2**32), st.sampled_from(["", "Sure!\n", "As {you} [asked]: "]))
def test_what_is_around_it_changes_nothing(
    written: tuple[Any, str], seed: int, before: str
) -> None:
    value, text = written
    if not isinstance(value, dict | list):
        text = f"[{text}]"
    around = f"{before}```json\n{text}\n```\nThat is all {{of it}}."
    found = AnswerText(None)
    for piece in cut(around, seed):
        found.feed(piece)
    found.finish()
    assert found.fault is None
    assert found.value() == json.loads(text)
    assert read(around, None) == Fitting(json.loads(text))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]:,"\\u0d8e+-.truefalsnNI\n \x00`', max_size=60), st.integers(0, 2**32))
def test_what_is_taken_is_what_python_takes(text: str, seed: int) -> None:
    found = GrowingJson()
    for piece in cut(text, seed):
        found.feed(piece)
        found.value()
    found.finish()
    try:
        expected = json.loads(text)
    except ValueError:
        assert not found.whole or found.rest.strip()
        return
    assert found.whole
    # Half a pair of surrogates is mended here, as no encoding can write it.
    assert repr(found.value()) == repr(expected) or "\\ud" in text.lower()


HOSTILE = {
    "deep": "[" * 20_000,
    "deep objects": '{"a":' * 20_000,
    "deep and whole": "[" * 20_000 + "]" * 20_000,
    "as deep as can be": "[" * 200 + "]" * 200,
    "lone high": '{"a": "\\ud83d", "b": "\\ud83dx"}',
    "lone low": '{"a": "\\ude00"}',
    "pair": '{"a": "\\ud83d\\ude00"}',
    "two high": '{"a": "\\ud83d\\ud83d\\ude00"}',
    "raw halves": '{"a": "\ud83d"}',
    "twice": '{"a": 1, "a": {"b": 2}, "a": [3]}',
    "nan": '{"a": NaN, "b": Infinity, "c": -Infinity}',
    "huge number": '{"a": ' + "9" * 20_000 + "}",
    "long number": '{"a": 1.' + "9" * 20_000 + "}",
    "huge power": '{"a": 1e999999, "b": -1e999999}',
    "control": '{"a": "\x00\n"}',
    "nul": "\x00",
    "words": "no" * 20_000,
    "braces": "{" * 20_000,
    "brackets": "[x" * 20_000,
    "fences": "```" * 20_000,
    "a fence without an end": "```json" + "x" * 20_000,
    "backslashes": '{"a": "' + "\\" * 20_001,
    "escapes": '{"a": "' + "\\u00e9" * 20_000 + '"}',
    "bad escape": '{"a": "\\x"}',
    "bad hex": '{"a": "\\u00g0"}',
    "empty": "",
    "white": " \n\t" * 20_000,
    "commas": "[,,,]",
    "half": '{"a": tru',
    "plus": '{"a": +1}',
    "zeros": '{"a": 007}',
    "more": '{"a": 1}{"b": 2}',
    "closed twice": '{"a": 1}}',
}


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_gets_through_as_an_exception(name: str, size: int) -> None:
    text = HOSTILE[name]
    found = AnswerText(None)
    for at in range(0, len(text), size):
        found.feed(text[at : at + size])
        if at < 2_000:
            found.value()
            assert not found.shows or found.open is not None or found.is_whole
    found.finish()
    found.value()
    # Each character was looked at a few times at most; of a beginning that is none, again.
    assert found.scanned <= 4 * len(text) + 1_000
    whole = read(text, None)
    if isinstance(whole, Failure):
        assert found.fault is not None
    else:
        assert repr(whole.value) == repr(found.value())


@pytest.mark.parametrize("name", HOSTILE)
def test_every_prefix_of_it_can_be_looked_at(name: str) -> None:
    text = HOSTILE[name][:400]
    for end in range(len(text)):
        found = AnswerText(None)
        found.feed(text[:end])
        found.value()
        found.finish()
        assert not found.is_whole or found.fault is not None or found.value() is not None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('{"a": 1', {}),
        ('{"a": 1.', {}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": tru', {}),
        ('{"a": nul', {}),
        ('{"a": true ', {"a": True}),
        ('{"a": -', {}),
        ('{"a": "', {"a": ""}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "x\\u00', {"a": "x"}),
        ('{"a": "x\\ud83d', {"a": "x"}),
        ('{"a": "x\\ud83d\\u', {"a": "x"}),
        ('{"a": "x\\ud83d\\ude00', {"a": "x😀"}),
        ('{"a', {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": [', {"a": []}),
        ('{"a": [1, 2', {"a": [1]}),
        ('{"a": {"b": ["c', {"a": {"b": ["c"]}}),
    ],
)
def test_half_a_value_is_shown_where_it_has_a_type(text: str, seen: Any) -> None:
    found = GrowingJson()
    found.feed(text)
    assert found.value() == seen


def test_values_shown_are_not_changed_later() -> None:
    found = GrowingJson()
    seen = []
    for character in '{"a": [1, {"b": "xyz"}], "c": {"d": []}}':
        found.feed(character)
        seen.append((found.value(), json.dumps(found.value())))
    assert all(json.dumps(value) == text for value, text in seen)


# What a schema says of parts.

SHAPE = shape_of(
    {
        "type": "object",
        "properties": {
            "level": {"enum": ["low", "lower"]},
            "size": {"type": "integer", "minimum": 3},
            "kind": {"anyOf": [{"const": "cat"}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        },
        "$defs": {
            "part": {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
        },
    }
)


@pytest.mark.parametrize(
    ("text", "shows", "seen"),
    [
        ('{"level": "low', False, {}),
        ('{"level": "low"', True, {"level": "low"}),
        ('{"kind": "ca', False, {}),
        ('{"size": 4, "kind": "ca', True, {"size": 4}),
        ('{"level": "high"', False, {"level": "high"}),
        ('{"size": 2,', False, {"size": 2}),
        ('{"parts": [{"n": "a"}, {"n', True, {"parts": [{"n": "a"}, {}]}),
        ('{"parts": [{"n": "a"}, {"m": 1}', False, {"parts": [{"n": "a"}, {"m": 1}]}),
        ('{"parts": [{"n": 1', True, {"parts": [{}]}),
        ('{"parts": [{"n": 1}', False, {"parts": [{"n": 1}]}),
    ],
)
def test_what_is_over_is_checked_before_it_is_shown(text: str, shows: bool, seen: Any) -> None:
    found = AnswerText(SHAPE)
    found.feed(text)
    assert (found.shows, found.value()) == (shows, seen)


def test_an_object_around_what_is_none_is_not_seen() -> None:
    shape = shape_of(list[int])
    found = AnswerText(shape)
    seen = []
    for character in '{"answer": [1, 2, 30]}':
        found.feed(character)
        if found.shows:
            seen.append((found.value(), found.open))
    assert seen[0] == ([], ()) or seen[0][0] == [1]
    assert all(isinstance(value, list) for value, _ in seen)
    assert found.value() == [1, 2, 30]


def test_a_growing_value_costs_the_same_for_each_character() -> None:
    rows = [{"n": at, "text": "x" * 20, "more": [at, None, True]} for at in range(5_000)]
    text = json.dumps(rows)
    found = AnswerText(None)
    for at in range(0, len(text), 8):
        found.feed(text[at : at + 8])
    assert found.scanned <= len(text) + 8
    assert found.value() == rows
    assert not math.isnan(found.scanned)
