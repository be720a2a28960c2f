"""What a page may tell: of whatever bytes, what a reader could have seen, or a refusal with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge_plugins.relay import Sight
from lm_deluge_plugins.relay.frames import frame_of
from lm_deluge_plugins.relay.seen.beacons import (
    MOST_BYTES,
    RefusedBeaconError,
    checked_sight,
    read_beacons,
)
from lm_deluge_plugins.relay.seen.claims import Claims, claimed
from lm_deluge_plugins.relay.seen.steps import LogFacts

AT, NOW = 1_700_000_000.0, 1_700_000_030.0


def facts() -> LogFacts:
    """A log of two streams: ``a`` with ten pieces, a second after another, then ``b`` with one."""
    frames = [frame_of(1, 0.0, [{"kind": "start", "id": "a", "model": "m", "at": AT}])]
    for n in range(5):
        texts = [{"kind": "text", "text": "x"}, {"kind": "reasoning", "text": "y"}] * 2
        frames.append(frame_of(n + 2, 2.0 * n + 1, texts, first=2 * n))
    frames.append(frame_of(7, 0.0, [{"kind": "start", "id": "b", "model": "m", "at": AT + 20}]))
    frames.append(frame_of(8, 1.0, [{"kind": "text", "text": "z"}], first=0))
    found = LogFacts()
    found.add(frames)
    found.add(frames[3:])  # what it has already
    assert {name: list(step.pieces) for name, step in found.steps.items()} == {
        "a": [1, 1, 3, 3, 5, 5, 7, 7, 9, 9],
        "b": [1],
    }
    return found


KNOWN = facts()
GOOD: dict[str, Any] = {
    "r": "me", "s": "a", "i": [1, 3], "arrived": [1.01, 3.02, 3.02], "painted": [1.02, 3.03, None],
    "hidden": False, "bound": 0.004, "asked": 0.5,
}  # fmt: skip


def sight_of(body: bytes) -> Sight:
    (beacon,) = read_beacons(body)
    assert beacon.i is not None
    return checked_sight(beacon, KNOWN.steps, now=NOW)


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def test_a_good_one_is_taken_as_it_is() -> None:
    assert sight_of(changed()) == Sight(
        stream="a", reader=0, t=30.0, first=1, last=3, arrived=(1.01, 3.02, 3.02),
        painted=(1.02, 3.03, None), hidden=False, bound=0.004, asked=0.5,
    )  # fmt: skip
    assert sight_of(changed(more={"any": "thing"})) == sight_of(changed())
    assert sight_of(changed(arrived=[0.9999, 3, 3.02])).arrived == (0.9999, 3.0, 3.02)
    assert sight_of(changed(asked=-4)).asked == 0.0
    assert sight_of(changed(asked=1e300)).asked is None
    assert [each.i for each in read_beacons(b"[" + changed() + b"," + changed() + b"]")] == [
        (1, 3)
    ] * 2
    assert [each.i for each in read_beacons(b"")] == [None]
    assert [each.i for each in read_beacons(b'{"r":"me"}')] == [None]


BAD: dict[str, tuple[bytes, str]] = {
    "a million lines": (changed() * 10**4, "too large"),
    "just too large": (b" " * (MOST_BYTES + 1), "too large"),
    "no JSON": (b"i=[0,1]", "no JSON"),
    "half": (changed()[:-1], "no JSON"),
    "two": (changed() + b"\n" + changed(), "no JSON"),
    "no UTF-8": (b'{"r":"\xff"}', "no JSON"),
    "NaN": (changed(arrived=[float("nan")] * 3), "no JSON"),
    "Infinity": (changed(bound=float("inf")), "no JSON"),
    "deep": (b"[" * 30_000, "*"),
    "a number": (b"1", "wrong fields"),
    "null": (b"null", "wrong fields"),
    "a list of numbers": (b"[1]", "wrong fields"),
    "times as text": (changed(arrived=["1", "3", "3"]), "wrong fields"),
    "a time null": (changed(arrived=[1.01, None, 3.02]), "wrong fields"),
    "times an object": (changed(arrived={"0": 1}), "wrong fields"),
    "pieces as text": (changed(i="1-3"), "wrong fields"),
    "one piece number": (changed(i=[1]), "wrong fields"),
    "three piece numbers": (changed(i=[1, 2, 3]), "wrong fields"),
    "pieces that are fractions": (changed(i=[1.5, 3.5]), "wrong fields"),
    "pieces true": (changed(i=[True, True]), "wrong fields"),
    "hidden a word": (changed(hidden="no"), "wrong fields"),
    "a long reader": (changed(r="r" * 41), "wrong fields"),
    "a long stream": (changed(s="s" * 201), "wrong fields"),
    "a stream that is a list": (changed(s=["a"]), "wrong fields"),
    "negative pieces": (changed(i=[-1, 1]), "wrong fields"),
    "a huge piece": (changed(i=[10**400, 10**400]), "wrong fields"),
    "a huge last piece": (changed(i=[0, 2**31]), "unknown pieces"),
    "too far": (changed(i=[8, 10]), "unknown pieces"),
    "backwards": (changed(i=[3, 1]), "unknown pieces"),
    "somebody else's": (changed(s="c"), "unknown stream"),
    "no stream of two": (changed(s=None), "unknown stream"),
    "one moment too few": (changed(arrived=[1.01, 3.02]), "wrong length"),
    "one painting too many": (changed(painted=[None] * 4), "wrong length"),
    "no moments": (changed(arrived=[], painted=[]), "wrong length"),
    "tomorrow": (changed(arrived=[86400.0] * 3, painted=[None] * 3), "wrong times"),
    "painted tomorrow": (changed(painted=[None, None, 31.0]), "wrong times"),
    "before the start": (changed(arrived=[-5.0, 3.02, 3.02]), "wrong times"),
    "before it was said": (changed(arrived=[1.01, 2.0, 3.02]), "wrong times"),
    "out of order": (changed(arrived=[3.5, 3.4, 3.6], painted=[None] * 3), "wrong times"),
    "painted before it came": (changed(painted=[1.02, 3.01, None]), "wrong times"),
    "painted out of order": (changed(painted=[9.0, 8.0, None]), "wrong times"),
    "a huge time": (changed(arrived=[1e308] * 3), "wrong times"),
    "an infinite time": (changed().replace(b"1.01", b"1e999"), "*"),
    "a huge whole time": (changed().replace(b"1.01", b"1" + b"0" * 400), "*"),
    "no bound": (changed().replace(b"bound", b"bounds"), "wrong bound"),
    "a bound below zero": (changed(bound=-0.001), "wrong bound"),
    "a bound that says nothing": (changed(bound=1e9), "wrong bound"),
    "an infinite bound": (changed().replace(b"0.004", b"1e999"), "*"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_refused_for_its_reason(name: str) -> None:
    body, reason = BAD[name]
    with pytest.raises(RefusedBeaconError) as refused:
        sight_of(body)
    assert refused.value.reason == reason or reason == "*"


_numbers = st.one_of(
    st.floats(0, 40), st.floats(), st.integers(-2, 12), st.integers(), st.sampled_from([1.01, 3.02])
)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(max_size=3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
_likely = {
    "i": st.tuples(st.integers(0, 10), st.integers(0, 10)).map(sorted),
    "arrived": st.lists(st.floats(0, 31), max_size=4).map(sorted),
    "painted": st.lists(st.none() | st.floats(0, 31), max_size=4),
    "bound": st.floats(0, 6),
    "asked": st.floats(-40, 40),
}
_fields = st.fixed_dictionaries(
    {}, optional={name: _values | _likely.get(name, _values) for name in GOOD}
)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(fields=_fields)
def test_whatever_is_changed_it_is_refused_or_could_have_been(fields: dict[str, Any]) -> None:
    try:
        found = [
            checked_sight(beacon, KNOWN.steps, now=NOW)
            for beacon in read_beacons(changed(**fields))
            if beacon.i is not None
        ]
    except RefusedBeaconError:
        return
    for sight in found:
        said = KNOWN.steps[sight.stream].pieces[sight.first : sight.last + 1]
        slack = sight.bound + 0.1 + 1e-4
        assert len(said) == len(sight.arrived) == len(sight.painted) > 0
        assert list(sight.arrived) == sorted(sight.arrived)
        for t, arrived, painted in zip(said, sight.arrived, sight.painted, strict=True):
            assert max(0, t - slack) <= arrived <= 30 + slack
            assert painted is None or arrived <= painted <= 30 + slack
        assert sight.asked is None or 0 <= sight.asked <= 30 + slack


@settings(deadline=None, max_examples=25)
@given(body=st.binary(max_size=80) | _values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_beacons_or_refused(body: bytes) -> None:
    reasons = []
    try:
        read_beacons(body)
    except RefusedBeaconError as error:
        reasons.append(error.reason)
    assert set(reasons) <= {"no JSON", "wrong fields"}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=20))
def test_no_piece_is_told_twice(runs: list[tuple[int, int]]) -> None:
    told: set[int] = set()
    known = ""
    for first, more in runs:
        pieces = set(range(first, first + more + 1))
        found = claimed(known, first, first + more)
        assert (found is None) == bool(told & pieces)
        if found is not None:
            known = found
            told |= pieces


def test_a_reader_has_one_number_and_there_are_not_too_many_of_them() -> None:
    claims = Claims()
    assert [claims.claim(f"r{n}", "a", 0, 9) for n in range(70)] == [*range(64), *[None] * 6]
    assert claims.claim("r7", "a", 10, 10) == 7
    assert claims.claim("r7", "b", 0, 9) == 7
    assert claims.claim("r7", "a", 5, 5) is None
    scattered = [claims.claim("r8", "a", 20 + 2 * n, 20 + 2 * n) for n in range(200)]
    assert scattered.index(None) < 110
