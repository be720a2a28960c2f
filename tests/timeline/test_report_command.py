"""``lm-deluge report`` as a user and a CI job run it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lm_deluge.logs.record import encode_lines
from support.extras import needs
from support.programs import Call, Finished, Run
from support.timelines import stream_lines, streams, write

#: What a program needs that runs the command.
REPORT = needs("click", "rich", "numpy", "jinja2")


def is_one_line(done: Finished, code: int) -> bool:
    """Whether it failed with ``code``, one line on stderr and nothing else."""
    return (done.code, done.out, done.err.count("\n")) == (code, "", 1)


@REPORT
async def test_the_terminal_summary_has_the_tables_and_the_findings(
    run: Run, python: tuple[str, ...], new: Path
) -> None:
    done = await run(*python, "-m", "lm_deluge.cli", "report", new, seconds=120)
    assert (done.code, done.complaints) == (0, "")
    for text in (
        "Streams", "Failed and retried", "Distributions", "Errors", "Findings", "model-0", "model-1",
        "TTFT", "TPOT", "QoE", "handlers", "loop lag", "APITimeoutError", "between_tokens", "$0.2",
        "0 skipped", "p99",
    ):  # fmt: skip
        assert text in done.out, text
    assert done.out.startswith("Verdict\n▶ ")
    assert "secret" not in done.out


def test_json_is_one_object_and_nothing_else(report: Call, new: Path) -> None:
    done = report(new, "--json", "--by", "variant")
    assert (done.code, done.complaints) == (0, "")
    document = json.loads(done.out)
    assert list(document) == [
        "groups",
        "skipped_lines",
        "findings",
        "comparisons",
        "verdict",
        "pairs",
    ]
    assert list(document["groups"]) == ["A", "B"]
    assert document["groups"]["A"]["streams"] == 20
    assert document["groups"]["B"]["errors"] == {"APITimeoutError": 1}


def test_standard_input_several_files_and_globs(report: Call, new: Path, old: Path) -> None:
    both = json.loads((report(new, old, "--json")).out)
    pattern = json.loads((report(new.parent / "*.jsonl", "--json")).out)
    assert both == pattern
    assert both["groups"]["model-0"]["streams"] == 40
    piped = report("-", "--json", stdin=new.read_bytes())
    assert json.loads(piped.out)["groups"]["model-0"]["streams"] == 20


def test_settings_and_targets_reach_the_numbers(report: Call, new: Path) -> None:
    strict = json.loads((report(new, "--json", "--stall", "0.05", "--read-rate", "100")).out)
    usual = json.loads((report(new, "--json", "--target", "ttft<=5s")).out)
    one, other = strict["groups"]["model-0"], usual["groups"]["model-0"]
    assert one["stalls"]["count"] > other["stalls"]["count"] == 0
    assert one["starvation"]["mean"] > other["starvation"]["mean"]
    assert other["goodput"] > 0
    patient = json.loads((report(new, "--json", "--expected-ttft", "0.1")).out)
    assert patient["groups"]["model-0"]["qoe"]["mean"] < other["qoe"]["mean"]


def test_a_baseline_is_compared_with(report: Call, new: Path, old: Path) -> None:
    done = report(new, "--baseline", old)
    assert (done.code, done.complaints) == (0, "")
    assert "Compared with the baseline" in done.out
    assert "Median TTFT of model-0 is 0.4" in done.out
    assert "s higher than before, 95 % interval" in done.out


def test_broken_rules_are_one_line_each_and_exit_code_1(report: Call, new: Path, old: Path) -> None:
    done = report(
        new, "--baseline", old, "--json", "--fail-if", "ttft.p95>0.8", "--fail-if", "ttft.p95>9",
        "--max-regression", "ttft.p50=20%", "--max-regression", "gap.p50=50%",
    )  # fmt: skip
    assert done.code == 1
    lines = done.complaints.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("lm-deluge report: broken rule: ttft.p95>0.8: model-0: 0.9")
    assert lines[1].startswith("lm-deluge report: broken rule: ttft.p50=20%: model-0: 0.")
    json.loads(done.out)


def test_a_gate_does_not_pass_by_emptiness(report: Call, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    done = report(tmp_path / "empty.jsonl", "--fail-if", "ttft.p95>0.8")
    assert done.code == 1
    assert "no data, the log holds no stream" in done.err


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--fail-if", "ttft.p96>1"], "did you mean ttft.p9"),
        (["--fail-if", "ttft.p95=1"], "expected METRIC>NUMBER"),
        (["--fail-if", "goodput<1"], "needs at least one --target"),
        (["--max-regression", "ttft.p95=20%"], "give --baseline, too"),
        (["--baseline", "{log}", "--max-regression", "ttft.p95>1"], "expected METRIC=NUMBER"),
        (["--target", "ttft"], "expected METRIC<=NUMBER"),
        (["--stall", "-1"], "stall: finite seconds"),
        (["--read-rate", "0"], "read_rate: finite tokens a second"),
        (["--read-rate", "fast"], "'fast' is not a valid float"),
        (["--baseline", "missing.jsonl"], "no such file"),
        (["missing-*.jsonl"], "no file matches the pattern"),
        (["/"], "Is a directory"),
        (["--nonsense"], "No such option"),
        (["--fail-if", "errors.ConectionLostError>0"], "did you mean errors.ConnectionLostError?"),
        (["--fail-if", "handler_lag.p95>1"], "loop_lag.p95"),
        (["--by", "varient"], "no stream has the tag 'varient'; did you mean variant?"),
        (["--by", "variant", "--by", "zzz"], "no stream has the tag 'zzz'; there are variant"),
        (["--title", "x"], "--title is about the page: give --html, too"),
        (["--note", "x"], "--note is about the page: give --html, too"),
        (["--html", "a.html", "--title", " "], "--title: a page is called something"),
        (["--by", ""], "no stream has the tag ''"),
        (["--pair", "varient"], "--pair: no stream has the tag 'varient'; did you mean variant?"),
        (["--pair", ""], "no stream has the tag ''"),
        (["--pair", "a", "--pair", "b"], "--pair is given twice"),
        (["--stall", "1", "--stall", "2"], "--stall is given twice"),
        (["--html", "a.html", "--html", "b.html"], "--html is given twice"),
        (["--read-rate", "1", "--read-rate", "1"], "--read-rate is given twice"),
        (["-", "--baseline", "-"], "standard input (-) can be read once"),
        (["--html", "-"], "not to standard output"),
        (["--html", "/nonexistent/page.html"], "there is no directory '/nonexistent'"),
        (["--html", "{log}"], "exists and is no HTML page; it is not overwritten"),
        (["--html", "/"], "is a directory"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    report: Call, new: Path, args: list[str], why: str
) -> None:
    done = report(new, *(arg.format(log=new) for arg in args))
    assert is_one_line(done, 2), done
    assert why in done.err


NO_LOGS = {
    "notes.txt": b"Dear diary,\ntoday nothing streamed.\n",
    "binary": bytes(range(256)) * 20,
    "empty": b"",
    "blank": b"\n\n  \n",
    "other.jsonl": b'{"id": 1, "prompt": "hi"}\n{"id": 2, "prompt": "ho"}\n',
    "one.json": b'{"groups": {}}',
    "newer.jsonl": b'{"v":2,"e":"start","s":"a","t":0}\n',
    "cut.gz": b"\x1f\x8b\x08\x00",
    "other_events": b'{"v":1,"e":"hello","s":"a","t":0}\n',
    "half": b'{"v":1,"e":"sta',
}


@pytest.mark.parametrize("name", NO_LOGS)
def test_what_is_no_log_is_wrong_input(report: Call, new: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "given" / name
    path.parent.mkdir()
    path.write_bytes(NO_LOGS[name])
    for args in (
        [path],
        [path, "--json"],
        [new, "--baseline", path],
        [path, "--html", "page.html"],
    ):
        done = report(*args)
        assert is_one_line(done, 2), done
    assert is_one_line(report("-", stdin=NO_LOGS[name]), 2)


@pytest.mark.parametrize("name", sorted(set(NO_LOGS) - {"empty", "blank", "half"}))
def test_a_file_that_is_no_log_is_named_among_others(
    report: Call, new: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "given" / name
    path.parent.mkdir()
    path.write_bytes(NO_LOGS[name])
    done = report(new, path)
    assert is_one_line(done, 2), done
    assert f"{path} is neither a timeline log nor a recording (" in done.err


def test_a_baseline_without_streams_is_refused_unless_a_rule_tells(
    report: Call, new: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    args = (new, "--baseline", tmp_path / "empty", "--fail-if", "failed>90%")
    done = report(*args)
    assert is_one_line(done, 2), done
    assert "the baseline holds no stream" in done.err
    done = report(*args, "--max-regression", "ttft.p95=20%")
    assert done.code == 1
    assert "no data, the baseline holds no stream" in done.err


@pytest.mark.parametrize("name", ["empty", "blank", "half"])
def test_a_log_that_was_cut_at_its_first_line_is_one_among_others(
    report: Call, new: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "given" / name
    path.parent.mkdir()
    path.write_bytes(NO_LOGS[name])
    assert report(new, path).code == 0


def test_groups_by_several_tags(report: Call, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        [
            stream_lines(f"{k}", [0.5], model="m1", tags={"variant": "AB"[k % 2], "user": k % 3})
            for k in range(6)
        ],
    )
    both = json.loads(report(log, "--json", "--by", "variant", "--by", "user").out)
    assert list(both["groups"]) == [f"variant={v}, user={u}" for v in "AB" for u in (0, 1, 2)]
    assert all(group["streams"] == 1 for group in both["groups"].values())
    with_model = json.loads(report(log, "--json", "--by", "model", "--by", "variant").out)
    assert list(with_model["groups"]) == ["model=m1, variant=A", "model=m1, variant=B"]
    once = report(log, "--json", "--by", "variant", "--by", "variant").out
    assert once == report(log, "--json", "--by", "variant").out
    assert "variant, user" in report(log, "--by", "variant", "--by", "user").out


def test_several_baselines_are_taken_together(report: Call, new: Path, old: Path) -> None:
    done = report(new, "--baseline", new, "--baseline", old)
    one = report(new, "--baseline", old.parent / "*.jsonl")
    assert (done.code, done.out) == (0, one.out)


@pytest.mark.parametrize("content", ["# Notes\n", '{"v":1,"e":"start","s":"x","t":0}\n'])
def test_the_page_overwrites_no_file_that_is_no_page(
    report: Call, new: Path, tmp_path: Path, content: str
) -> None:
    """As in ``report --html a.jsonl b.jsonl``, where the page's name was forgotten."""
    kept = tmp_path / "kept.jsonl"
    kept.write_text(content)
    done = report("--html", kept, new)
    assert is_one_line(done, 2), done
    assert "exists and is no HTML page" in done.err
    assert kept.read_text() == content


