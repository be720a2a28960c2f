"""A budget as a file: what it says, and what is wrong with it."""

from __future__ import annotations

import pytest

from lm_deluge.timeline import Settings, broken_rules, judge_rules, measure, parse_budget
from support.timelines import timeline

WHOLE = """
[settings]
by = "variant"
stall = 0.5
read_rate = 6
expected_ttft = 0.8
targets = ["ttft<=0.8", "gap.p95<=250ms"]

[[rule]]
name = "first text"
when = "ttft.p95>0.8"
why = "half of the people leave after a second"
group = "B*"

[[rule]]
name = "no worse than main"
max_regression = "stalls.streams=20%"

[[rule]]
when = "failed>1%"
"""


def test_a_budget_holds_rules_settings_targets_and_groups() -> None:
    budget = parse_budget(WHOLE, "ux.toml")
    assert (budget.by, budget.source) == (("variant",), "ux.toml")
    assert budget.settings == Settings(0.5, 6.0, 0.8, budget.targets)
    assert [str(target) for target in budget.targets] == ["ttft<=0.8", "gap.p95<=0.25"]
    first, second, third = budget.rules
    assert (first.text, first.name, first.group) == ("ttft.p95>0.8", "first text", "B*")
    assert first.why == "half of the people leave after a second"
    assert (second.text, second.name) == ("stalls.streams=20%", "no worse than main")
    assert (third.text, third.name, third.why, third.group) == ("failed>1%", None, None, None)


def test_a_budget_may_be_rules_alone() -> None:
    budget = parse_budget('[[rule]]\nwhen = "ttft.p95>0.8"\n')
    assert (len(budget.rules), budget.by, budget.settings) == (1, (), Settings())


def test_a_broken_rule_says_its_name_and_why() -> None:
    measured = measure([timeline([2.0], tags={"variant": v}) for v in ("A", "B1")], by="variant")
    rules = parse_budget(WHOLE).rules[:1]
    assert broken_rules(measured, rules) == [
        "first text (ttft.p95>0.8): B1: 2 s (1 stream) (half of the people leave after a second)"
    ]


def test_a_rule_for_a_group_leaves_the_others_alone_and_a_group_that_is_not_there_breaks_it() -> (
    None
):
    measured = measure([timeline([2.0], tags={"v": v}) for v in "AB"], by="v")

    def problems(group: str) -> str:
        text = f'[[rule]]\nwhen = "ttft.p95>1"\ngroup = "{group}"\n'
        (judged,) = judge_rules(measured, parse_budget(text).rules)
        return "; ".join(map(str, judged.problems))

    assert problems("A") == "A: 2 s (1 stream)"
    assert problems("[AB]") == "A: 2 s (1 stream); B: 2 s (1 stream)"
    assert problems("C") == "no data, no group is named 'C'; there are A, B"


def test_a_group_whose_name_is_a_pattern_is_itself() -> None:
    measured = measure([timeline([2.0], tags={"v": v}) for v in ("[x]", "x")], by="v")
    rules = parse_budget('[[rule]]\nwhen = "ttft.p95>1"\ngroup = "[x]"\n').rules
    assert broken_rules(measured, rules) == ["ttft.p95>1: [x]: 2 s (1 stream)"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[rule]\n", r"^ux\.toml: no TOML: .*line 1"),
        ("", r"^ux\.toml: there is no rule in it; each begins with \[\[rule\]\]"),
        ("rule = 3\n", r"^ux\.toml: rule: tables are expected, each begun with \[\[rule\]\]"),
        ('[rule]\nwhen = "ttft.p95>1"\n', r"rule: tables are expected"),
        ("[[rules]]\n", r"^ux\.toml: 'rules' is no key; did you mean rule\?"),
        ("[seting]\n", r"'seting' is no key; did you mean settings\?"),
        ("settings = 1\n", r"a table, \[settings\] is expected, not 1"),
        (
            "[settings]\nstal = 1\n",
            r"^ux\.toml, \[settings\]: 'stal' is no key; did you mean stall\?",
        ),
        ("[settings]\nzzz = 1\n", r"there are stall, read_rate, expected_ttft, targets, by"),
        ("[settings]\nstall = true\n", r"\[settings\], stall: a number is expected, not True"),
        ('[settings]\nstall = "1"\n', r"stall: a number is expected, not '1'"),
        ("[settings]\nstall = -1\n", r"\[settings\], stall: finite seconds, not below 0; got -1"),
        ("[settings]\nread_rate = 0\n", r"read_rate: finite tokens a second, above 0"),
        ("[settings]\nby = 3\n", r"by: a tag's name or a list of them is expected, not 3"),
        ('[settings]\nby = [""]\n', r"by: a tag's name or a list"),
        ("[settings]\ntargets = [1]\n", r"targets: a list of texts is expected"),
        ('[settings]\ntargets = ["tft<1"]\n', r"targets: target 'tft<1'.*did you mean ttft"),
        ("[[rule]]\n", r"^ux\.toml, \[\[rule\]\] 1: when .* or max_regression .*neither is given"),
        ('[[rule]]\nwhen = "a>1"\nmax_regression = "b=1"\n', r"both are given"),
        ('[[rule]]\nwhen = "tftt.p95>1"\n', r"\[\[rule\]\] 1, when: rule .*did you mean ttft\.p95"),
        (
            '[[rule]]\nwhen = "ttft.p95>1"\n[[rule]]\nname = "n"\nwhn = "ttft.p95>1"\n',
            r"\[\[rule\]\] 2 \('n'\): 'whn' is no key; did you mean when\?",
        ),
        ('[[rule]]\nfail_if = "ttft.p95>1"\n', r"'fail_if' is no key; did you mean when\?"),
        ("[[rule]]\nwhen = 3\n", r"\[\[rule\]\] 1, when: a text is expected, not 3"),
        ('[[rule]]\nwhen = "ttft.p95>1"\nname = " "\n', r"name: it is empty"),
        ('[[rule]]\nwhen = "ttft.p95>1"\ngroup = ["A"]\n', r"group: a text is expected"),
        ('[[rule]]\nmax_regression = "ttft.p95>1"\n', r"max_regression: rule .*METRIC=NUMBER"),
        ('[[rule]]\nwhen = "goodput<1"\n', r"goodput needs targets in \[settings\]"),
        (
            '[[rule]]\nname = "n"\nwhen = "ttft.p95>1"\n[[rule]]\nname = "n"\nwhen = "failed>1"\n',
            r"\[\[rule\]\] 2 \('n'\), name: an earlier rule has the same name",
        ),
    ],
)
def test_a_bad_budget_says_where_and_what_is_accepted(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        parse_budget(text, "ux.toml")
    assert "\n" not in str(raised.value)
