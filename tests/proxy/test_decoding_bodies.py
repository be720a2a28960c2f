"""Compressed answers are decoded for whoever watches, as far as the bytes that came allow."""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import APIResponse
from lm_deluge.errors import StreamCancelled
from lm_deluge.proxy import decoding
from lm_deluge.proxy.decoding import Decoding, decoding_of
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import WatchingEar, asks, opened, watched
from support.wires import BEGUN, ENDED

TEXT = BEGUN["chat"] * 20


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


def test_an_event_is_there_as_soon_as_it_was_flushed() -> None:
    step = _step("gzip")
    assert [step.feed(part) for part in _deflated(31)] == [*[BEGUN["chat"]] * 20, b""]


@pytest.mark.parametrize("encoding", ["", "identity", " , identity"])
def test_what_is_not_encoded_is_not_decoded(encoding: str) -> None:
    assert decoding_of(encoding) is None


@pytest.mark.parametrize("encoding", ["rot13", "compress", "gzip, rot13"])
def test_an_encoding_that_nobody_knows_has_failed_from_the_start(encoding: str) -> None:
    step = _step(encoding)
    assert step.failed == "it came in an encoding that cannot be read here"
    assert step.feed(b"abc") == b""


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_whose_package_is_not_there_says_so(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, _, _ in decoding._PACKAGES[encoding]:
        monkeypatch.setitem(sys.modules, module, None)
    assert "no package for it is installed" in str(_step(encoding).failed)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bytes_that_are_malformed_end_the_decoding_and_raise_nothing(encoding: str) -> None:
    step = _step(encoding)
    assert step.feed(b"\xff\xfe this is none") == b""
    assert step.failed is not None
    assert step.feed(gzip.compress(TEXT)) == b""


def test_a_bomb_is_not_blown_up() -> None:
    step = _step("gzip")
    assert step.feed(gzip.compress(bytes(100 << 20))) == b""
    assert "malformed" in str(step.failed)


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


async def test_a_compressed_request_is_read_too() -> None:
    import json

    ear = WatchingEar()
    watcher = Watcher([ear])
    body = gzip.compress(json.dumps(asks()).encode())
    exchange = opened(watcher, body, headers=(("Content-Encoding", "gzip"),))
    assert ear.calls == ["start"]
    exchange.head(200, (("Content-Type", "text/event-stream"),))
    exchange.read(BEGUN["chat"] + ENDED["chat"], perf_counter())
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]
