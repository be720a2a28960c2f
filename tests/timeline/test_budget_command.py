"""``--budget``: a file's rules and settings, and the command's beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lm_deluge.timeline import parse_budget
from support.programs import Call, Finished


def is_one_line(done: Finished, code: int) -> bool:
    return (done.code, done.out, done.err.count("\n")) == (code, "", 1)


BUDGET = """
[settings]
by = "variant"
stall = 0.05

[[rule]]
name = "first text"
when = "ttft.p95>0.5"
why = "people leave"
group = "B"
"""


def test_a_budget_is_held_beside_rules_given(report: Call, new: Path, tmp_path: Path) -> None:
    budget = tmp_path / "ux.toml"
    budget.write_text(BUDGET)
    done = report(new, "--budget", budget, "--fail-if", "failed>0", "--json")
    assert done.code == 1
    assert list(json.loads(done.out)["groups"]) == ["A", "B"]
    first, second = done.err.splitlines()
    assert first.startswith("lm-deluge report: broken rule: first text (ttft.p95>0.5): B: ")
    assert first.endswith("(20 streams) (people leave)")
    assert "A:" not in first
    assert second.startswith("lm-deluge report: broken rule: failed>0: B: 1")


def test_options_replace_what_a_budget_sets(report: Call, new: Path, tmp_path: Path) -> None:
    budget = tmp_path / "ux.toml"
    budget.write_text(BUDGET.replace('group = "B"\n', ""))
    stalls = [
        json.loads(report(new, "--budget", budget, "--json", "--by", "model", *more).out)
        for more in ([], ["--stall", "9"])
    ]
    assert list(stalls[0]["groups"]) == ["model-0", "model-1"]
    counts = [document["groups"]["model-0"]["stalls"]["count"] for document in stalls]
    assert counts[0] > counts[1] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[rule]]\nwhn = "x>1"\n', "ux.toml, [[rule]] 1: 'whn' is no key; did you mean when?"),
        ('[[rule]]\nmax_regression = "ttft.p95=1%"\n', "ttft.p95=1% compares with a log: give --baseline"),
        ("\xff", "there is no rule in it"),
    ],
)  # fmt: skip
def test_a_bad_budget_is_one_line(
    report: Call, new: Path, tmp_path: Path, text: str, why: str
) -> None:
    budget = tmp_path / "ux.toml"
    budget.write_bytes(text.encode("latin-1") if "\xff" in text else text.encode())
    done = report(new, "--budget", budget)
    assert is_one_line(done, 2), done
    assert why in done.err or (text == "\xff" and "no UTF-8 text" in done.err)


def test_a_budget_that_is_not_there_or_is_written_over_is_refused(
    report: Call, new: Path, tmp_path: Path
) -> None:
    assert is_one_line(report(new, "--budget", tmp_path / "none.toml"), 2)
    budget = tmp_path / "ux.toml"
    budget.write_text(BUDGET)
    assert report(new, "--budget", budget, "--csv", budget).code == 2
    assert budget.read_text() == BUDGET


GUIDE = Path(__file__).parents[2] / "docs/budgets.md"


def test_the_guides_budget_is_one() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.S)
    assert [rule.name for rule in parse_budget(toml).rules][:2] == ["first text", "answers break"]
