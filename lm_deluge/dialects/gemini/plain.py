"""The chunks of text alone, which most of an answer is: read at once, and strictly. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from lm_deluge.dialects.gemini.facts import GeminiFacts

__all__ = ["MOST_BESIDE", "texts_in"]

#: Bytes that a chunk may have beside its text.
MOST_BESIDE: Final = 2048

_HEAD: Final = b"data: "
_LENGTH: Final = len(_HEAD)

#: Counts, also by modality, and the word for a tier; what nests deeper is read the general way.
_Counts: TypeAlias = dict[str, int | str | list[dict[str, int | str]]]


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_Part]
    role: str = ""


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Content
    index: int = 0


class _Chunk(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    candidates: tuple[_Candidate]
    usage_metadata: _Counts | None = None
    model_version: str = ""
    response_id: str = ""


_decode: Final = msgspec.json.Decoder(_Chunk).decode


def texts_in(blocks: Sequence[bytes], start: int, stop: int, facts: GeminiFacts) -> list[str]:
    """Return the texts of blocks from ``start`` on, before ``stop`` and the first that says more.

    Each chunk counts the answer anew: ``facts`` takes the counts of the last one, and a chunk that gives
    another name than the ``facts`` have says more.
    """
    models, ids = ("", facts.model_external), ("", facts.response_id)
    found: list[str] = []
    counts: _Counts | None = None
    try:
        while start < stop:
            block = blocks[start]
            if block[:_LENGTH] != _HEAD or b"\n" in block:
                break
            chunk = _decode(block[_LENGTH:])
            (candidate,) = chunk.candidates
            text = candidate.content.parts[0].text
            if chunk.model_version not in models or chunk.response_id not in ids:
                break
            if candidate.index or len(block) - len(text) > MOST_BESIDE:
                break
            if told := chunk.usage_metadata:
                tier = told.get("serviceTier")
                if tier and tier != facts.service_tier:
                    break
                counts = told
            found.append(text)
            start += 1
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    if counts is not None:
        facts.counts = counts
    return found
