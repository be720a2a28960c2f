"""``--csv``, ``--md``, ``--no-text`` and a job's summary, as a user and a CI job ask for them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lm_deluge.timeline import read_timelines
from support.programs import Call, Finished
from support.timelines import stream_lines, write

FIXED = [
    "metric", "statistic", "unit", "n", "value", "baseline", "difference", "difference_low",
    "difference_high", "clear",
]  # fmt: skip


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def is_one_line(done: Finished, code: int) -> bool:
    return (done.code, done.out, done.err.count("\n")) == (code, "", 1)


def named(tmp_path: Path, *names: str, tag: str = "variant") -> Path:
    """A log with a stream for each value of a tag."""
    log = [
        stream_lines(str(k), [0.5, 0.6, 2.0], tags={tag: name}, model="m")
        for k, name in enumerate(names)
    ]
    return write(tmp_path / "named.jsonl", log)


def test_csv_is_a_row_a_figure_with_the_same_columns_always(
    report: Call, new: Path, old: Path
) -> None:
    plain = report(new, "--csv", "-", "--by", "variant")
    compared = report(new, "--csv", "-", "--by", "variant", "--baseline", old)
    for done in (plain, compared):
        assert (done.code, done.complaints) == (0, "")
        assert done.out.split("\r\n")[0].split(",") == ["group", "variant", *FIXED]
        assert "\n" not in done.out.replace("\r\n", "")
    summary = json.loads(report(new, "--json", "--by", "variant").out)["groups"]["B"]
    found = {
        (row["metric"], row["statistic"]): row
        for row in rows(compared.out)
        if row["variant"] == "B"
    }
    assert float(found["ttft", "p95"]["value"]) == summary["ttft"]["p95"]
    assert found["ttft", "p95"]["unit"] == "s"
    assert found["failed", "value"]["value"] == "1"
    assert found["errors", "APITimeoutError"]["value"] == "1"
    assert found["goodput", "value"]["value"] == ""
    assert found["ttft", "p50"]["clear"] == "true"
    low, high = (float(found["ttft", "p50"][f"difference_{end}"]) for end in ("low", "high"))
    assert 0 < low < float(found["ttft", "p50"]["difference"]) < high
    assert {row["baseline"] for row in rows(plain.out)} == {""}


def test_csv_has_a_column_for_each_tag(report: Call, tmp_path: Path) -> None:
    log = [
        stream_lines("a", [0.5], tags={"variant": "A, =1", "metric": "x"}),
        stream_lines("b", [0.5], tags={"variant": 'B"', "metric": "y"}),
        stream_lines("c", [0.5], tags={"metric": ["z"]}),
    ]
    path = write(tmp_path / "log", log)
    done = report(path, "--csv", "-", "--by", "variant", "--by", "metric")
    table = rows(done.out)
    assert {(row["variant"], row["tag.metric"]) for row in table} == {
        ("A, =1", "x"), ('B"', "y"), ("(no variant)", '["z"]'),
    }  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\t", "\r", "\n"])
def test_no_name_is_a_formula_to_a_spreadsheet(report: Call, tmp_path: Path, start: str) -> None:
    name = f'{start}HYPERLINK("http://x","y")'
    done = report(named(tmp_path, name, "a\nb"), "--csv", "-", "--by", "variant")
    for row in rows(done.out):
        assert row["variant"] in (f"'{name}", "a\nb")
        assert row["group"] == row["variant"]


def test_markdown_says_the_rules_the_groups_and_what_changed(
    report: Call, new: Path, old: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out.md"
    done = report(
        new, "--baseline", old, "--by", "variant", "--md", file, "--json",
        "--fail-if", "ttft.p95>0.5", "--fail-if", "failed>50%",
    )  # fmt: skip
    assert done.code == 1
    assert f"the summary is in {file}" in done.err
    json.loads(done.out)
    text = file.read_text("utf-8")
    assert text.startswith("<!-- lm-deluge report -->\n")
    assert "❌ **1 of 2 rules broken**" in text
    assert "- ❌ `ttft.p95>0.5`: `A` " in text
    assert "- ✅ `failed>50%` holds" in text
    assert "| `B` | 20 | 1 (5 %) | " in text
    assert "| `A` | median TTFT | " in text
    assert len(text) < 8_000


def cells(line: str) -> list[str]:
    """Split a row of a table as GitHub does: at pipes that no backslash escapes."""
    return line.strip("|").replace(r"\|", "\0").split("|")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a|b", r"`a\|b`"),
        ("<img src=x onerror=alert(1)>", "`<img src=x onerror=alert(1)>`"),
        ("`tick", "`` `tick ``"),
        ("a``b", "```a``b```"),
        ("two\nlines", "`two lines`"),
        ("@everyone", "`@everyone`"),
        ("", "(empty)"),
        ("a\x1b[31m\u202eb", "`a\ufffd[31m\ufffdb`"),
    ],
)
def test_a_name_neither_breaks_the_table_nor_is_formatted(
    report: Call, tmp_path: Path, name: str, shown: str
) -> None:
    text = report(named(tmp_path, name, "other"), "--md", "-", "--by", "variant").out
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert any(line.startswith(f"| {shown} | 1 | 0 |") for line in lines), lines
    assert len({len(cells(line)) for line in lines}) == 1


def test_sentences_are_not_formatted_and_mention_nobody(report: Call, tmp_path: Path) -> None:
    name = "@team <b>#12</b> *x* [l](http://a.b) www.c.d | `q"
    text = report(named(tmp_path, name, "other"), "--md", "-", "--by", "variant").out
    sentences = [line for line in text.splitlines() if line.startswith("- ") and "team" in line]
    assert sentences
    for sentence in sentences:
        for harm in ("@team", "<b>", "#12", " *x*", "[l]", "http://", " www.", " | ", " `q"):
            assert harm not in sentence, (harm, sentence)


def test_markdown_of_forty_five_groups_shows_the_largest_and_says_so(
    report: Call, tmp_path: Path
) -> None:
    names = [f"g{k:02}" for k in range(45)]
    text = report(named(tmp_path, *names, *names[:40]), "--md", "-", "--by", "variant").out
    assert "The 40 largest of 45 groups" in text
    assert "| `g39` |" in text
    assert "| `g40` |" not in text


def test_markdown_fits_a_comment_whatever_the_log_holds(report: Call, tmp_path: Path) -> None:
    names = [f"{'group' * 30} {k}" for k in range(300)]
    log = [
        stream_lines(str(k), [0.5], tags={"variant": name}, failed="APIError", phase="tail")
        for k, name in enumerate(names)
    ]
    rules = [part for k in range(9) for part in ("--fail-if", f"failed>{k / 10}%")]
    done = report(write(tmp_path / "log", log), "--md", "-", "--by", "variant", *rules)
    assert done.code == 1
    assert "; and 290 more" in done.out
    assert len(done.out) < 65_536


@pytest.mark.parametrize(
    "options",
    [["--json", "--csv", "-"], ["--csv", "-", "--md", "-"], ["--json", "--csv", "-", "--md", "-"]],
)
def test_only_one_thing_goes_to_standard_output(
    report: Call, new: Path, options: list[str]
) -> None:
    done = report(new, *options)
    assert is_one_line(done, 2), done
    assert "go to standard output" in done.err


def test_files_go_beside_what_is_printed(report: Call, new: Path, tmp_path: Path) -> None:
    table, summary = tmp_path / "t.csv", tmp_path / "t.md"
    done = report(new, "--csv", table, "--md", summary)
    assert "Distributions" in done.out
    assert table.read_bytes().startswith(b"group,metric,")
    assert report(new, "--csv", "-").out.encode() == table.read_bytes()
    assert report(new, "--md", "-").out == summary.read_text("utf-8")


@pytest.mark.parametrize("option", ["--csv", "--md"])
@pytest.mark.parametrize("content", ["name,age\n", "# Notes\n", '{"v":1}\n'])
def test_what_is_no_table_of_ours_is_not_overwritten(
    report: Call, new: Path, tmp_path: Path, option: str, content: str
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(content)
    done = report(new, option, kept)
    assert is_one_line(done, 2), done
    assert "it is not overwritten" in done.err
    assert kept.read_text() == content


@pytest.mark.parametrize("option", ["--csv", "--md"])
def test_an_empty_file_and_an_earlier_table_are_overwritten(
    report: Call, new: Path, old: Path, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "t"
    file.touch()
    assert report(old, option, file).code == 0
    before = file.read_bytes()
    assert report(new, option, file).code == 0
    assert file.read_bytes() != before


@pytest.mark.parametrize("option", ["--csv", "--md"])
def test_where_a_table_cannot_be_is_found_before_the_log_is_read(
    report: Call, new: Path, tmp_path: Path, option: str
) -> None:
    done = report(tmp_path / "nothing", option, tmp_path / "missing" / "t")
    assert done.code == 2
    for path in (new, tmp_path / "missing" / "t"):
        done = report(new, option, path)
        assert is_one_line(done, 2), done


def test_two_tables_are_not_one_file(report: Call, new: Path, tmp_path: Path) -> None:
    done = report(new, "--csv", tmp_path / "t", "--md", tmp_path / "t")
    assert is_one_line(done, 2), done
    assert "are the same file" in done.err


def words_of(log: Path) -> set[str]:
    """Every text of a log: what people asked and what they were answered."""
    words: set[str] = set()
    for line in log.read_text("utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        words |= {row[key] for key in ("text", "prompt", "message") if row.get(key)}
    return words


def test_a_page_without_text_holds_no_prompt_and_no_answer(report: Call, tmp_path: Path) -> None:
    log = []
    for k in range(12):
        lines = stream_lines(
            f"s{k}", [0.5, 0.7, 3.0], pieces=[f"Zebra{k} ", f"quartz{k} ", f"vermouth{k}"],
            tags={"variant": "AB"[k % 2]}, reasoning=[0.2],
            failed="ConnectionLostError" if k % 5 == 0 else None, phase="between_tokens",
        )  # fmt: skip
        lines[0] = replace(lines[0], prompt=f"Whisper{k} about turnips", prompt_hash=f"h{k // 2}")
        if k % 5 == 0:
            lines[-1] = replace(lines[-1], message=f"broke after Mango{k}")
        log.append(lines)
    path = write(tmp_path / "log.jsonl", log)
    said = words_of(path)
    assert {"Zebra3 ", "Whisper3 about turnips", "broke after Mango5"} <= said
    page = tmp_path / "page.html"
    assert report(path, "--by", "variant", "--html", page, "--json").code == 0
    assert any(word.strip() in page.read_text("utf-8") for word in said)
    assert report(path, "--by", "variant", "--html", page, "--json", "--no-text").code == 0
    bare = page.read_text("utf-8")
    assert [word for word in said if word != "hm" and word.strip() in bare] == []
    for stem in ("Zebra", "quartz", "vermouth", "Whisper", "turnips", "Mango"):
        assert stem not in bare, stem


def test_reading_without_text_drops_the_prompt_too(tmp_path: Path) -> None:
    lines = stream_lines("a", [0.5])
    lines[0] = replace(lines[0], prompt="Why?", prompt_hash="h")
    path = write(tmp_path / "log", [lines])
    (kept,) = read_timelines(path)
    (bare,) = read_timelines(path, text=False)
    assert (kept.prompt, bare.prompt, bare.prompt_hash) == ("Why?", None, "h")


def test_no_text_is_about_a_page(report: Call, new: Path) -> None:
    done = report(new, "--no-text")
    assert is_one_line(done, 2), done
    assert "give --html" in done.err


def test_a_gate_on_github_adds_to_the_jobs_summary(report: Call, new: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# The job\n")
    rules = ("--fail-if", "ttft.p95>0.5", "--fail-if", "failed>50%")
    done = report(new, *rules, GITHUB_STEP_SUMMARY=str(summary))
    text = summary.read_text("utf-8")
    assert done.code == 1
    assert text.startswith("# The job\n<!-- lm-deluge report -->")
    assert "1 of 2 rules broken" in text
    assert "✅ `failed>50%` holds" in text
    report(new, GITHUB_STEP_SUMMARY=str(summary))  # no gate
    assert summary.read_text("utf-8") == text


def test_a_summary_that_cannot_be_written_changes_no_exit_code(
    report: Call, new: Path, tmp_path: Path
) -> None:
    for rule, code in (("failed>50%", 0), ("ttft.p95>0.5", 1)):
        done = report(new, "--fail-if", rule, GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "s.md"))
        assert done.code == code
        assert "GITHUB_STEP_SUMMARY cannot be written" in done.err