@pytest.mark.parametrize("before", ["", "<!DOCTYPE html>old", "\n<html>old"])
def test_the_page_overwrites_a_page_and_an_empty_file(
    report: Call, new: Path, tmp_path: Path, before: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(before)
    assert report("--html", page, new, "--json").code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert "old" not in page.read_text("utf-8")[:100]


def test_a_link_to_a_log_is_that_log(report: Call, new: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.html"
    link.symlink_to(new)
    before = new.read_bytes()
    done = report(new, "--html", link)
    assert is_one_line(done, 2), done
    assert new.read_bytes() == before


def test_where_the_page_cannot_be_is_found_before_the_log_is_read(
    report: Call, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("no log at all")
    done = report(tmp_path / "log", "--html", tmp_path / "missing" / "page.html")
    assert "there is no directory" in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "log"]


@REPORT
@pytest.mark.parametrize("args", [[], ["--json"]])
async def test_a_closed_pipe_is_141_as_for_any_program(
    run: Run, python: tuple[str, ...], new: Path, args: list[str]
) -> None:
    command = " ".join((*python, "-m", "lm_deluge.cli", "report", str(new), *args))
    done = await run("bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.out, done.complaints) == ("141\n", "")


@REPORT
@pytest.mark.slow
async def test_a_closed_pipe_hides_no_broken_rule_and_no_page(
    run: Run, python: tuple[str, ...], new: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    command = " ".join((*python, "-m", "lm_deluge.cli", "report", str(new), "--html", str(page)))
    done = await run(
        "bash", "-c", f"{command} --fail-if 'ttft.p50>0' | true; echo ${{PIPESTATUS[0]}}"
    )
    assert done.out == "1\n"
    assert "broken rule: ttft.p50>0" in done.err
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_no_log_at_all_is_wrong_usage(report: Call) -> None:
    done = report()
    assert is_one_line(done, 2), done
    assert "LOG" in done.err


def test_the_page_is_written_and_named(report: Call, new: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    done = report(new, "--html", page, "--json")
    assert done.code == 0
    assert done.complaints == f"lm-deluge report: the page is in {page}\n"
    json.loads(done.out)
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_is_one_line(report: Call, new: Path) -> None:
    done = report(new, "--json", "--html", "/nonexistent/out.html")
    assert done.code != 0
    assert done.err.count("\n") == 1
    assert "/nonexistent/out.html" in done.err


def test_control_characters_from_a_log_do_not_reach_the_terminal(
    report: Call, tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07[red]x[/red]\r\x9b2J"
    lines = stream_lines(
        "s", [0.5, 3.0], model=evil, tags={"t": evil, evil: 1}, failed=evil, phase=evil
    )
    log = write(tmp_path / "log", [lines])
    rules = ("--fail-if", "ttft.p50>0", "--fail-if", "errors.x>0")
    for args in (("--by", "t", *rules[:2]), ("--by", "zz"), ("--by", "t", *rules)):
        said = report(log, *args).err
        assert said.count("\n") == 1
        assert not set(said) & {"\x1b", "\x07", "\r", "\x9b"}
    done = report(log, "--by", "t")
    assert done.code == 0
    assert not set(done.out) & {"\x1b", "\x07", "\r", "\x9b"}
    assert "[red]" in done.out


def test_damaged_lines_are_told(report: Call, new: Path) -> None:
    new.write_bytes(new.read_bytes() + b'{"v":1,"e":"tok\n')
    done = report(new)
    assert f"1 half or damaged line, first at {new}:" in done.out
    assert ", 1 skipped." in done.out


@needs("click", "rich")
@pytest.mark.parametrize(("package", "args"), [("numpy", []), ("jinja2", ["--html", "out.html"])])
async def test_a_missing_package_is_named(
    run: Run, python: tuple[str, ...], new: Path, package: str, args: list[str]
) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['lm-deluge', 'report', "
        f"{str(new)!r}, *{args!r}]\nfrom lm_deluge.cli import main; main()"
    )
    done = await run(*python, "-c", program, cwd=new.parent)
    assert done.code == 1
    assert (done.out, done.complaints.count("\n")) == ("", 1)
    assert re.search(rf"pip install .*{package}", done.err)


async def test_reading_needs_no_numpy(run: Run, python: tuple[str, ...], new: Path) -> None:
    program = (
        "import sys; sys.modules['numpy'] = sys.modules['jinja2'] = None\n"
        "from lm_deluge.timeline import read_timelines\n"
        f"print(sum(t.qoe() is not None for t in read_timelines({str(new)!r})))"
    )
    done = await run(*python, "-c", program)
    assert (done.code, done.out, done.complaints) == (0, "40\n", "")


def test_a_log_that_grows_while_it_is_read_is_no_harm(report: Call, new: Path) -> None:
    data = new.read_bytes() + encode_lines(streams(3)[0])[:-20]
    done = report("-", "--json", stdin=data)
    assert json.loads(done.out)["skipped_lines"] == 1
