"""Bytes to events: the framing of WHATWG HTML, section 9.2, however the network cuts it."""

from __future__ import annotations

from collections.abc import Iterable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.wire.sse import Event, EventDecoder


def decode(pieces: Iterable[bytes], **options: int) -> list[Event]:
    decoder = EventDecoder(**options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def decode_every_way(body: bytes) -> list[Event]:
    """Decode whole, cut in two at every place, and byte by byte; all must agree."""
    whole = decode([body])
    for place in range(len(body)):
        assert decode([body[:place], body[place:]]) == whole, place
    assert decode(body[at : at + 1] for at in range(len(body))) == whole
    assert decode(part for at in range(len(body)) for part in (b"", body[at : at + 1])) == whole
    return whole


def data_of(body: bytes) -> list[bytes]:
    return [event.data for event in decode_every_way(body)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_lf_crlf_or_cr(end: bytes) -> None:
    body = end.join([b"data: a", b"", b"data: b", b"data: c", b"", b""])
    assert data_of(body) == [b"a", b"b\nc"]


def test_line_ends_may_be_mixed() -> None:
    assert data_of(b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r\n") == [b"a\nb\nc", b"d"]


def test_a_cr_ends_its_line_at_once_and_the_lf_after_it_is_no_second_end() -> None:
    decoder = EventDecoder()
    assert [event.data for event in decoder.feed(b"data: a\r\r")] == [b"a"]
    assert decoder.feed(b"\n") == []
    assert [event.data for event in decoder.feed(b"data: b\r")] == []
    assert decoder.feed(b"\n") == []
    assert [event.data for event in decoder.feed(b"\n")] == [b"b"]


def test_a_byte_order_mark_is_dropped_at_the_very_start_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert data_of(mark + b"data: a\n\n" + mark + b"data: b\n\ndata: c\n\n") == [b"a", b"c"]
    assert data_of(mark + mark + b"data: a\n\n") == []
    assert data_of(b"\n" + mark + b"data: a\n\n") == []


def test_the_space_after_the_colon_may_be_missing_and_only_one_is_dropped() -> None:
    assert data_of(b"data:a\n\ndata:  b\n\ndata\n\ndata:\n\n") == [b"a", b" b", b"", b""]


def test_comments_and_unknown_fields_are_ignored() -> None:
    body = b": OPENROUTER PROCESSING\n\n:\ndata: a\n:keep-alive\nfoo: bar\nDATA: x\n data: y\n\n"
    assert data_of(body) == [b"a"]


def test_what_unicode_calls_a_line_end_is_none() -> None:
    text = "a\u0085b\u2028c\u2029d\x0be\x0cf\x1cg"
    assert data_of(b"data: " + text.encode() + b"\n\n") == [text.encode()]


def test_a_character_may_be_cut_between_two_reads() -> None:
    assert data_of("data: 🤖é\n\n".encode()) == ["🤖é".encode()]


def test_bytes_that_are_no_utf8_are_left_to_whoever_reads_the_data() -> None:
    assert data_of(b"data: \xff\xfe\n\n") == [b"\xff\xfe"]


def test_the_type_is_that_of_its_event_and_the_last_one_counts() -> None:
    body = b"event: a\nevent: error\ndata: x\n\ndata: y\n\nevent: z\n\ndata: w\n\n"
    assert [event.event for event in decode_every_way(body)] == ["error", "", ""]


def test_the_id_holds_until_the_next_and_one_with_a_null_is_ignored() -> None:
    body = b"id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n"
    assert [event.id for event in decode_every_way(body)] == ["1", "1", "1", ""]


def test_the_retry_time_holds_and_one_that_is_no_number_is_ignored() -> None:
    body = "retry: 10\ndata: a\n\nretry: 1s\ndata: b\n\nretry:\nretry: ٣\nretry: 20\ndata: c\n\n"
    assert [event.retry for event in decode_every_way(body.encode())] == [10, 10, 20]


def test_a_retry_time_of_many_digits_is_ignored() -> None:
    assert decode([b"retry: " + b"9" * 5000 + b"\ndata: a\n\n"])[0].retry is None


def test_an_event_is_whole_at_its_blank_line_and_not_before() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert [event.data for event in decoder.feed(b"\n")] == [b"a"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_the_last_event_may_lack_its_blank_line(end: bytes) -> None:
    assert data_of(b"data: a\n\ndata: [DONE]" + end) == [b"a", b"[DONE]"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"data: 1\n\n"])
def test_a_line_that_the_end_cut_within_a_fields_name_is_nothing_foreign(
    before: bytes, end: bytes
) -> None:
    body = before + end.join([b"data: 2", b"event: x", b"id: 7", b"retry: 9", b": c", b"data"])
    strays = {}
    for upto in range(len(body) + 1):
        decoder = EventDecoder()
        decoder.feed(body[:upto])
        decoder.close()
        strays[body[:upto]] = decoder.stray
    assert set(strays.values()) == {b""}, strays


@pytest.mark.parametrize("body", [b"d\n", b"da\n\n", b"x", b"datum", b"data: 1\nda\n", b"\xef\xba"])
def test_a_whole_line_that_is_no_field_is_kept_to_be_shown(body: bytes) -> None:
    decoder = EventDecoder()
    decoder.feed(body)
    decoder.close()
    assert decoder.stray


def test_a_closed_decoder_holds_nothing_more() -> None:
    decoder = EventDecoder()
    decoder.feed(b"data: a")
    assert [event.data for event in decoder.close()] == [b"a"]
    assert decoder.close() == []


# Bounds


def test_an_event_of_the_allowed_size_passes_and_one_byte_more_does_not() -> None:
    body = b"data: aaaa\n\ndata: bbbb\n\ndata: ccccc\n\ndata: d\n\n"
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        decoder = EventDecoder(max_event_bytes=10)
        events = [event for piece in pieces for event in decoder.feed(piece)]
        assert [event.data for event in events] == [b"aaaa", b"bbbb"]
        assert decoder.error is not None
        assert (decoder.error.name, decoder.error.limit, decoder.error.value) == (
            "max_event_bytes",
            10,
            11,
        )
        assert decoder.feed(b"data: e\n\n") == []
        assert decoder.close() == []


def test_an_event_that_never_ends_is_given_up_at_twice_the_bound() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    fed = 0
    while decoder.error is None:
        assert fed <= 200
        assert decoder.feed(b"data: xxx") == []
        fed += 9
    assert fed > 200
    assert (decoder.error.limit, decoder.error.value) == (100, fed)


def test_an_event_that_is_too_large_in_one_read_is_given_up_with_that_read() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    assert [event.data for event in decoder.feed(b"data: a\n\ndata: " + b"x" * 500)] == [b"a"]
    assert decoder.error is not None


def test_an_event_that_is_too_large_and_lacks_its_blank_line_is_not_returned() -> None:
    decoder = EventDecoder(max_event_bytes=10)
    assert decoder.feed(b"data: 123456") == []
    assert decoder.error is None
    assert decoder.close() == []
    assert decoder.error is not None
    assert decoder.error.value == 12


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_comments_do_not_count_however_long_they_are(size: int) -> None:
    body = b"data: a\n" + b": ping\n" * 1000 + b":" + b"x" * 5000 + b"\ndata: b\n\ndata: c\n\n"
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert [event.data for event in decode(pieces, max_event_bytes=20)] == [b"a\nb", b"c"]


def test_a_comment_without_an_end_keeps_memory_bounded() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(1000):
        decoder.feed(b": xxxxxxxxxxxxxxxxxxxxxxxxxx")
        assert len(decoder._tail) <= 200 + 30
    assert decoder.error is None
    assert [event.data for event in decoder.feed(b"\n\ndata: a\n\n")] == [b"a"]


def seconds(pieces: Iterable[bytes], **options: int) -> float:
    pieces = list(pieces)
    best = float("inf")
    for _ in range(3):
        decoder = EventDecoder(**options)
        begun = process_time()
        for piece in pieces:
            decoder.feed(piece)
        decoder.close()
        best = min(best, process_time() - begun)
    return best


# Eight times the bytes: linear time is 8 times as long, quadratic 64 times.
def test_a_large_event_byte_by_byte_takes_linear_time() -> None:
    def cost(size: int) -> float:
        body = b"data: " + b"x" * size + b"\n\n"
        return seconds(body[at : at + 1] for at in range(len(body)))

    assert cost(160_000) < 24 * cost(20_000)


def test_many_lines_of_one_event_take_linear_time() -> None:
    def cost(lines: int) -> float:
        return seconds([b"data: xxxxxxxx\r\n"] * lines)

    assert cost(80_000) < 24 * cost(10_000)


def test_endless_comments_take_linear_time() -> None:
    def cost(lines: int) -> float:
        return seconds([b": keep-alive\n"] * lines, max_event_bytes=4096)

    assert cost(80_000) < 24 * cost(10_000)


# Where an event is


def test_the_offset_of_an_event_is_where_its_data_begins() -> None:
    body = b"\xef\xbb\xbfdata: a\n\n: comment\n\n\nevent: x\ndata:b\n\nid: 1\ndata\n\ndata: d"
    places = [body.index(b"a\n\n", 9), body.index(b"b\n"), body.index(b"data\n\n") + 4]
    places.append(body.index(b"d", len(body) - 1))
    for size in (1, 2, 5, 1000):
        decoder, found = EventDecoder(), []
        for at in range(0, len(body), size):
            count = len(decoder.feed(body[at : at + size]))
            found += [decoder.offset_of(position) for position in range(count)]
        found += [decoder.offset_of(position) for position in range(len(decoder.close()))]
        assert found == places, size


# Against a plain reference


def reference(body: bytes) -> list[Event]:
    """The standard's algorithm, line by line, with a blank line added at the end."""
    body = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    data: list[bytes] = []
    kind, id_, retry = "", "", None
    for line in (body + b"\n\n").split(b"\n")[:-1]:
        if not line:
            if data:
                events.append(Event(b"\n".join(data), kind, id_, retry))
            data, kind = [], ""
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            kind = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            id_ = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit() and len(value) < 16:
            retry = int(value)
    return events


HOSTILE = st.sampled_from(
    [
        *(
            b"\r",
            b"\n",
            b"\r\n",
            b"\n\n",
            b"\r\r",
            b":",
            b": ",
            b" ",
            b"data",
            b"data: x",
            b"data:",
        ),
        *(b"event", b"event: e\n", b"id", b"id: 7\n", b"retry", b"retry: 12\n", b"retry: 1x\n"),
        *(b"\xef\xbb\xbf", b"\0", b"\xff", b"\xe2\x80\xa8", b"\xc2\x85", b"\xf0\x9f", b"1", b"x"),
    ]
)


@given(st.lists(HOSTILE, max_size=40).map(b"".join), st.lists(st.integers(0, 9), min_size=1))
def test_random_bytes_decode_as_the_reference_says(body: bytes, sizes: list[int]) -> None:
    pieces, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)] if any(sizes) else 1
        pieces.append(body[at : at + size])
        at, turn = at + size, turn + 1
    assert decode(pieces) == decode([body]) == reference(body)
