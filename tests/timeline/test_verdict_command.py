"""``lm-deluge report`` and its verdict: in the terminal, in JSON, in Markdown, on the page."""

from __future__ import annotations

import json
from pathlib import Path

from support.programs import Call


def test_the_page_has_the_title_the_note_and_the_names_of_the_logs(
    report: Call, new: Path, old: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = report(
        new, "--baseline", old, "--html", page, "--json", "--title", "Before the fair", "--note", "EU <b>",
    )  # fmt: skip
    assert done.code == 0
    text = page.read_text("utf-8")
    assert "<title>Before the fair</title>" in text
    for said in ("EU &lt;b&gt;", "new.jsonl", "old.jsonl", "The verdict", "22 November 2026"):
        assert said in text, said
    assert str(tmp_path) not in text


def test_the_verdict_is_in_json_and_leads_the_markdown(report: Call, new: Path, old: Path) -> None:
    document = json.loads(report(new, "--baseline", old, "--json").out)
    kinds = [verdict["kind"] for verdict in document["verdict"]]
    assert kinds == ["ranking", "better", "better"]
    first = document["verdict"][1]
    assert (first["keep"], first["worse"]) == ("before", first["new"])
    reasons = {reason["metric"]: reason for reason in first["reasons"]}
    wait = reasons["ttft.p50"]
    assert (wait["level"], wait["better"], wait["clear"]) == ("waits", "before", True)
    assert wait["interval"][0] < wait["difference"] < wait["interval"][1]
    done = report(new, "--baseline", old, "--md", "-")
    assert "**model-0 and model-1 are worse than before.**" in done.out
