"""What a proxy's log tells beside streams: requests that did not stream, notes, an app's retries, faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.timeline import measure, read_timelines
from lm_deluge.timeline.measures.findings.findings import findings_of
from lm_deluge.timeline.measures.metrics import Measured


def _line(event: str, stream: str, t: float, **fields: Any) -> str:
    return json.dumps({"v": 1, "e": event, "s": stream, "t": t, **fields}, separators=(",", ":"))


def _stream(name: str, **start: Any) -> list[str]:
    at = "2026-11-22T10:00:00.123+00:00"
    return [
        _line("start", name, 0.0, model="m", queued=0.0, base_url="u", at=at, **start),
        _line("token", name, 0.5, i=0, text="a", read=0),
        _line("complete", name, 1.0, model="m", finish_reason="stop", usage=None, cost=None,
              response_id=None, attempts=1),
    ]  # fmt: skip


LINES = [
    _line("request", "r1", 0.2, model="embed", status=200, wait=0.1, bytes=9),
    *_stream("a"),
    _line("note", "b", 0.0, offset=0, what="the request's body is no JSON object"),
    *_stream("b", app_retry=1),
    _line("request", "r2", 0.2, model=None, status=None, wait=None, bytes=0),
    *_stream("c", fault="pause:1"),
]


@pytest.fixture(params=["rows", "columns"])
def measured(request: pytest.FixtureRequest, tmp_path: Path) -> Measured:
    """The log, measured stream by stream and in columns."""
    path = tmp_path / "log"
    path.write_text("\n".join(LINES) + "\n", "utf-8")
    keep = (lambda group, timeline: None) if request.param == "rows" else None
    return measure(read_timelines(path), keep=keep)


def test_lines_beside_streams_are_counted_and_none_is_skipped(measured: Measured) -> None:
    assert measured.beside == {"request": 2, "note": 1}
    assert measured.skipped_lines == 0
    told = measured.to_json()
    assert (told["requests"], told["notes"]) == (2, 1)


def test_streams_with_a_fault_of_the_proxys_are_a_group_of_their_own(measured: Measured) -> None:
    assert {name: group.streams for name, group in measured.groups.items()} == {
        "m": 2,
        "m (fault pause:1)": 1,
    }


def test_an_apps_own_retries_are_counted_as_such(measured: Measured) -> None:
    group = measured.groups["m"]
    assert (group.app_retries, group.retried) == (1, 0)
    assert group.summary()["app_retries"] == 1
    assert "app_retries" not in measured.groups["m (fault pause:1)"].summary()


def test_findings_say_all_of_it(measured: Measured) -> None:
    told = " ".join(findings_of(measured))
    assert "1 of 2 streams of m is a retry of the app's own (50 %)" in told
    assert "2 requests did not stream" in told
    assert "1 note tells of what the proxy passed on and did not understand" in told


def test_a_log_of_requests_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LINES[0] + "\n", "utf-8")
    assert findings_of(measure(read_timelines(path))) == [
        "The log holds no stream.",
        "1 request did not stream: no timeline tells of what went through there.",
    ]
