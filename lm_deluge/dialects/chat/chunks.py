"""One event's data to one chunk: a typed decoder for what nearly every chunk is, JSON for the rest."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["PlainChunk", "decode_choice", "decode_plain"]


class _PlainDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A delta of visible text and nothing else.

    A field of type ``None`` refuses any other value, and a field that is not here is refused: a chunk
    that carries more than text fails to decode here and goes the general way, so the common one needs
    no test per field.
    """

    content: str
    role: Literal["assistant"] | None = None
    reasoning_content: None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    # The fields below the first four are null on nearly every chunk of some servers: vLLM's, SGLang's,
    # OpenRouter's.
    delta: _PlainDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    stop_reason: None = None
    token_ids: None = None
    matched_stop: None = None
    native_finish_reason: None = None


class PlainChunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A chunk with one choice that holds visible text, and no usage and no error.

    A field that is not here may mean anything: it is read the general way.
    """

    choices: tuple[_PlainChoice]
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    object: str | None = None
    created: int | float | str | None = None
    obfuscation: str | None = None
    usage: None = None
    error: None = None
    x_groq: None = None
    base_resp: None = None
    citations: None = None


#: Decodes a plain chunk; raises ``msgspec.MsgspecError`` or ``UnicodeDecodeError`` for any other data.
decode_plain = msgspec.json.Decoder(PlainChunk).decode


class _ChunkOfText(msgspec.Struct, gc=False):
    choices: tuple[_PlainChoice]


#: Decodes the one choice of a chunk that holds visible text alone, whatever else the chunk holds; raises
#: as ``decode_plain``.
decode_choice = msgspec.json.Decoder(_ChunkOfText).decode
