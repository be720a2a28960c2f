"""What surrounds the text of plain chunks: on most servers the same bytes from one to the next."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["Envelope"]

_CONTENT = b'"content"'

#: Padding of a random length that OpenAI sends with every chunk, to hide how long the tokens are.
_PADDING = b'"obfuscation":"'
_PADDED_END = b'"}'

_decode_text = msgspec.json.Decoder(str).decode
_encode_text = msgspec.json.Encoder().encode

#: With what no JSON begins.
_NEVER = b"\0"


class Envelope:
    """The bytes before and after the text of the last plain chunk that was read in any other way.

    They hold the quotes of the text, too: between these JSON has no line end, so that a block with both
    is one line of data. A chunk with the same bytes there says nothing new but its text: no name, no
    reason and no field of the server's own is different. ``knows``: whether there is one.
    """

    __slots__ = ("_after", "_before", "_is_padded", "_length", "_rest", "knows")

    def __init__(self) -> None:
        self.knows = False
        self._before = _NEVER
        self._after = b""
        self._length = 0
        self._rest = 0
        self._is_padded = False

    def forget(self) -> None:
        """Know no chunk any more: something else was said."""
        self.knows = False
        self._before = _NEVER

    def texts_in(self, blocks: Sequence[bytes], start: int, stop: int) -> list[str]:
        """Return the texts of blocks from ``start`` on, before ``stop`` and the first in another envelope.

        In one call for all: a call costs as much as what is done in it.
        """
        before, after, length, rest = self._before, self._after, self._length, self._rest
        is_padded = self._is_padded
        found: list[str] = []
        try:
            while start < stop:  # a range costs a lone block more than all the rest of the loop
                block = blocks[start]
                start += 1
                if block[:length] != before:
                    break
                if is_padded:
                    block, padding, end = block.rsplit(b'"', 2)
                    if end != b"}" or (padding and not padding.isalnum()):
                        break
                if block[-rest:] != after:
                    break
                found.append(_decode_text(block[length - 1 : 1 - rest]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        return found

    def learn(self, block: bytes, text: str) -> None:
        """Know the envelope of a block of one line whose ``text`` was read in another way."""
        self.forget()
        start = block.find(_CONTENT) + len(_CONTENT)
        if block.count(_CONTENT) != 1 or block[start : start + 1] != b":":
            return
        start += 2 if block[start + 1 : start + 2] == b" " else 1
        literal = _encode_text(text)
        end = start + len(literal)
        if block[start:end] != literal:
            return  # it is written with other escapes
        start += 1
        after = block[end - 1 :]
        head, mark, padded = after.partition(_PADDING)
        self._is_padded = bool(mark)
        if mark:
            if padded[-2:] != _PADDED_END or not padded[:-2].isalnum():
                return
            after = head + mark[:-1]
        self._before, self._after = block[:start], after
        self._length, self._rest = start, len(after)
        self.knows = True
