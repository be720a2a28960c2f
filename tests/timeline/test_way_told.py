"""What a report says of the way to the screen: in words, tables, rules, on the page; and when nothing."""

from __future__ import annotations

import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lm_deluge.cli.reporting.live_view import live_line, live_table
from lm_deluge.timeline import (
    Settings,
    compare_groups,
    findings_of,
    html_page,
    measure,
    read_timelines,
    verdicts_of,
)
from lm_deluge.timeline.following.recent import Lookout
from lm_deluge.timeline.following.streams import FollowedLog
from lm_deluge.timeline.measures.sampling import Sample
from support.programs import Call
from support.roads import files_of
from support.seen import seen_line, seen_stream

BUFFERS = "something between them buffers (a proxy, compression)"


def group(variant: str, streams: int = 24, *, step: float = 0.06, **delays: Any) -> bytes:
    """Streams of 50 pieces. ``burst``: seconds after which a proxy hands on; the others are means."""
    draw = random.Random(variant)
    parts = []
    for k in range(streams):
        came = [draw.uniform(0.3, 0.6)]
        while len(came) < 50:
            came.append(round(came[-1] + draw.uniform(0.5, 1.5) * step, 6))
        drawn: dict[str, Any] = {
            name: [round(draw.uniform(0.5, 1.5) * delays.get(name, usual), 6) for _ in came]
            for name, usual in (("process", 0.0004), ("network", 0.03), ("painting", 0.012))
        }
        if burst := delays.get("burst"):
            drawn["network"] = [(each // burst + 1) * burst - each for each in came]
        if delays.get("to_the_end"):
            drawn["network"] = [came[-1] + 0.03 - each for each in came]
        other = {key: delays[key] for key in ("hidden", "bound", "told") if key in delays}
        parts.append(
            seen_stream(f"{variant}{k}", came, **drawn, tags={"variant": variant}, **other)
        )
    return b"".join(parts)


def said(*parts: bytes) -> str:
    return "\n".join(findings_of(measure(read_timelines(files_of(*parts)), by="variant")))


TOLD = {
    "bursts": (
        {"burst": 0.9},
        f"The server sent the pieces of variant x one by one, and the browser got them in bursts of 12 "
        f"every 0.9 s: {BUFFERS}.",
    ),
    "all at once": (
        {"to_the_end": True},
        f"the browser got them all at once at the end: {BUFFERS}.",
    ),
    "painting": ({"painting": 0.25}, "Painting, not the network, delays tokens of variant x: "),
    "process": ({"process": 0.15}, "Our process delays tokens of variant x: "),
    "network": ({"network": 0.4}, "Relay and network delay tokens of variant x: "),
    "below the clocks": (
        {"network": 0.004},
        "what relay and network take is below what the clocks can tell (± 12 ms)",
    ),
    "hidden": ({"hidden": True}, "24 streams of variant x were in a hidden tab"),
}


@pytest.mark.parametrize("what", TOLD)
def test_what_stands_out_is_said(what: str) -> None:
    delays, words = TOLD[what]
    assert words in said(group("x", **delays))


def test_painting_is_not_blamed_alone_where_the_clocks_tell_little() -> None:
    words = said(group("x", painting=0.25, bound=0.7))
    assert "Painting delays tokens of variant x" in words
    assert "not the network" not in words


GOOD: dict[str, dict[str, Any]] = {
    "on a wire": {"network": 0.004},
    "on a phone": {"network": 0.12, "painting": 0.02},
    "fast tokens": {"step": 0.008},
    "slow tokens": {"step": 0.4},
    "a jittery network": {"network": 0.08, "step": 0.03},
    "clocks that tell little": {"network": 0.4, "bound": 0.7},
    "a server that sends in bursts itself": {"step": 0.002},
}


@pytest.mark.parametrize("what", GOOD)
def test_a_good_way_raises_no_alarm(what: str) -> None:
    words = said(group("x", **GOOD[what]))
    for alarm in ("buffers", "delay tokens", "delays tokens", "saw "):
        assert alarm not in words
    assert "the first text is on the screen after" in words


def test_a_log_that_no_browser_told_of_says_nothing_of_a_way(report: Call, tmp_path: Path) -> None:
    log, page = tmp_path / "log.jsonl", tmp_path / "page.html"
    log.write_bytes(group("x", told=False))
    out = report(log, "--html", page).out
    assert "The way to the screen" not in out + page.read_text("utf-8")
    assert "browser" not in report(log, "--json").out
    assert "seen." not in report(log, "--csv", "-").out


def test_how_many_were_seen_is_said() -> None:
    words = said(group("x"), group("x2", told=False), group("x3", 6, hidden=True))
    assert "24 of 24" not in words
    half = said(group("y", 10) + group("z", 10, told=False).replace(b'"z"', b'"y"'))
    assert "10 of 20 streams of variant y were seen by a browser (50 %)" in half


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(group("proxied", burst=0.9) + group("wired", network=0.004))
    return path


def test_all_outputs_tell_the_way(report: Call, log: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    out = report(log, "--by", "variant", "--html", page).out
    for text in (out, page.read_text("utf-8")):
        assert "The way to the screen" in text
        assert "in bursts of 12 every 0.9 s" in text
        assert "arrived at our process" in text
        assert "±12 ms" in text
    told = json.loads(report(log, "--by", "variant", "--json").out)["groups"]["wired"]["seen"]
    assert told["streams"] == 24
    assert told["delay"]["network"]["p95"] is None
    rows = report(log, "--by", "variant", "--csv", "-").out.splitlines()
    assert any(row.startswith("proxied,proxied,seen.delay.network,p95,s,1176,0.") for row in rows)
    assert "wired,wired,seen.delay.network,p95,s,1176,,,,,," in rows
    assert "| seen | of | queued | provider |" in report(log, "--by", "variant", "--md", "-").out


RULES = {
    "seen.ttft.p95>5": 0,
    "seen.ttfa.p95>0.1": 1,
    "seen.ttft.p50>10ms": 1,
    "seen.wait.provider.p50>5": 0,
    "seen.delay.network.p95>0.5": 1,
    "seen.delay.painting.p95>100ms": 0,
    "seen.gap.painted.max>0.5": 1,
    "seen.gap.process.max>0.5": 0,
    "seen.stalls.painted.count>0": 0,
    "seen.stalls.painted.longest>1": 0,
    "seen.share<90%": 0,
    "seen.hidden>0": 0,
    "seen.delay.network.p95>2": 0,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_gate_holds_the_way_to_a_rule(report: Call, log: Path, rule: str) -> None:
    done = report(log, "--by", "variant", "--fail-if", rule)
    assert done.code == RULES[rule], done.err
    assert ("broken rule" in done.err) == bool(RULES[rule])


def test_a_rule_below_what_the_clocks_can_tell_says_so(report: Call, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(group("x", network=0.004))
    done = report(log, "--fail-if", "seen.delay.network.p95>1ms")
    assert done.code == 1
    assert "below what the clocks can tell (± 12 ms)" in done.err
    assert report(log, "--fail-if", "seen.delay.network.p95>50ms").code == 0
    wrong = report(log, "--fail-if", "seen.delay.netwrk.p95>50ms")
    assert wrong.code == 2
    assert "seen.delay.network.p95" in wrong.err


def test_a_rule_of_the_wrong_sense_is_taken_and_told_of(report: Call, log: Path) -> None:
    done = report(log, "--by", "variant", "--fail-if", "ttft.p95<0.8")
    assert done.code == 1
    assert "ttft.p95<0.8 fails on the better side" in done.err
    assert "write ttft.p95>0.8" in done.err


def test_a_baseline_is_compared(report: Call, tmp_path: Path) -> None:
    new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
    new.write_bytes(group("x", painting=0.3))
    old.write_bytes(group("x"))
    rule = "seen.delay.painting.p95=20%"
    assert report(new, "--baseline", old, "--max-regression", rule).code == 1
    assert report(old, "--baseline", new, "--max-regression", rule).code == 0
    rows = report(new, "--baseline", old, "--csv", "-").out.splitlines()
    (row,) = (
        row
        for row in rows
        if ",seen.delay.painting,p95," in row or "seen.delay.painting,p95," in row
    )
    *_, value, before, change, _, _, _ = row.split(",")
    assert float(value) - float(before) == pytest.approx(float(change))


def test_a_followed_log_is_told_of_too(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = seen_stream(came=[0.5, 0.6, 0.7], network=0.2, painting=0.1).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    followed = FollowedLog([str(path)], window=1e12)
    followed.poll()
    assert "seen" not in measure(followed.ended).groups["m"].summary()
    with path.open("ab") as file:
        file.write(lines[-1] + seen_line("nobody's", [1.0], [1.0]) + seen_line("s", [9.0], [8.0]))
    followed.poll()
    told = measure(followed.ended).groups["m"].summary()["seen"]
    assert told["delay"]["network"]["p50"] == pytest.approx(0.2, abs=2e-4)
    recent = Lookout(followed, Settings()).look(0.0)
    assert "on screen p95 800 ms" in live_line(recent)
    console = Console(width=100, file=io.StringIO())
    console.print(live_table(recent, window=60, kind="model", rules=0, left_out=0))
    assert "screen p95" in console.file.getvalue()  # type: ignore[attr-defined]
    assert followed.skipped == 1
    assert list(followed._sightings.streams) == ["s"]
    followed.close()


def test_names_from_the_log_are_escaped_on_the_page() -> None:
    evil = "<b onclick=x>"
    measured = measure(read_timelines(files_of(group(evil, 3))), by="variant")
    page = html_page(measured, findings_of(measured), Sample.of(measured))
    assert "The way to the screen" in page
    assert evil not in page


def test_a_verdict_adds_what_the_screens_show_otherwise() -> None:
    def verdict(*parts: bytes) -> str:
        measured = measure(read_timelines(files_of(*parts)), by="variant")
        return verdicts_of(measured)[0].sentence

    straight, proxied = group("straight"), group("proxied", burst=0.9)
    assert verdict(straight, group("another")).count("screen") == 0
    told = verdict(straight, proxied)
    assert "; that is at our process: on the screen with variant straight the first text" in told
    assert re.search(r"the longest 5 % of gaps are 0\.\d+ s shorter\.$", told)
    assert "their readers some differ" in verdict(straight, proxied, group("another"))


def test_what_crosses_clocks_has_no_interval() -> None:
    parts = files_of(group("a"), group("b", painting=0.2))
    measured = measure(read_timelines(parts), by="variant")
    new, old = measured.groups["b"], measured.groups["a"]
    for metric in ("seen.ttft.p50", "seen.wait.painting.p95", "seen.delay.painting.p95"):
        found = compare_groups(new, old, metric)
        assert found.low is not None
        assert found.high is not None
        assert 0.03 < found.low < found.high < 0.35
    assert compare_groups(new, old, "seen.delay.network.p95").low is None
