"""JSON as servers write it: bytes to values."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lm_deluge.wire.surrogates import without_surrogates

__all__ = ["decode_any"]

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
