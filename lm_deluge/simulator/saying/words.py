"""Text that is the same for the same seed, cut into pieces as a tokenizer would."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

# Some words are not ASCII on purpose: a client that cuts bytes in the wrong place shows it.
_WORDS = (
    "the a one this that small quiet bright old new first last careful patient river window robot "
    "garden letter engine signal stream answer question morning color canvas paper machine voice "
    "bridge forest number moment café naïve über señor jalapeño piñata 東京 λόγος and then but so "
    "because while after before slowly often never always begins paints learns waits moves turns "
    "finds keeps follows remembers listens opens writes measures arrives with without into under "
    "over through between toward beyond"
).split()
_EMOJI = ("🙂", "🎨", "🤖", "🌧️")
_PIECE = re.compile(r"\s*[^\s\w]|\s*\w{1,12}|\s+", re.UNICODE)


def rng_for(*parts: object) -> random.Random:
    """A random generator for these parts: the same on every machine and in every process."""
    return random.Random("\0".join(map(str, parts)))


def tokenize(text: str) -> list[str]:
    """Cut text into word-like pieces with leading spaces; their join is the text."""
    return _PIECE.findall(text)


def seeded_pieces(rng: random.Random, count: int) -> list[str]:
    """``count`` pieces of prose."""
    pieces: list[str] = []
    left = 0
    while len(pieces) < count:
        if left == 0:
            pieces.append(_opening(rng, first=not pieces))
            left = rng.randint(5, 14)
            continue
        left -= 1
        if left == 0:
            pieces.append(rng.choice((".", ".", ".", "!", "?")))
        elif left == 7:
            pieces.append(",")
        else:
            pieces.append(" " + (rng.choice(_EMOJI) if rng.random() < 0.01 else rng.choice(_WORDS)))
    return pieces


def _opening(rng: random.Random, *, first: bool) -> str:
    word = rng.choice(_WORDS).capitalize()
    if first:
        return word
    return ("\n\n" if rng.random() < 0.12 else " ") + word


def some_words(rng: random.Random, count: int) -> str:
    """So many words, with spaces between them."""
    return rng.choice(_WORDS) if count == 1 else " ".join(rng.choices(_WORDS, k=count))


def cut_json(value: Any, rng: random.Random) -> list[str]:
    """JSON text (or a text given as it is) in pieces of a few characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    pieces = []
    at = 0
    while at < len(text):
        size = rng.randint(2, 7)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def count_prompt(messages: Any) -> int:
    """Roughly how many tokens a prompt has: the service's overhead and a token per 4 characters."""
    if not isinstance(messages, list):
        return 0
    total = 3
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else message
        if isinstance(content, list):
            content = "".join(str(p.get("text", "")) for p in content if isinstance(p, Mapping))
        total += 4 + (len(str(content or "")) + 3) // 4
    return total
