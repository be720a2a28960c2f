"""What broke is said in words that a person uses, for every class and phase there is."""

from __future__ import annotations

import inspect
import itertools
import re
from typing import Any

import pytest

import lm_deluge.errors
from lm_deluge.timeline.measures.error_words import (
    PHASES,
    ending_words,
    error_kinds,
    error_words,
    retry_words,
)
from lm_deluge.timeline.measures.metrics import measure
from lm_deluge.timeline.report.tables import errors_part
from support.timelines import timeline

CLASSES = sorted(
    name
    for name, value in vars(lm_deluge.errors).items()
    if inspect.isclass(value) and issubclass(value, Exception)
)


def test_the_phases_are_those_that_an_error_can_have() -> None:
    told = set(re.findall(r'``"(\w+)"``', lm_deluge.errors.StreamError.__doc__ or ""))
    assert set(PHASES) == {*told, None}


@pytest.mark.parametrize(
    ("name", "phase", "text"), list(itertools.product(CLASSES, PHASES, [None, True, False]))
)
def test_every_class_has_words_in_every_phase_and_they_name_no_class(
    name: str, phase: str | None, text: bool | None
) -> None:
    words = ending_words(name, phase, text=text)
    assert not re.search("Error|Cancelled|_|does not know|without a name", words), words
    assert 10 < len(words) < 90
    assert words == " ".join(words.split())
    # Words of one kind fit into a sentence: no capital, no full stop.
    assert words[0].islower()
    assert words[-1] != "."
    assert not re.search("Error|_", retry_words(name))


@pytest.mark.parametrize(
    "name", [name for name in CLASSES if name not in ("APIError", "StreamError")]
)
def test_classes_that_mean_different_things_have_different_words(name: str) -> None:
    assert [other for other in CLASSES if error_words(other) == error_words(name)] == [name]


@pytest.mark.parametrize(
    ("error", "phase", "text", "words"),
    [
        ("ConnectionLostError", "between_tokens", True, "the connection broke after some text"),
        ("ConnectionLostError", "between_tokens", False, "the connection broke before any visible text"),
        ("RateLimitError", "first_token", False, "no answer at all: the server was too busy (429)"),
        ("RateLimitError", "between_tokens", True, "the server was too busy (429) after some text"),
        ("APITimeoutError", "first_token", None, "no answer at all: nothing came in time"),
        ("APITimeoutError", "total", False, "no answer at all: the answer was not whole in the time "
         "that it was given"),
        ("StreamCancelled", "first_token", False, "the reader left before any output"),
        ("StreamCancelled", "between_tokens", True, "the reader left after some text"),
        ("PromptError", None, None, "nothing was sent: the prompt made no sense"),
        ("FooError", "between_tokens", True,
         "an error this version does not know: FooError (after some text)"),
        ("FooError", None, False, "no answer at all: an error this version does not know: FooError"),
        ("unknown", "between_tokens", True, "an error without a name (after some text)"),
        ("ConnectionLostError", "of a later version", True, "the connection broke after some text"),
    ],
)  # fmt: skip
def test_words(error: str, phase: str | None, text: bool | None, words: str) -> None:
    assert ending_words(error, phase, text=text) == words


def streams(*failures: tuple[str, str | None, int]) -> Any:
    return measure(
        timeline([0.1 * (k + 1) for k in range(pieces)], ended=3.0, failed=error, phase=phase)
        for error, phase, pieces in failures
    ).groups["m"]


def test_failures_are_grouped_by_their_words_and_not_by_class_and_phase() -> None:
    group = streams(
        *[("ConnectionLostError", "between_tokens", 3)] * 27,
        ("ConnectionLostError", None, 5),
        *[("RateLimitError", "first_token", 0)] * 2,
        ("RateLimitError", "connect", 0),
        ("ConnectionLostError", "between_tokens", 0),
    )
    kinds = error_kinds(group)
    assert [(kind.words, kind.count) for kind in kinds] == [
        ("the connection broke after some text", 28),
        ("no answer at all: the server was too busy (429)", 3),
        ("the connection broke before any visible text", 1),
    ]
    assert kinds[0].logged == "ConnectionLostError (between_tokens), ConnectionLostError"
    assert kinds[0].classes == "ConnectionLostError"
    assert not kinds[0].cancelled


def test_who_left_has_not_failed() -> None:
    (kind,) = error_kinds(streams(("StreamCancelled", "between_tokens", 2)))
    assert kind.cancelled


def test_the_page_says_once_what_happened_and_how_often_in_which_group() -> None:
    broken = [
        timeline([0.5], ended=2.0, failed="ConnectionLostError", phase=phase, tags={"variant": tag})
        for tag, phase in (("A", "between_tokens"), ("B", "between_tokens"), ("B", None))
        for _ in range(9)
    ]
    whole = [timeline([0.5, 1.0], tags={"variant": tag}) for tag in "AB" for _ in range(30)]
    part = errors_part(measure([*broken, *whole], by="variant"))
    (kind,) = part["kinds"]
    assert (kind["words"], kind["count"]) == ("the connection broke after some text", "27")
    assert [(row["name"], row["count"]) for row in kind["rows"]] == [("A", "9"), ("B", "18")]
    assert kind["rows"][1]["logged"] == "ConnectionLostError (between_tokens), ConnectionLostError"
