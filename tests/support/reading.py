"""Reads a body as an answer, cut in several ways, and looks that all agree."""

from __future__ import annotations

from typing import Any

from lm_deluge import Delta, Token
from lm_deluge.dialects.chat.answer import ChatAnswer
from support.scripted import DONE, sse


class Reading:
    """An answer that was read, and its pieces."""

    def __init__(self, body: bytes, size: int, **options: Any) -> None:
        self.answer = ChatAnswer(**options)
        self.pieces: list[Token | Delta] = []
        for at in range(0, len(body), size):
            self.pieces += self.answer.feed(body[at : at + size], 0.0)
        self.whole_before_its_end = self.answer.whole
        self.pieces += self.answer.close(0.0)

    @property
    def tokens(self) -> list[str]:
        return [piece.text for piece in self.pieces if isinstance(piece, Token)]

    def deltas(self, kind: str) -> list[str]:
        return [p.text for p in self.pieces if isinstance(p, Delta) and p.kind == kind]

    @property
    def error(self) -> Any:
        return self.answer.error

    @property
    def choice(self) -> Any:
        return self.answer.choices()[0]

    def summary(self) -> dict[str, Any]:
        """All but what depends on the cuts: times and ordinals of reads."""
        answer = self.answer
        return {
            "choices": answer.choices(),
            "pieces": [
                (p.text, p.index, p.choice)
                if isinstance(p, Token)
                else (p.kind, p.text, p.index, p.choice, p.id, p.name, p.arguments)
                for p in self.pieces
            ],
            "usage": answer.facts.usage,
            "error": (type(answer.error), str(answer.error), getattr(answer.error, "offset", 0)),
            "state": (answer.done, answer.finished, answer.whole, answer.has_output),
            "names": (
                answer.facts.response_id,
                answer.facts.model_external,
                answer.facts.system_fingerprint,
            ),
            "tier": answer.facts.service_tier,
        }


def read(body: bytes, **options: Any) -> Reading:
    whole = Reading(body, max(len(body), 1), **options)
    for size in (1, 2, 7):
        assert Reading(body, size, **options).summary() == whole.summary(), size
    for choice in whole.answer.choices():
        texts = [p.text for p in whole.pieces if isinstance(p, Token) and p.choice == choice.index]
        assert "".join(texts) == choice.completion
    for piece in whole.pieces:
        piece.text.encode()
    return whole


def text_of(*chunks: Any) -> str:
    """Read chunks, and return the text that they say."""
    reading = read(b"".join(sse(chunk) for chunk in chunks) + DONE)
    assert reading.error is None
    return str(reading.choice.completion)
