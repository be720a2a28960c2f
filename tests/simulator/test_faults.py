"""What each fault puts on the wire."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from itertools import pairwise

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from lm_deluge.simulator.faults.table import KINDS
from support.faulty import TEXT, THREE, WORDS, over_the_wire, simulator
from support.plain_client import Ask, hang_up


async def test_refuse_means_that_nobody_listens(ask: Ask) -> None:
    async with Simulator(faults="refuse") as sim:
        heard = await ask(sim)
        assert isinstance(heard.error, aiohttp.ClientConnectorError)
        assert heard.error.os_error.errno == 111
        assert sim.connections == 0
        await sim.listen()
        assert (await ask(sim)).done
        await sim.refuse()
        assert (await ask(sim)).done, "the open connection stays open"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(sim.host, sim.port)


async def test_refuse_can_end_by_itself(ask: Ask) -> None:
    async with Simulator(faults="refuse:0.05") as sim:
        assert isinstance((await ask(sim)).error, aiohttp.ClientConnectorError)
        async with asyncio.timeout(10):
            while not (await ask(sim)).done:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["refuse", "reset-before-headers"])
async def test_reset_before_headers_is_an_rst_and_not_a_byte(name: str) -> None:
    async with simulator(name) as sim:
        assert await over_the_wire(sim) == (b"", "rst")
        assert sim.requests[0].status is None


async def test_close_before_headers_is_a_fin_and_not_a_byte() -> None:
    async with simulator("close-before-headers") as sim:
        assert await over_the_wire(sim) == (b"", "fin")


async def test_hang_before_headers_sends_nothing_and_keeps_the_connection() -> None:
    async with simulator("hang-before-headers") as sim:
        assert await over_the_wire(sim, 0.05) == (b"", "open")


async def test_hang_before_first_token_sends_headers_alone() -> None:
    async with simulator("hang-before-first-token") as sim:
        got, end = await over_the_wire(sim, 0.05)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\n")
    assert got.count(b"\r\n\r\n") == 1
    assert end == "open"


@pytest.mark.parametrize(
    ("name", "end"), [("stall", "open"), ("reset", "rst"), ("drop", "fin"), ("half-close", "fin")]
)
@pytest.mark.parametrize("pieces", [0, 2, None])
async def test_a_cut_comes_after_exactly_so_many_pieces(
    name: str, end: str, pieces: int | None
) -> None:
    spec = name if pieces is None else f"{name}:{pieces}"
    async with simulator(spec) as sim:
        got, ended = await over_the_wire(sim)
        assert sim.requests[0].sent == got.count(b'"delta":{"content":"')
        assert sim.requests[0].sent == (3 if pieces is None else pieces)
        assert sim.requests[0].fault == spec
    assert ended == end
    assert not got.endswith(b"0\r\n\r\n")


async def test_half_close_goes_on_reading_until_the_client_goes(ask: Ask) -> None:
    async with simulator("half-close") as sim:
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        data = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"stream":true}'
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )
        await reader.read()
        assert reader.at_eof()
        assert sim.open_connections == 1
        assert not sim.requests[0].finished.is_set()
        await hang_up(writer)
        await sim.wait_closed_connections()
        assert sim.requests[0].disconnected


async def test_eof_is_a_proper_end_of_an_answer_without_end(ask: Ask) -> None:
    async with simulator("eof", "eof:0") as sim:
        heard = await ask(sim)
        assert (heard.error, heard.text(), heard.finishes, heard.done) == (None, THREE, [], False)
        assert (await ask(sim)).text() == ""
        assert sim.connections == 1


async def test_truncated_utf8_ends_inside_a_character(ask: Ask) -> None:
    async with simulator("truncated-utf8") as sim:
        heard = await ask(sim)
    assert heard.error is None
    assert heard.body.endswith("🙂".encode()[:2])
    assert heard.text() == THREE


async def test_bad_utf8_is_inside_an_event_and_the_answer_goes_on(ask: Ask) -> None:
    async with simulator("bad-utf8:1") as sim:
        heard = await ask(sim)
    with pytest.raises(UnicodeDecodeError):
        heard.body.decode()
    assert b'"content":"\xff\xfe' in heard.body
    assert heard.done


async def test_malformed_json_is_one_event_and_the_answer_goes_on(ask: Ask) -> None:
    async with simulator("malformed-json:2") as sim:
        heard = await ask(sim)
    broken = [e for e in heard.events if isinstance(e, bytes) and e != b"[DONE]"]
    assert len(broken) == 1
    assert heard.text() == TEXT
    assert heard.done


async def test_a_drip_sends_every_byte_by_itself() -> None:
    async with simulator("drip", ttft=0.01) as sim:
        got, _ = await over_the_wire(sim, 5, connection="close", max_tokens=1)
        assert sim.requests[0].sent == 1
    body = got.partition(b"\r\n\r\n")[2]
    *chunks, last, rest = body.split(b"\r\n1\r\n")
    assert len(chunks) > 100
    assert all(len(chunk) == 1 for chunk in chunks[1:])
    assert (last + rest).endswith(b"\r\n0\r\n\r\n")


async def test_an_endless_line_has_no_end_and_stops_with_the_client(ask: Ask) -> None:
    async with simulator("endless-line:1") as sim:
        heard = await ask(sim, enough=500_000)
        assert heard.text() == "one"
        assert len(heard.body.rpartition(b"\n")[2]) > 400_000
        await sim.wait_closed_connections()
        assert sim.requests[0].disconnected


@pytest.mark.parametrize("spec", ["endless-stream", "endless-stream:0.0001"])
async def test_an_endless_stream_goes_on_and_stops_with_the_client(ask: Ask, spec: str) -> None:
    async with simulator(spec) as sim:
        heard = await ask(sim, enough=30_000)
        assert heard.text().startswith(TEXT * 2)
        assert not heard.finishes
        await sim.wait_closed_connections()
        assert sim.requests[0].disconnected


async def test_an_endless_stream_of_nothing_still_says_something(ask: Ask) -> None:
    async with Simulator(text="", faults="endless-stream:0") as sim:
        assert " again again" in (await ask(sim, enough=5000)).text()


async def test_comments_in_the_gaps_change_nothing(ask: Ask) -> None:
    async with simulator("comments", "comments:3", gap=0.001) as sim:
        heard = await ask(sim)
        assert heard.body.count(b": keep-alive\n\n") == 5
        assert (heard.text(), heard.done) == (TEXT, True)
        assert (await ask(sim)).body.count(b": keep-alive\n\n") == 15


async def test_comments_before_the_first_token_never_end(ask: Ask) -> None:
    async with simulator("comments-before:0.001") as sim:
        heard = await ask(sim, enough=200)
    assert set(heard.body.split(b"\n\n")) <= {b": keep-alive", b""}


async def test_comments_after_the_finish_reason_never_end(ask: Ask) -> None:
    async with simulator("comments-after:0.001") as sim:
        heard = await ask(sim, enough=3000)
    assert (heard.text(), heard.finishes, heard.done) == (TEXT, ["stop"], False)
    assert heard.body.count(b": keep-alive\n\n") > 5


async def test_duplicate_choices_hold_half_of_the_piece_each(ask: Ask) -> None:
    async with simulator("duplicate-choices") as sim:
        heard = await ask(sim)
    assert heard.text() == TEXT
    assert [len(e["choices"]) for e in heard.events[1:-3]] == [2] * 5
    assert heard.finishes == ["stop", "stop"]


async def test_unordered_choices_come_highest_first_in_one_chunk(ask: Ask) -> None:
    async with Simulator(tokens=4, faults="unordered-choices") as sim, Simulator(tokens=4) as plain:
        heard = await ask(sim, n=3)
        healthy = await ask(plain, n=3)
    assert [[c["index"] for c in e["choices"]] for e in heard.events[3:-4]] == [[2, 1, 0]] * 4
    assert [heard.text(i) for i in range(3)] == [healthy.text(i) for i in range(3)]


async def test_unordered_choices_keep_the_gaps(ask: Ask) -> None:
    async with Simulator(tokens=3, gap=0.03, faults="unordered-choices") as sim:
        await ask(sim, n=2)
        sent = sim.requests[0].sent_at
    assert len(sent) == 3
    assert sent[2] - sent[0] >= 0.059


async def test_surrogate_halves_come_in_two_deltas(ask: Ask) -> None:
    async with simulator("surrogates:1", "lone-surrogate") as sim:
        heard = await ask(sim)
        assert b'"\\ud83d"' in heard.body
        assert b'"\\ude42"' in heard.body
        joined = heard.text().encode("utf-16", "surrogatepass").decode("utf-16")
        assert joined == "one🙂 two three four five"
        assert (await ask(sim)).text() == THREE + "\ud83d four five"


async def test_a_gzip_body_is_cut_short(session: aiohttp.ClientSession) -> None:
    async with simulator("gzip-cut", ttft=0.01) as sim:
        got, _ = await over_the_wire(sim, 0.3)
    head, _, chunked = got.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert chunked.endswith(b"0\r\n\r\n")
    packed = b""
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        packed += chunked[: int(size, 16)]
        chunked = chunked[int(size, 16) + 2 :]
    with pytest.raises(EOFError):
        gzip.decompress(packed)
    assert b"data: {" in zlib.decompressobj(wbits=31).decompress(packed)


async def test_a_bad_chunk_size_is_followed_by_silence() -> None:
    async with simulator("bad-chunk-size") as sim:
        got, end = await over_the_wire(sim)
    assert got.count(b'"delta":{"content":"') == 3
    assert b"\r\nzz\r\n" in got
    assert end == "open"


async def test_whole_answers_can_lack_done_finish_or_usage(ask: Ask) -> None:
    options = {"include_usage": True}
    async with simulator("no-done", "no-finish", "no-usage") as sim:
        heard = [await ask(sim, stream_options=options) for _ in range(3)]
    assert [h.text() for h in heard] == [TEXT] * 3
    assert [h.done for h in heard] == [False, True, True]
    assert [h.finishes for h in heard] == [["stop"], [], ["stop"]]
    assert [h.body.count(b'"usage":{') for h in heard] == [1, 1, 0]


@pytest.mark.parametrize(
    ("name", "end"), [("hang-after-finish", "open"), ("reset-after-finish", "rst")]
)
async def test_a_connection_may_hang_or_break_after_the_finish_reason(name: str, end: str) -> None:
    async with simulator(name) as sim:
        got, ended = await over_the_wire(sim, 0.1)
    assert ended == end
    assert b'"finish_reason":"stop"' in got
    assert b"[DONE]" not in got


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"status"}))
async def test_every_fault_leaves_an_unstreamed_request_healthy_or_cuts_its_bytes(
    ask: Ask, name: str
) -> None:
    async with simulator(name) as sim:
        whole = KINDS[name].streamed_only or name == "drip"
        heard = await ask(sim, stream=False, patience=5 if whole else 0.3, enough=100_000)
        if KINDS[name].streamed_only:
            assert heard.json["choices"][0]["message"]["content"] == TEXT
        elif name == "drip":
            assert heard.json["choices"]
        else:
            assert heard.error or heard.status != 200 or b"prompt_tokens" not in heard.body
        assert sim.requests[0].fault == name


async def test_a_pause_comes_after_its_pieces_and_the_answer_is_whole(ask: Ask) -> None:
    async with simulator("pause:0.15:2") as sim:
        assert (await ask(sim, patience=5)).done
        moments = sim.requests[0].sent_at
        gaps = [after - before for before, after in pairwise(moments)]
        assert gaps.index(max(gaps)) == 1
        assert max(gaps) >= 0.14


async def test_a_buffer_hands_on_what_came_every_so_many_seconds() -> None:
    async with Simulator(text=WORDS, gap=0.04, faults="buffer:0.1") as sim:
        got, _ = await over_the_wire(sim, patience=1)
        moments = sim.requests[0].sent_at
    assert got.count(b'"content":') == len(WORDS) + 1  # with the empty one that has the role
    assert b"[DONE]" in got
    assert len(moments) < len(WORDS)
    assert min(after - before for before, after in pairwise(moments)) > 0.09
