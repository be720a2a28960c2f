"""Compressed bodies decoded for whoever watches; what passes on stays as it came."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final, Protocol

__all__ = ["Decoding", "decoding_of", "encoding_in"]

#: Bytes that one read may become: what grows beyond is no answer.
_MOST: Final = 16 << 20

#: Bytes that a package is fed at once: not all of them can be told where to stop, and a byte may become
#: megabytes.
_SLICE: Final = 64

#: Encodings on top of each other that anybody uses.
_DEEPEST: Final = 4

#: Bytes that a zstd stream may look back (RFC 9659, section 3), and the power of two that this is.
_WINDOW_LOG: Final = 23

_NAME: Final = re.compile(r"[a-z0-9_-]{1,20}")


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


class _Brotli:
    def __init__(self, package: Any) -> None:
        self._decoder = package.Decompressor()
        # Newer ones can be told where to stop.
        self._stops = hasattr(self._decoder, "can_accept_more_data")
        self._feed: Callable[[bytes], bytes] = self._decoder.process

    def feed(self, data: bytes) -> bytes:
        if self._stops:
            decoded = self._decoder.process(data, output_buffer_limit=_MOST)
            if not self._decoder.can_accept_more_data() and not self._decoder.is_finished():
                raise ValueError("a read grew too large")
            return bytes(decoded)
        return self._feed_slices(data)

    def _feed_slices(self, data: bytes) -> bytes:
        decoded = bytearray()
        for at in range(0, len(data), _SLICE):
            decoded += self._feed(data[at : at + _SLICE])
            if len(decoded) > _MOST:
                raise ValueError("a read grew too large")
        return bytes(decoded)


class _Zstd:
    """One frame or several. ``make``: an object for one frame, as all packages have it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._frame = make()

    def feed(self, data: bytes) -> bytes:
        decoded = bytearray()
        for at in range(0, len(data), _SLICE):
            self._take(data[at : at + _SLICE], decoded)
            if len(decoded) > _MOST:
                raise ValueError("a read grew too large")
        return bytes(decoded)

    def _take(self, data: bytes, decoded: bytearray) -> None:
        while data:
            if self._frame.eof:
                self._frame = self._make()
            decoded += self._frame.decompress(data)
            data = self._frame.unused_data if self._frame.eof else b""


def _standard_zstd(package: Any) -> _Step:
    options = {package.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return _Zstd(lambda: package.ZstdDecompressor(options=options))


def _zstandard(package: Any) -> _Step:
    whole = package.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
    return _Zstd(whole.decompressobj)


#: The packages that know an encoding, in the order in which they are asked for, and what of them decodes.
_PACKAGES: Final[dict[str, tuple[tuple[str, Callable[[Any], _Step]], ...]]] = {
    "br": (("brotli", _Brotli), ("brotlicffi", _Brotli)),
    "zstd": (
        ("compression.zstd", _standard_zstd),
        ("backports.zstd", _standard_zstd),
        ("zstandard", _zstandard),
    ),
}


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


def encoding_in(headers: Iterable[tuple[str, str]]) -> str:
    """Return the ``Content-Encoding`` of a message: of several fields all, as one (RFC 9110, section 5.3)."""
    return ", ".join(value for name, value in headers if name.lower() == "content-encoding")


def decoding_of(encoding: str) -> Decoding | None:
    """Return what decodes a ``Content-Encoding``; ``None`` where there is nothing to decode.

    One that is not known, or for which no package is there, has ``failed`` from the start.
    """
    names = [name for part in encoding.split(",") if (name := part.strip().lower())]
    names = [name for name in names if name != "identity"]
    if len(names) > _DEEPEST:
        return Decoding([], f"it came in {len(names)} encodings, one in the other")
    steps: list[_Step] = []
    for name in reversed(names):
        step = _step_of(name)
        if step is None:
            return Decoding([], _why_not(name))
        steps.append(step)
    return Decoding(steps) if steps else None


def _why_not(name: str) -> str:
    if name in _PACKAGES:
        return (
            f"it came in the encoding {name}, for which no package is installed: "
            "pip install 'lm-deluge-streaming[compression]'"
        )
    shown = f" ({name})" if _NAME.fullmatch(name) else ""
    return f"it came in an encoding that cannot be read here{shown}"


def _step_of(name: str) -> _Step | None:
    if name in ("gzip", "x-gzip"):
        return _Zlib(is_gzip=True)
    if name == "deflate":
        return _Zlib(is_gzip=False)
    for module, make in _PACKAGES.get(name, ()):
        try:
            return make(import_module(module))
        except (ImportError, AttributeError):
            continue
    return None
