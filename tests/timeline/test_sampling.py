"""Which streams are drawn: chosen the same from memory and from a log, and the longest waits among them."""

from __future__ import annotations

import gzip
import io
import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.logs.record import encode_lines
from lm_deluge.timeline import Sample, measure, read_timelines
from lm_deluge.timeline.measures import sampling
from support.programs import Call
from support.timelines import stream_lines, timeline, write


def two_groups(n: int) -> list[list[float]]:
    """Arrivals of ``n`` streams: the later, the longer the silence in it, but for every third."""
    return [[0.1, 0.1 + (k if k % 3 else 0.01)] for k in range(n)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "BY_CHANCE", 5)
    monkeypatch.setattr(sampling, "WORST", 3)


def log_of(arrivals: list[list[float]]) -> bytes:
    lines = [
        stream_lines(f"s{k}", seconds, tags={"variant": "AB"[k % 2]})
        for k, seconds in enumerate(arrivals)
    ]
    return b"".join(map(encode_lines, lines))


def ids(sample: Sample, name: str) -> tuple[list[str], list[str]]:
    return (
        [stream.stream for stream in sample.by_chance(name)],
        [stream.stream for stream in sample.all(name)],
    )


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("n", [0, 1, 4, 12, 100])
def test_the_same_streams_are_chosen_after_measuring_as_are_kept_while_measuring(n: int) -> None:
    data = log_of(two_groups(n))
    kept = Sample()
    measured = measure(read_timelines(io.BytesIO(data)), by="variant", keep=kept.keep)
    chosen = Sample.of(measured)
    chosen.fill(read_timelines(io.BytesIO(data), only=chosen.ids))
    for name in ("A", "B"):
        assert ids(chosen, name) == ids(kept, name)
        assert chosen.seen(name) == kept.seen(name) == len(range("AB".index(name), n, 2))


@pytest.mark.usefixtures("few")
def test_the_longest_silences_are_among_the_chosen_and_the_rest_is_by_chance() -> None:
    sample = Sample.of(measure(read_timelines(io.BytesIO(log_of(two_groups(100)))), by="variant"))
    assert {"s98", "s94", "s92"} <= sample.ids
    assert 10 <= len(sample.ids) <= 16


def test_every_stream_is_as_likely_to_be_chosen() -> None:
    places: list[int] = []
    for k in range(40):
        measured = measure([timeline([0.1], stream=f"{i}") for i in range(251 + k)])
        chosen = Sample.of(measured)._groups["m"]
        places += [-place for _, place in chosen.by_chance]
    # Places of those left out, each uniform between first and last: what is chosen is balanced.
    assert sum(places) / len(places) == pytest.approx(134, abs=6)


def test_a_stream_in_memory_is_kept_whatever_its_id() -> None:
    sample = Sample()
    measure([timeline([0.1]), timeline([0.2])], keep=sample.keep)
    assert len(sample.all("m")) == 2
    assert sample.all("none") == sample.by_chance("none") == []
    assert sample.seen("none") == 0


@pytest.mark.usefixtures("few")
def test_streams_that_somebody_asks_for_beside_the_sample_are_found_by_their_id() -> None:
    data = log_of(two_groups(60))
    sample = Sample.of(measure(read_timelines(io.BytesIO(data)), by="variant"))
    other = next(f"s{k}" for k in range(60) if f"s{k}" not in sample.ids)
    assert sample.get(other) is None
    sample.fill(read_timelines(io.BytesIO(data), only=sample.ids | {other}))
    found = sample.get(other)
    assert found is not None
    assert (found.stream, found.texts) == (other, {0: " word word"})
    assert other not in [stream.stream for name in "AB" for stream in sample.all(name)]
    inside = sample.get("s98") if "s98" in sample.ids else sample.get(min(sample.ids))
    assert inside is not None


@pytest.mark.usefixtures("few")
def test_a_stream_that_is_gone_when_the_log_is_read_again_is_left_out() -> None:
    data = log_of(two_groups(30))
    sample = Sample.of(measure(read_timelines(io.BytesIO(data)), by="variant"))
    sample.fill([])
    assert sample.all("A") == []
    assert sample.seen("A") == 15


@given(st.lists(st.sampled_from(["a", "b", 'q"', "é", "\\", "\u2028"]), unique=True))
def test_only_the_streams_asked_for_are_read(wanted: list[str]) -> None:
    names = ["a", "b", 'q"', "é", "\\", "\u2028", "aa"]
    data = b"".join(encode_lines(stream_lines(name, [0.5])) for name in names)
    found = [stream.stream for stream in read_timelines(io.BytesIO(data), only=wanted)]
    assert sorted(found) == sorted(wanted)


def test_lines_of_foreign_writers_are_found_by_their_id_too() -> None:
    spaced = b'{"s": "x", "v": 1, "e": "token", "t": 0.5}\n{"t":1,"s":"x","e":"complete","v":1}\n'
    other = spaced.replace(b'"x"', b'"y"')
    (stream,) = read_timelines(io.BytesIO(other + spaced), only=["x"])
    assert (stream.stream, stream.arrivals) == ("x", [0.5])


def drawn(page: Path) -> str:
    """The page without what is new in every one, and without what its log is called."""
    text = page.read_text("utf-8")
    text = re.sub(r"<dt>Log</dt>.*", "", text)
    return re.sub(r'nonce="[^"]*"|\'nonce-[^\']*\'|[0-9a-f-]{36}|p\d{4,}', "", text)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_page_of_a_pipe_is_that_of_the_file(
    report: Call, tmp_path: Path, *, compressed: bool
) -> None:
    lines = [stream_lines(f"{k}", [0.5, 3.0], pieces=["my ", "secret"]) for k in range(9)]
    log = write(tmp_path / "log", lines)
    data = gzip.compress(log.read_bytes()) if compressed else log.read_bytes()
    pages = [tmp_path / f"{name}.html" for name in ("file", "stdin", "fifo")]
    assert report(log, "--html", pages[0]).code == 0
    assert report("-", "--html", pages[1], stdin=data).code == 0
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(data,))
    writer.start()
    assert report(tmp_path / "fifo", "--html", pages[2]).code == 0
    writer.join()
    assert "secret" in drawn(pages[0])
    assert len(drawn(pages[0])) == len(drawn(pages[1])) == len(drawn(pages[2]))
