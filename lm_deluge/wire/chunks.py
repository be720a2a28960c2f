"""One event's data to one chunk: a typed decoder for what nearly every chunk is, JSON for the rest."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from lm_deluge.wire.text import without_surrogates

__all__ = ["PlainChunk", "decode_any", "decode_plain"]


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


class PlainChunk(msgspec.Struct, gc=False):
    """A chunk with one choice that holds visible text, and no usage and no error."""

    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None
    x_groq: None = None
    base_resp: None = None
    citations: None = None


#: Decodes a plain chunk; raises ``msgspec.MsgspecError`` or ``UnicodeDecodeError`` for any other data.
decode_plain = msgspec.json.Decoder(PlainChunk).decode

_decode_fast = msgspec.json.Decoder(Any).decode


def decode_any(data: bytes) -> Any:
    """Return the JSON value in ``data``; raise ``ValueError`` saying why there is none.

    NaN is taken as Python's ``json`` takes it, a lone surrogate as ``without_surrogates`` does; bytes
    that are not UTF-8 become U+FFFD, as the event-stream standard has it.
    """
    try:
        return _decode_fast(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        text = data.decode("utf-8", "replace").removeprefix("\ufeff")
        return without_surrogates(json.loads(text))
    except RecursionError:
        message = "nested too deeply"
    except ValueError as error:
        message = str(error)
    raise ValueError(message)
