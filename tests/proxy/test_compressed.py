"""Compressed answers on sockets: the app gets the bytes that came, the log has what they say."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from lm_deluge.proxy import Proxy
from lm_deluge_plugins import FileLogger
from support.raw_http import Asker, Side, Upstream
from support.wires import BEGUN, ENDED

Packed = Iterator[bytes]
EVENTS = [BEGUN["chat"], BEGUN["chat"], ENDED["chat"]]


def _zlib(wbits: int) -> Packed:
    packer = zlib.compressobj(wbits=wbits)
    for event in EVENTS:
        yield packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def _brotli() -> Packed:
    packer = brotli.Compressor()
    for event in EVENTS:
        yield packer.process(event) + packer.flush()
    yield packer.finish()


def _zstd() -> Packed:
    packer = zstandard.ZstdCompressor().compressobj()
    for event in EVENTS:
        yield packer.compress(event) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    yield packer.flush()


def _stacked() -> Packed:
    yield brotli.compress(gzip.compress(b"".join(EVENTS)))


def _plain() -> Packed:
    yield from EVENTS


#: Header lines, the body, and what is noted; nothing: it is understood.
_TABLE: dict[str, tuple[bytes, Callable[[], Packed], str]] = {
    "gzip": (b"Content-Encoding: gzip\r\n", lambda: _zlib(31), ""),
    "deflate": (b"content-encoding: Deflate\r\n", lambda: _zlib(15), ""),
    "raw deflate": (b"Content-Encoding: deflate\r\n", lambda: _zlib(-15), ""),
    "br": (b"Content-Encoding: br\r\n", _brotli, ""),
    "zstd": (b"Content-Encoding: zstd\r\n", _zstd, ""),
    "one in the other": (b"Content-Encoding: gzip, br\r\n", _stacked, ""),
    "in two fields": (b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n", _stacked, ""),
    "identity": (b"Content-Encoding: identity\r\n", _plain, ""),
    "unknown": (b"Content-Encoding: rot13\r\n", _plain, "it came in an encoding"),
    "none, though it says one": (
        b"Content-Encoding: gzip\r\n",
        _plain,
        "its compression is malformed",
    ),
    "odd": (b"Content-Encoding: \xff;q=1\r\n", _plain, "it came in an encoding"),
}


@pytest.mark.parametrize("name", _TABLE)
async def test_bytes_are_unchanged_and_heard_if_they_can_be(name: str, tmp_path: Path) -> None:
    fields, packed, noted = _TABLE[name]
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + fields
        + b"Transfer-Encoding: chunked\r\n\r\n"
    )  # fmt: skip
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in packed() if part]

    async def script(side: Side) -> None:
        await side.head()
        await side.write(head)
        for chunk in (*chunks, b"0\r\n\r\n"):
            await side.write(chunk)
        await side.rest()

    log = tmp_path / "log.jsonl"
    logger = FileLogger(log)
    whole = head + b"".join(chunks) + b"0\r\n\r\n"
    asked = b'{"model": "m", "stream": true}'
    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url, handlers=[logger]) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
            % (len(asked), asked)
        )
        assert await asker.exactly(len(whole)) == whole
    logger.close()
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    notes = [row["what"] for row in rows if row["e"] == "note"]
    told = [row["e"] for row in rows if row["e"] != "note"]
    if noted:
        (note,) = notes
        assert note.startswith(noted)
        assert told == ["start", "error"]
        assert rows[-1]["error"] == "StreamCancelled"
    else:
        assert notes == []
        assert told == ["start", "token", "token", "complete"]
