"""What comes in many pieces takes time that grows with them and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lm_deluge.dialects.gemini.streamed_arguments import StreamedArguments
from lm_deluge.dialects.messages.choice import MessagesChoice


def argue(pieces: int) -> None:
    """Take one argument of a call piece by piece."""
    streamed = StreamedArguments()
    piece = {"jsonPath": "$.a", "stringValue": "x" * 200, "willContinue": True}
    for _ in range(pieces):
        streamed.take(piece)
    assert len(streamed.value["a"]) == 200 * pieces


def cite(pieces: int) -> None:
    """Take the citations of one block of text."""
    choice = MessagesChoice(10)
    assert list(choice.begin(0, {"type": "text", "text": "So"}))
    delta = {"type": "citations_delta", "citation": None}
    for _ in range(pieces):
        for _ in choice.go_on(0, delta):
            pass
    (block,) = choice.content()
    assert len(block["citations"]) == pieces


def seconds(take: Callable[[int], None], pieces: int, rounds: int) -> float:
    """Return the least time of this process that some rounds took."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        take(pieces)
        taken.append(time.process_time() - begun)
    return min(taken)


@pytest.mark.parametrize(("take", "pieces"), [(argue, 1500), (cite, 2500)])
def test_pieces_are_joined_once(take: Callable[[int], None], pieces: int) -> None:
    few, many = seconds(take, pieces, 3), seconds(take, 16 * pieces, 1)
    assert many < 32 * few
