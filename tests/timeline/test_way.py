"""The way to the screen: known delays come back at their stations; what cannot be true is no number."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.timeline import Group, Measured, measure, read_timelines
from support.roads import assert_same_on_both_roads, files_of
from support.seen import flat, seen_line, seen_stream

BOUND = 0.012
CAME = [0.5 + 0.1 * place for place in range(20)]

delays = st.integers(0, 4_000).map(lambda milliseconds: milliseconds / 10_000)


def both(*parts: bytes) -> Measured:
    """Measure by columns and one by one; what is told of the way must be the same."""
    quick, slow = (
        measure(read_timelines(files_of(*parts)), keep=keep) for keep in (None, lambda *_: None)
    )
    assert quick.skipped == slow.skipped
    for name, group in slow.groups.items():
        assert flat(quick.groups[name].summary().get("seen")) == pytest.approx(
            flat(group.summary().get("seen")), rel=1e-9, abs=1e-9
        )
    return quick


def only(*parts: bytes) -> Group:
    (group,) = both(*parts).groups.values()
    return group


def seen(*parts: bytes) -> dict[str, Any]:
    told: dict[str, Any] = only(*parts).summary()["seen"]
    return told


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=12),
    delays,
    st.floats(-BOUND, BOUND),
)
def test_drawn_delays_come_back_at_their_stations(
    drawn: list[tuple[float, float, float]], queued: float, offset: float
) -> None:
    came = [0.5 + place for place in range(len(drawn))]  # far enough apart to stay in order
    process, network, painting = zip(*drawn, strict=True)
    told = only(
        seen_stream(
            came=came, process=process, network=network, painting=painting,
            queued=queued, offset=offset, bound=BOUND,
        )
    ).way  # fmt: skip
    assert told.waits["queued"] == pytest.approx([queued], abs=1e-6)
    assert told.waits["provider"] == pytest.approx([0.5], abs=1e-6)
    for station, true in (("process", process), ("network", network), ("painting", painting)):
        within = 2e-4 + (abs(offset) if station == "network" else 0.0)
        assert told.waits[station] == pytest.approx(true[:1], abs=within)
        assert told.delays[station] == pytest.approx(true[1:], abs=within)
    assert told.waits["total"] == pytest.approx(
        [queued + 0.5 + sum(drawn[0])], abs=abs(offset) + 4e-4
    )


def test_a_difference_below_the_clocks_bound_is_never_told() -> None:
    told = seen(*(seen_stream(f"s{k}", CAME, network=0.004, painting=0.016) for k in range(30)))
    for kind in ("wait", "delay"):
        network = told[kind]["network"]
        assert network["n"]
        assert network["bound"] == BOUND
        assert {network[name] for name in ("mean", "p50", "p95", "max")} == {None}
        assert told[kind]["painting"]["p95"] == pytest.approx(0.016, abs=2e-4)
    beyond = seen(*(seen_stream(f"s{k}", CAME, network=0.04) for k in range(30)))
    assert beyond["delay"]["network"]["p50"] == pytest.approx(0.04, abs=2e-4)


def test_gaps_and_stalls_stand_side_by_side() -> None:
    network = [0.02] * 10 + [1.42, 1.32, 1.22, 1.12, 1.02, 0.92, 0.82, 0.72, 0.62, 0.52]
    told = seen(seen_stream(came=CAME, network=network))
    assert told["stalls"]["process"]["count"] == 0
    assert told["stalls"]["browser"] == pytest.approx({"count": 1, "total": 1.5, "longest": 1.5})
    assert told["stalls"]["painted"]["count"] == 1
    assert told["gap"]["process"]["max"] == pytest.approx(0.1)
    assert told["gap"]["browser"]["max"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    "order", ["before", "within", "after", "another file first", "another file"]
)
def test_a_line_counts_wherever_it_stands(order: str) -> None:
    *lines, line = seen_stream(came=CAME, network=0.05).splitlines(keepends=True)
    stream = b"".join(lines)
    parts = {
        "before": [line + stream],
        "within": [b"".join([*lines[:9], line, *lines[9:]])],
        "after": [stream + line],
        "another file first": [line, stream],
        "another file": [stream, line],
    }[order]
    measured = both(*parts)
    assert measured.skipped_lines == 0
    (group,) = measured.groups.values()
    assert group.summary()["seen"]["delay"]["network"]["p95"] == pytest.approx(0.05, abs=2e-4)


def parted(line: bytes) -> list[bytes]:
    """A line of 20 pieces as three, and the middle one once more."""
    whole = json.loads(line)
    parts = [
        json.dumps(
            whole
            | {"i": [a, b - 1], "arrived": whole["arrived"][a:b], "painted": whole["painted"][a:b]}
        ).encode()
        + b"\n"
        for a, b in ((0, 6), (6, 13), (13, 20))
    ]
    return [parts[2], parts[0], parts[1], parts[1]]


def test_the_lines_of_a_reader_are_put_together() -> None:
    *lines, line = seen_stream(came=CAME, network=0.05, painting=0.03).splitlines(keepends=True)
    whole, in_parts = (seen(b"".join([*lines, *rest])) for rest in ([line], parted(line)))
    assert flat(whole) == pytest.approx(flat(in_parts))


def test_a_hidden_tab_is_kept_apart() -> None:
    told = seen(
        seen_stream("a", CAME, network=0.05),
        seen_stream("b", CAME, network=2.0, hidden=True),
        seen_stream("c", CAME, told=False),
    )
    assert (told["streams"], told["hidden"], told["readers"]) == (1, 1, 1)
    assert told["share"] == pytest.approx(1 / 3)
    assert told["delay"]["network"]["max"] == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize("asked", [None, 1.26])
def test_a_reader_who_comes_later_catches_up_without_being_late(asked: float | None) -> None:
    """It joins at 1.26 s, gets at once what is there, and the rest after 20 ms each."""
    joined = 1.31
    arrived = [max(joined, came + 0.02) for came in CAME]
    second = seen_line("s", arrived, arrived, r=1, **({} if asked is None else {"asked": asked}))
    told = seen(seen_stream(came=CAME, network=0.02) + second)
    assert told["readers"] == 2
    assert told["wait"]["network"]["n"] == 1
    assert told["delay"]["network"]["max"] == pytest.approx(0.02, abs=2e-4)


def test_two_readers_from_the_beginning_wait_each() -> None:
    second = [round(came + 0.09, 4) for came in CAME]
    told = seen(
        seen_stream(came=CAME, network=0.03, asked=0.0)
        + seen_line("s", second, second, r=1, asked=0.0)
    )
    assert told["streams"] == 1
    assert told["wait"]["network"]["n"] == 2
    assert told["wait"]["network"]["max"] == pytest.approx(0.09, abs=2e-4)


def test_a_page_opened_after_the_end_says_nothing_of_the_way() -> None:
    late = [CAME[-1] + 60.0] * len(CAME)
    told = only(seen_stream(came=CAME, told=False) + seen_line("s", late, late))
    assert "seen" not in told.summary()


def test_a_piece_that_was_never_painted_has_no_painting() -> None:
    arrived = [round(came + 0.05, 4) for came in CAME]
    told = seen(
        seen_stream(came=CAME, told=False) + seen_line("s", arrived, [*arrived[:10], *[None] * 10])
    )
    assert told["unpainted"] == 10
    assert told["delay"]["painting"]["n"] == 9
    assert told["delay"]["network"]["n"] == 19


def test_a_stream_that_lost_lines_is_left_out() -> None:
    lines = seen_stream(came=CAME, network=0.05).splitlines(keepends=True)
    group = only(b"".join([*lines[:5], *lines[6:]]))
    assert "seen" not in group.summary()
    assert group.way.joined.torn == 1


def test_a_process_that_does_not_tell_d_leaves_it_to_the_network() -> None:
    log = re.sub(rb',"d":[0-9.e-]+', b"", seen_stream(came=CAME, process=0.05, network=0.05))
    told = seen(log)
    assert told["delay"]["process"]["n"] == 0
    assert told["delay"]["network"]["p50"] == pytest.approx(0.1, abs=2e-4)


def test_a_failed_stream_is_joined_as_any_other() -> None:
    log = seen_stream(came=CAME, network=0.05)
    complete = log[log.index(b'{"v":1,"e":"complete"') :].split(b"\n")[0]
    error = (
        b'{"v":1,"e":"error","s":"s","t":9.5,"error":"ConnectionLostError","phase":"x","tokens":20}'
    )
    told = seen(log.replace(complete, error))
    assert told["delay"]["network"]["n"] == 19
    assert told["delay"]["network"]["max"] == pytest.approx(0.05, abs=2e-4)


BAD: dict[str, dict[str, Any]] = {
    "no pieces": {"i": [1, 0], "arrived": [], "painted": []},
    "too few moments": {"arrived": [1.0]},
    "too many painted": {"painted": [1.0] * 30},
    "pieces of a count": {"i": 3},
    "pieces without an end": {"i": [0]},
    "pieces below 0": {"i": [-1, 18]},
    "pieces beyond all counts": {"i": [0, 2**70]},
    "pieces that never were": {"i": [10, 29]},
    "text for moments": {"arrived": "soon"},
    "text among moments": {"arrived": [*CAME[:-1], "9"]},
    "moments below 0": {"arrived": [-1.0] * 20},
    "moments of all time": {"arrived": [1e300] * 20},
    "nothing arrived": {"arrived": [None] * 20},
    "moments out of order": {"arrived": CAME[::-1]},
    "moments in the future": {"t": 1.0},
    "painted in the future": {"painted": [9_000.0] * 20},
    "painted before it arrived": {"painted": [0.01] * 20},
    "arrived before it came": {"arrived": [0.0] * 20},
    "hidden is no flag": {"hidden": "no"},
    "no bound": {"bound": None},
    "a bound below 0": {"bound": -1},
    "a bound of a day": {"bound": 86_400},
    "a reader of no number": {"r": "0"},
    "a reader below 0": {"r": -1},
    "a stream of no name": {"s": 7},
    "another's stream": {"s": "nobody's"},
    "asked in the future": {"asked": 1e6},
    "asked in words": {"asked": "then"},
    "a moment of no number": {"t": None},
    "an older version": {"v": 0},
    "a newer version": {"v": 2},
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_true_is_counted_and_is_no_number(what: str) -> None:
    log = seen_stream(came=CAME, told=False)
    arrived = [round(came + 0.05, 4) for came in CAME]
    bad = seen_line("s", arrived, arrived, **{"t": 9.0} | BAD[what])
    measured = both(log + bad)
    assert measured.skipped_lines == 1
    assert [each.count for each in measured.skipped] == [1]
    (group,) = measured.groups.values()
    assert "seen" not in group.summary()
    # And beside a good one it changes nothing.
    good = seen_line("s", arrived, arrived)
    assert flat(seen(log + good)) == pytest.approx(flat(seen(log + good + bad + bad)))


def test_half_a_line_and_no_line_at_all_are_counted_as_before() -> None:
    arrived = [round(came + 0.05, 4) for came in CAME]
    line = seen_line("s", arrived, arrived)
    measured = both(seen_stream(came=CAME, told=False) + line[:60] + b"\n" + b'["seen"]\n')
    assert measured.skipped_lines == 2


def test_both_roads_agree_on_a_mixed_log() -> None:
    draw = random.Random(5)
    lines: list[bytes] = []
    for k in range(20):
        came = sorted(draw.uniform(0.2, 3.0) for _ in range(draw.randint(1, 30)))
        lines += seen_stream(
            f"s{k}", [round(each, 6) for each in came], network=draw.uniform(0, 0.2),
            painting=draw.uniform(0, 0.2), process=0.01, hidden=k % 7 == 0, told=k % 5 != 0,
        ).splitlines(keepends=True)  # fmt: skip
    assert_same_on_both_roads(b"".join(lines), by=None)
    both(b"".join(lines))


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_deluge.values.sightings.MOST_HELD", 60)
    parts = [seen_stream(f"s{k}", CAME, network=0.05) for k in range(5)]
    measured = both(*parts)
    assert measured.skipped_lines == 4  # a line is 20 pieces, and costs more
    assert "beyond" in measured.skipped[0].reason


def test_a_piece_of_a_huge_number_takes_no_room() -> None:
    far = seen_line("s", [9.0], [9.0], i=[2**32 - 1, 2**32 - 1])
    measured = both(seen_stream(came=CAME, told=False) + far * 50)
    assert measured.skipped_lines == 50
