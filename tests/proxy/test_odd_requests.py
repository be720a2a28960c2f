"""Requests and answers that are not what they say, and keys where none belongs: one stream, told once."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from lm_deluge import APIResponse, Stream, StreamHandler
from lm_deluge.errors import StreamCancelled
from lm_deluge.proxy.decoding import decoding_of
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import EVENTS, asks, opened, watched
from support.promises import KEY
from support.wires import BEGUN, ENDED


@pytest.mark.parametrize("encoding", ["gzip", "an-unknown-one"])
async def test_what_cannot_be_decoded_is_one_stream_with_one_ending(encoding: str) -> None:
    ear = await watched([BEGUN["chat"]], answered=(*EVENTS, ("Content-Encoding", encoding)))
    assert ear.calls == ["start", "error"]
    assert isinstance(ear.ending, StreamCancelled)
    assert [note.what.split(" ")[0] for note in ear.notes] == [
        "its" if encoding == "gzip" else "it"
    ]
    assert ear.requests == []


@pytest.mark.parametrize("said", ["true", 1, False, None])
async def test_what_streams_is_a_stream_whatever_its_request_says(said: object) -> None:
    """Some servers take other values for yes, and some stream unasked."""
    ear = await watched([BEGUN["chat"], ENDED["chat"]], body=asks(stream=said))
    assert isinstance(ear.ending, APIResponse)
    assert ear.ending.completion == "Good"


async def test_a_key_in_tags_and_in_a_models_name_is_shown_nowhere() -> None:
    seen = []

    class Tags(StreamHandler):
        def on_start(self, stream: Stream) -> None:
            seen.append(f"{stream.tags} {stream.model} {stream!r}")

    watcher = Watcher([Tags()], body_tags=True)
    body = asks(model=f"m-{KEY}", user=KEY, metadata={KEY: "a", "b": KEY})
    headers = (("User-Agent", f"{KEY}/1"), ("X-LM-Deluge-Tags", f"c={KEY}"))
    opened(watcher, body, headers=headers).ended("reader left")
    await watcher.aclose()
    assert "m-" in seen[0]
    assert KEY.lower() not in seen[0].lower()


@pytest.mark.slow
def test_a_read_that_would_fill_the_memory_is_given_up() -> None:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    for bomb in (
        gzip.compress(bytes(1 << 27)),
        zstandard.ZstdCompressor().compress(bytes(1 << 29)),
    ):
        decoding = decoding_of("gzip" if bomb[:1] == b"\x1f" else "zstd")
        assert decoding is not None
        tracemalloc.start()
        assert decoding.feed(bomb) == b""
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert decoding.failed == "its compression is malformed (ValueError)"
        assert most < 160 << 20
