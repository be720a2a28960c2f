"""Compressed bodies decoded for whoever watches; what passes on stays as it came."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol

__all__ = ["Decoding", "decoding_of"]

#: Bytes that one read may become: what grows beyond is no answer.
_MOST: Final = 64 << 20

#: Bytes that a package is fed at once: not all of them can be told where to stop, and a byte may become
#: megabytes.
_SLICE: Final = 64

#: The packages that know an encoding, in the order in which they are asked for, and what of them decodes:
#: a class whose objects have a method of that name.
_PACKAGES: Final = {
    "br": (("brotli", "Decompressor", "process"), ("brotlicffi", "Decompressor", "process")),
    "zstd": (
        ("compression.zstd", "ZstdDecompressor", "decompress"),
        ("backports.zstd", "ZstdDecompressor", "decompress"),
        ("zstandard", "ZstdDecompressor", "decompressobj"),
    ),
}


class _Step(Protocol):
    def feed(self, data: bytes) -> bytes:
        """Return what bytes decode to; raises whatever the package does for bytes that are malformed."""


class _Zlib:
    """gzip, of one member or several, and deflate, with the header of zlib or without."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._begun = b""
        self._inflate = zlib.decompressobj(31) if is_gzip else None

    def feed(self, data: bytes) -> bytes:
        if self._inflate is None:
            data = self._begun = self._begun + data
            if len(data) < 2:
                return b""
            # RFC 9110, section 8.4.1.2: some servers leave out the header of zlib (RFC 1950), of which the
            # two first bytes are a multiple of 31.
            has_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(15 if has_header else -15)
        decoded = b""
        while data:
            if self._inflate.eof:
                if not self._is_gzip:
                    break
                self._inflate = zlib.decompressobj(31)
            decoded += self._inflate.decompress(data, _MOST - len(decoded) + 1)
            if len(decoded) > _MOST or self._inflate.unconsumed_tail:
                raise ValueError("a read grew too large")
            data = self._inflate.unused_data
        return decoded


class _ByPackage:
    def __init__(self, feed: Callable[[bytes], bytes]) -> None:
        self._feed = feed

    def feed(self, data: bytes) -> bytes:
        decoded = bytearray()
        for at in range(0, len(data), _SLICE):
            decoded += self._feed(data[at : at + _SLICE])
            if len(decoded) > _MOST:
                raise ValueError("a read grew too large")
        return bytes(decoded)


class Decoding:
    """A body that is decoded read by read. ``failed``: why it no longer is, ``None`` while it is."""

    def __init__(self, steps: list[_Step], failed: str | None = None) -> None:
        self._steps = steps
        self.failed = failed

    def feed(self, data: bytes) -> bytes:
        """Return what is readable by now: ``b""`` once it ``failed``."""
        if self.failed is not None:
            return b""
        try:
            for step in self._steps:
                data = step.feed(data)
        except Exception as error:  # noqa: BLE001 - each package has errors of its own
            self.failed = f"its compression is malformed ({type(error).__name__})"
            return b""
        return data


def decoding_of(encoding: str) -> Decoding | None:
    """Return what decodes a ``Content-Encoding``; ``None`` where there is nothing to decode.

    One that is not known, or for which no package is there, has ``failed`` from the start.
    """
    names = [name for part in encoding.split(",") if (name := part.strip().lower())]
    steps: list[_Step] = []
    for name in reversed([name for name in names if name != "identity"]):
        step = _step_of(name)
        if step is None:
            known = " and no package for it is installed" if name in _PACKAGES else ""
            return Decoding([], f"it came in an encoding that cannot be read here{known}")
        steps.append(step)
    return Decoding(steps) if steps else None


def _step_of(name: str) -> _Step | None:
    if name in ("gzip", "x-gzip"):
        return _Zlib(is_gzip=True)
    if name == "deflate":
        return _Zlib(is_gzip=False)
    for module, kind, method in _PACKAGES.get(name, ()):
        try:
            decoder: Any = getattr(import_module(module), kind)()
        except (ImportError, AttributeError):
            continue
        made = getattr(decoder, method, None)
        if made is not None:
            return _ByPackage(made().decompress if method == "decompressobj" else made)
    return None
