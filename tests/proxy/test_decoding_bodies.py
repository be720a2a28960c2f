"""Compressed answers are decoded for whoever watches, as far as the bytes that came allow."""

from __future__ import annotations

import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Any

import brotli
import pytest
import zstandard

from lm_deluge import APIResponse
from lm_deluge.errors import StreamCancelled
from lm_deluge.proxy import decoding
from lm_deluge.proxy.decoding import Decoding, decoding_of
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import WatchingEar, asks, opened, watched
from support.wires import BEGUN, ENDED

TEXT = BEGUN["chat"] * 20


def _brotlied() -> list[bytes]:
    packer = brotli.Compressor()
    events = [packer.process(BEGUN["chat"]) + packer.flush() for _ in range(20)]
    return [*events, packer.finish()]


def _zstded() -> list[bytes]:
    """Flushed after each event; then, of the second half, a frame each."""
    packer = zstandard.ZstdCompressor().compressobj()
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    events = [packer.compress(BEGUN["chat"]) + packer.flush(block) for _ in range(10)]
    frames = [zstandard.compress(BEGUN["chat"]) for _ in range(10)]
    return [*events, packer.flush(), *frames]


def _deflated(wbits: int) -> list[bytes]:
    """A server that flushes after each event."""
    packer = zlib.compressobj(wbits=wbits)
    events = [packer.compress(BEGUN["chat"]) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(20)]
    return [*events, packer.flush()]


def _step(encoding: str) -> Decoding:
    step = decoding_of(encoding)
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("encoding", "parts"),
    [
        ("gzip", _deflated(31)),
        ("x-gzip", [gzip.compress(TEXT)]),
        ("GZIP", [gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:])]),
        ("deflate", _deflated(15)),
        ("deflate", _deflated(-15)),
        ("gzip, gzip", [gzip.compress(gzip.compress(TEXT))]),
        ("identity, gzip", [gzip.compress(TEXT)]),
        ("br", _brotlied()),
        ("zstd", _zstded()),
        ("gzip, br", [brotli.compress(gzip.compress(TEXT))]),
        ("br, zstd", [zstandard.compress(brotli.compress(TEXT))]),
        (
            "deflate, zstd,br , gzip",
            [gzip.compress(brotli.compress(zstandard.compress(zlib.compress(TEXT))))],
        ),
    ],
)
def test_what_is_decoded_is_the_text_however_it_is_cut(encoding: str, parts: list[bytes]) -> None:
    body = b"".join(parts)
    rng = random.Random(1)
    for size in (1, 7, len(body)):
        step = _step(encoding)
        got, at = b"", 0
        while at < len(body):
            more = rng.randint(1, size)
            got += step.feed(body[at : at + more])
            at += more
        assert (got, step.failed) == (TEXT, None)


@pytest.mark.parametrize(
    ("encoding", "parts"),
    [("gzip", _deflated(31)), ("deflate", _deflated(15)), ("br", _brotlied()), ("zstd", _zstded())],
)
def test_an_event_is_there_as_soon_as_it_was_flushed(encoding: str, parts: list[bytes]) -> None:
    step = _step(encoding)
    assert [got for part in parts if (got := step.feed(part))] == [BEGUN["chat"]] * 20


@pytest.mark.parametrize("encoding", ["", "identity", " , identity"])
def test_what_is_not_encoded_is_not_decoded(encoding: str) -> None:
    assert decoding_of(encoding) is None


@pytest.mark.parametrize("encoding", ["rot13", "compress", "dcb", "aws-chunked", "gzip, rot13"])
def test_an_encoding_that_nobody_knows_has_failed_from_the_start(encoding: str) -> None:
    step = _step(encoding)
    bad = encoding.rpartition(" ")[2]
    assert step.failed == f"it came in an encoding that cannot be read here ({bad})"
    assert step.feed(b"abc") == b""


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_whose_package_is_not_there_says_so(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, _ in decoding._PACKAGES[encoding]:
        monkeypatch.setitem(sys.modules, module, None)
    assert str(_step(encoding).failed) == (
        f"it came in the encoding {encoding}, for which no package is installed: "
        "pip install 'lm-deluge-streaming[compression]'"
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_bytes_that_are_malformed_end_the_decoding_and_raise_nothing(encoding: str) -> None:
    step = _step(encoding)
    assert step.feed(b"\xff\xfe this is none") == b""
    assert step.failed is not None
    assert step.feed(gzip.compress(TEXT)) == b""


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", lambda data: gzip.compress(data, 6)),
        ("deflate", zlib.compress),
        ("br", lambda data: brotli.compress(data, quality=5)),
        ("zstd", zstandard.compress),
    ],
)
def test_a_bomb_is_not_blown_up(encoding: str, packed: Callable[[bytes], bytes]) -> None:
    step = _step(encoding)
    assert step.feed(packed(bytes(100 << 20))) == b""
    assert "malformed" in str(step.failed)


