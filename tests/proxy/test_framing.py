"""Bodies in chunks, cut anywhere: the content, the end, and nothing beyond it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_deluge.proxy.framing import Chunked, FramingError, Sized, of_response
from lm_deluge.proxy.heads import HeaderField, StatusLine

CONTENTS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
EXTENSIONS = st.sampled_from([b"", b";a", b' ; a="b c"', b";\xe4"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(contents=CONTENTS, extension=EXTENSIONS, trailers=st.booleans(), cuts=st.lists(st.integers(0, 400)),
       strict=st.booleans())  # fmt: skip
def test_content_is_found_however_chunks_are_cut(
    contents: list[bytes], extension: bytes, trailers: bool, cuts: list[int], strict: bool
) -> None:
    body = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in contents)
    body += b"00\r\n" + (b"x-sum: 1\r\n" if trailers else b"") + b"\r\n"
    data = body + b"beyond"
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    framing, found, used = Chunked(strict=strict), b"", 0
    for begin, end in pairwise(places):
        if framing.done:
            break
        content, taken = framing.feed(data[begin:end])
        found += content
        used += taken
        assert framing.done or taken == end - begin
    assert (framing.done, found, used) == (True, b"".join(contents), len(body))


@given(data=st.binary(max_size=60), cut=st.integers(0, 60))
def test_any_bytes_are_content_or_refused_the_same_whether_cut_or_not(
    data: bytes, cut: int
) -> None:
    def heard(*pieces: bytes) -> tuple[bytes, bool, bool]:
        framing, found = Chunked(strict=True), b""
        try:
            for piece in pieces:
                found += framing.feed(piece)[0] if not framing.done else b""
        except FramingError as error:
            return found + error.found, framing.done, True
        return found, framing.done, False

    whole, parts = heard(data), heard(data[:cut], data[cut:])
    assert parts[1] == whole[1]
    # A cut one may be refused sooner, by the beginning of a line alone.
    assert parts[2] >= whole[2]
    assert whole[0].startswith(parts[0]) if parts[2] else parts[0] == whole[0]


@pytest.mark.parametrize("line", [b"+5", b"5_0", b" 5", b"0x5", b"", b"5 5", b"g", b"5;\x7f"])
def test_a_size_is_digits_and_nothing_that_python_takes_for_a_number(line: bytes) -> None:
    with pytest.raises(FramingError, match="size"):
        Chunked(strict=True).feed(line + b"\r\nabcde\r\n")


def test_what_was_found_before_the_mistake_is_told() -> None:
    with pytest.raises(FramingError) as error:
        Chunked(strict=False).feed(b"3\r\nabc\r\n2\r\ndezz")
    assert error.value.found == b"abcde"


def test_liberties_of_servers_are_taken_and_those_of_requests_are_not() -> None:
    data = b"3 \nabc\n0\n\n"
    assert Chunked(strict=False).feed(data) == (b"abc", len(data))
    with pytest.raises(FramingError):
        Chunked(strict=True).feed(data)


def test_a_body_with_a_length_ends_there() -> None:
    framing = Sized(5)
    assert framing.feed(b"abc") == (b"abc", 3)
    assert framing.feed(b"defg") == (b"de", 2)
    assert framing.done


@pytest.mark.parametrize(
    ("values", "length"),
    [((b"3, 3",), 3), ((b"3", b"3"), 3), ((b"3,3", b"3"), 3), ((b"3, 4",), None), ((b"3,",), None)],
)
def test_a_length_that_an_answer_says_twice_is_that_length(
    values: tuple[bytes, ...], length: int | None
) -> None:
    fields = [HeaderField(b"content-length", value, b"") for value in values]
    framing = of_response(b"GET", StatusLine(1, 200, b""), fields)
    assert (framing.left if isinstance(framing, Sized) else None) == length
