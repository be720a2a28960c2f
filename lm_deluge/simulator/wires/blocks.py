"""An answer as what the dialects with one answer make of it: blocks, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lm_deluge.simulator.saying.script import Call, ScriptedChoice

__all__ = ["SaidBlock", "block_at", "blocks_of"]


@attrs.frozen
class SaidBlock:
    """Reasoning (also none that is shown), a text, or a call, in the pieces in which it leaves."""

    kind: str
    """``"reasoning"``, ``"text"``, ``"refusal"`` or ``"call"``."""
    pieces: Sequence[str]
    call: Call | None = None

    @property
    def text(self) -> str:
        """All pieces."""
        return "".join(self.pieces)


def blocks_of(choice: ScriptedChoice, *, reasoning: bool) -> list[SaidBlock]:
    """Return the blocks of an answer. The name of a call is a piece of its own, an empty one.

    ``reasoning``: whether there is a block of it even where none is shown.
    """
    blocks = []
    if choice.reasoning or reasoning:
        blocks.append(SaidBlock("reasoning", choice.reasoning))
    if choice.text:
        blocks.append(SaidBlock("text", choice.text))
    if choice.refusal:
        blocks.append(SaidBlock("refusal", choice.refusal))
    blocks += [SaidBlock("call", ("", *call.arguments), call) for call in choice.calls]
    return blocks


def block_at(blocks: Sequence[SaidBlock], after: int) -> int:
    """Return the index of the block that is open after so many pieces."""
    left = after
    for index, block in enumerate(blocks):
        if block.pieces and left <= len(block.pieces):
            return index
        left -= len(block.pieces)
    return max(len(blocks) - 1, 0)