def test_a_window_that_no_server_may_use_is_not_made() -> None:
    step = _step("zstd")
    wide = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    assert step.feed(packer.compress(TEXT) + packer.flush()) == b""
    assert "malformed" in str(step.failed)


def test_many_encodings_on_top_of_each_other_are_nobodys() -> None:
    assert "it came in 9 encodings" in str(_step(", ".join(["gzip"] * 9)).failed)


def test_a_brotli_that_cannot_be_told_where_to_stop_decodes_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Older:
        class Decompressor:
            def __init__(self) -> None:
                self.process = brotli.Decompressor().process

    monkeypatch.setitem(sys.modules, "brotli", Older)
    step = _step("br")
    assert b"".join(step.feed(part) for part in _brotlied()) == TEXT
    bomb = _step("br")
    assert bomb.feed(brotli.compress(bytes(100 << 20), quality=5)) == b""
    assert "malformed" in str(bomb.failed)


@pytest.mark.parametrize("module", ["backports.zstd", "zstandard"])
def test_each_package_decodes_alike(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other, _ in decoding._PACKAGES["zstd"]:
        if other != module:
            monkeypatch.setitem(sys.modules, other, None)
    pytest.importorskip(module)
    step = _step("zstd")
    assert b"".join(step.feed(part) for part in _zstded()) == TEXT


def _answered(encoding: str) -> Any:
    return (("Content-Type", "text/event-stream"), ("Content-Encoding", encoding))


async def test_a_compressed_answer_is_heard_as_any_other() -> None:
    packer = zlib.compressobj(wbits=31)
    reads = [
        packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
        for part in (BEGUN["chat"], ENDED["chat"])
    ]
    ear = await watched(reads, answered=_answered("gzip"))
    assert ear.calls == ["start", "token", "complete"]
    assert isinstance(ear.ending, APIResponse)
    assert ear.ending.completion == "Good"
    assert not ear.notes


@pytest.mark.parametrize("encoding", ["rot13", "gzip"])
async def test_what_cannot_be_read_is_noted_and_counts_as_no_failure_of_anybodys(
    encoding: str,
) -> None:
    ear = await watched([b"\x00\x01\x02\x03", b"more"], answered=_answered(encoding))
    assert ear.calls == ["start", "error"]
    assert isinstance(ear.ending, StreamCancelled)
    (note,) = ear.notes
    assert note.id == ear.stream_id
    assert note.what in str(ear.ending)


async def test_encodings_of_several_fields_are_one() -> None:
    headers = (*_answered("br"), ("content-ENCODING", "gzip"))
    body = gzip.compress(brotli.compress(BEGUN["chat"] + ENDED["chat"]))
    ear = await watched([body], answered=headers)
    assert ear.calls == ["start", "token", "complete"]
    assert not ear.notes


async def test_a_request_in_an_encoding_of_nobody_is_noted_and_watched_by_its_answer() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, b"what?", headers=(("Content-Encoding", "rot13"),))
    assert [note.what for note in ear.notes] == [
        "the request's body: it came in an encoding that cannot be read here (rot13)"
    ]
    exchange.head(200, (("Content-Type", "text/event-stream"),))
    exchange.read(BEGUN["chat"] + ENDED["chat"], perf_counter())
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]


@pytest.mark.parametrize(
    ("fields", "packed"),
    [
        (("gzip",), gzip.compress),
        (("deflate",), zlib.compress),
        (("br",), brotli.compress),
        (("zstd",), zstandard.compress),
        (("gzip, br",), lambda data: brotli.compress(gzip.compress(data))),
        (("zstd", "gzip"), lambda data: gzip.compress(zstandard.compress(data))),
    ],
)
async def test_a_compressed_request_is_read_too(
    fields: tuple[str, ...], packed: Callable[[bytes], bytes]
) -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    body = packed(json.dumps(asks()).encode())
    exchange = opened(watcher, body, headers=[("Content-Encoding", field) for field in fields])
    assert ear.calls == ["start"]
    exchange.head(200, (("Content-Type", "text/event-stream"),))
    exchange.read(BEGUN["chat"] + ENDED["chat"], perf_counter())
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]
