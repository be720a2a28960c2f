"""Verdicts of measured groups: one true sentence each, whatever the groups are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lm_deluge.timeline import Settings, Timeline, Verdict, measure, parse_target, verdicts_of
from lm_deluge.timeline.measures.verdict.verdict_lines import (
    MOST_SHOWN,
    lines_of,
    telling_and_folded,
)
from support.groups import group
from support.timelines import timeline


def verdicts(*groups: Sequence[Timeline], before: Sequence[Timeline] = ()) -> list[Verdict]:
    measured = measure([stream for streams in groups for stream in streams], by="variant")
    made = verdicts_of(measured, measure(before, by="variant") if before else None)
    for verdict in made:
        json.dumps(verdict.to_json(), allow_nan=False)
        assert verdict.sentence.endswith(".")
        assert not re.search(r"None|nan|inf\b|\0|\n|  |\b1 answers\b", verdict.sentence)
    return made


def verdict(*groups: Sequence[Timeline], before: Sequence[Timeline] = ()) -> Verdict:
    (made,) = verdicts(*groups, before=before)
    return made


A = group("A", wait=0.9, broke=3)


def test_sooner_but_broken_more_often_keeps_the_other() -> None:
    told = verdict(A, group("B", wait=0.6, broke=37))
    assert (told.kind, told.better, told.worse, told.keep) == ("better_but_broken", "B", "A", "A")
    assert re.fullmatch(
        r"variant B feels better than variant A: first text 0\.\d\d s sooner \(0\.\d\d–0\.\d\d\), but 37 "
        r"of 100 answers broke, against 3; keep variant A until that is mended\.",
        told.sentence,
    )


def test_broken_more_often_as_chance_may_have_it_keeps_the_other_until_it_is_known() -> None:
    told = verdict(A, group("B", wait=0.6, broke=7))
    assert (told.kind, told.better, told.keep) == ("better_but_broken", "B", "A")
    assert told.sentence.endswith(
        "but 7 of 100 answers broke, against 3; keep variant A until that is mended or shown to be chance."
    )
    first = lines_of(told)[0]
    assert first.worth == "open"
    assert re.search(r"; about \d\d0 more streams of each variant would decide it$", first.words)


def test_one_failure_more_is_told_and_keeps_nobody() -> None:
    told = verdict(group("A", wait=0.9), group("B", wait=0.6, broke=1))
    assert (told.kind, told.keep) == ("better", "B")
    assert told.sentence.endswith(
        ", though 1 of 100 answers broke, against 0, which may be chance."
    )


def test_failures_that_chance_may_have_made_say_how_many_more_streams_would_decide() -> None:
    told = verdict(A, group("B", wait=0.6, broke=5))
    line = next(line for line in lines_of(told) if line.reason.metric == "failed_share")
    assert line.worth == "alike"
    assert re.search(
        r"^5 of 100 answers broke, against 3; (about|more than) [\d,]+ more streams of each variant "
        r"would decide it$",
        line.words,
    )
    assert line.reason in told.open


def test_failures_alone_decide() -> None:
    told = verdict(group("A", 40, wait=0.6, broke=1), group("B", 50, wait=0.6, broke=29))
    assert (told.kind, told.better) == ("better", "A")
    assert (
        told.sentence
        == "variant A is better than variant B: 1 of 40 answers broke, against 29 of 50."
    )


def test_sooner_but_jerkier_is_a_trade_off_that_readers_decide() -> None:
    told = verdict(A, group("B", wait=0.6, broke=3, stalled=40))
    assert (told.kind, told.better, told.keep) == ("trade_off", "B", None)
    assert " s sooner (" in told.sentence
    assert ", but 40 of 100 answers stalled, against 0; by the rules" in told.sentence
    assert told.sentence.endswith("by the rules waits count before flow, but readers decide.")


def test_what_is_too_small_to_notice_is_alike_also_when_it_is_clear() -> None:
    told = verdict(group("A", 600, wait=0.5, spread=0.1), group("B", 600, wait=0.53, spread=0.1))
    assert (told.kind, told.better, told.keep) == ("alike", None, None)
    assert told.sentence.startswith(
        "variant B and variant A feel alike: a reader would not notice the difference (with variant B "
        "first text 0.0"
    )
    assert told.sentence.endswith(" is clear, but too small), and no answer broke.")
    assert lines_of(told)[0].worth == "small"


def test_a_hundred_times_slower_the_same_groups_differ_noticeably_or_not_by_proportion() -> None:
    """A twentieth is never noticed, a half always from 0.2 s on."""
    slow = [group(name, 600, wait=wait, spread=0.1) for name, wait in (("A", 50), ("B", 53))]
    assert verdict(*slow).kind == "alike"
    half = [group(name, 200, wait=wait, spread=0.1) for name, wait in (("A", 50), ("B", 75))]
    assert verdict(*half).better == "A"


def test_what_is_open_says_how_many_more_streams_would_decide() -> None:
    told = verdict(group("A", 40, wait=0.5, spread=0.5), group("B", 40, wait=0.6, spread=0.5))
    assert told.kind == "undecided"
    assert re.search(r"; about \d+ more streams of each variant would decide it\.$", told.sentence)
    assert told.open[0].metric == "ttft.p50"


@pytest.mark.parametrize(
    ("n", "m", "said"),
    [
        (
            3,
            4,
            "Too few streams to tell variant B from variant A (4 and 3): each needs 6 at least.",
        ),
        (
            1,
            1,
            "Too few streams to tell variant B from variant A (1 and 1): each needs 6 at least.",
        ),
    ],
)
def test_too_few_streams_are_told_as_such(n: int, m: int, said: str) -> None:
    told = verdict(group("A", n), group("B", m))
    assert (told.kind, told.sentence, told.open) == ("too_few", said, [])


def test_all_failed_leaves_nothing_to_choose() -> None:
    told = verdict(group("A", 9, broke=9), group("B", 1, broke=1))
    assert told.sentence == (
        "Nothing to choose between variant B and variant A: every answer broke (1 of variant B, 9 of "
        "variant A)."
    )
    told = verdict(group("A", 9, broke=9), before=group("A", 8, broke=8))
    assert told.sentence == "Every answer of variant A broke, as before (9 now, 8 before)."


def test_groups_without_output_cannot_be_compared() -> None:
    silent = [timeline([], ended=1.0, tags={"variant": "B"}, stream=str(k)) for k in range(30)]
    told = verdict(group("A", 30), silent)
    assert told.sentence == (
        "variant B and variant A cannot be compared: not both have output in the log."
    )


@pytest.mark.parametrize(
    ("now", "before", "begins", "keep"),
    [
        ({"wait": 0.9}, {"wait": 0.5}, "variant m feels worse than before: first text 0.", "before"),
        ({"wait": 0.5}, {"wait": 0.9}, "variant m feels better than before: first text 0.", "m"),
        ({"wait": 0.5, "broke": 30}, {"wait": 0.9}, "variant m feels better than before: ", "before"),
        ({"wait": 0.9}, {"wait": 0.5, "broke": 30}, "variant m feels worse than before: ", "m"),
        ({"broke": 30}, {}, "variant m is worse than before: 30 of 100 answers broke, ", "before"),
        ({"wait": 0.5}, {"wait": 0.5}, "variant m feels as before: a reader would not", None),
        ({"wait": 0.9}, {"wait": 0.5, "stalled": 50}, "variant m is a trade-off compared with", None),
    ],
)  # fmt: skip
def test_a_baseline_is_what_was_before(
    now: dict[str, float], before: dict[str, float], begins: str, keep: str | None
) -> None:
    n = 400 if keep is None else 100
    told = verdict(group("m", n, **now), before=group("m", n, **before))  # type: ignore[arg-type]
    assert told.sentence.startswith(begins)
    assert told.keep == keep


def test_where_no_two_groups_are_compared_it_says_why() -> None:
    told = verdict(group("A", 30), before=[*group("B", 30), *group("C", 30)])
    assert told.sentence == "Nothing to compare: no variant of it was there before."


def crossed(**waits: float) -> list[Timeline]:
    """Variants in regions, named ``A_eu``."""
    made: list[Timeline] = []
    for name, wait in waits.items():
        variant, region = name.split("_")
        made += group(name, 60, wait=wait, tags={"variant": variant, "region": region})
    return made


def test_groups_of_several_tags_are_told_within_the_other_tags() -> None:
    streams = crossed(A_eu=0.9, B_eu=0.5, A_us=0.9, B_us=0.5)
    told = verdicts_of(measure(streams, by=["variant", "region"]))
    assert told[0].sentence == (
        "Compared within the other tags, 2 of 2 comparisons name one to take: variant=B, region=eu and "
        "variant=B, region=us."
    )
    assert len(told) == 3
    same = crossed(A_eu=0.5, B_eu=0.5, A_us=0.5, B_us=0.5)
    told = verdicts_of(measure(same, by=["variant", "region"]))
    assert told[0].sentence == "Compared within the other tags, no comparison of 2 decides."


def test_groups_that_were_not_compared_are_counted() -> None:
    told = verdicts(*[group(f"g{k:02}", 6) for k in range(14)])
    assert told[0].sentence.startswith(
        "No one of 12 variants compared (of 14) is told to be better than another; "
    )


def test_one_group_is_held_against_what_readers_bear() -> None:
    told = verdict(group("A", wait=0.5, broke=3, stalled=1))
    assert (told.kind, told.new, told.old) == ("alone", "A", None)
    assert told.sentence.startswith(
        "Of variant A, 3 of 100 answers broke, first text came after 0.5"
    )
    assert (
        "(within the 1 s in which thoughts flow on) and 1 of 100 answers stalled; " in told.sentence
    )
    settings = Settings(targets=(parse_target("ttft<=0.4"),))
    (told,) = verdicts_of(measure(group("A", 1, wait=20), settings=settings), broken=["a rule"])
    assert "(beyond the 10 s for which attention lasts)" in told.sentence
    assert "no answer met ttft<=0.4 and 1 rule of the budget broke; " in told.sentence


def test_reasoning_models_are_judged_by_their_first_output() -> None:
    thinking = group("B", wait=0.6, first_output=0.1, reasoning=True)
    assert "first output 0." in verdict(A, thinking).sentence


def test_more_retries_are_told_and_decide_nothing() -> None:
    told = verdict(group("A", 400, spread=0.1), group("B", 400, spread=0.1, retried=80))
    assert told.kind == "alike"
    assert told.sentence.endswith(
        "broke, but with variant B 80 of 400 answers were retried, against 0."
    )


def test_of_three_groups_the_best_leads_and_each_pair_is_told() -> None:
    told = verdicts(A, group("B", wait=0.6, broke=37), group("C", wait=0.4))
    assert told[0].sentence == (
        "variant C is the one to take of 3 variants: by the rules it is better than variant A and "
        "variant B."
    )
    assert [verdict.kind for verdict in told] == [
        "ranking",
        "better",
        "better",
        "better_but_broken",
    ]
    assert told[0].keep == "C"


def test_no_single_best_and_no_difference_are_told_of_several_groups() -> None:
    near = [group(name, 30, wait=wait) for name, wait in (("A", 0.5), ("B", 0.5), ("C", 0.9))]
    assert verdicts(*near)[0].sentence == (
        "No single one of 3 variants is best: nothing decides between variant A and variant B, and "
        "variant C is worse than one of them."
    )
    alike = [group(name, 20) for name in "ABC"]
    assert verdicts(*alike)[0].sentence == "No one of 3 variants is told to be better than another."


def test_of_many_groups_with_few_streams_it_is_said_once_that_nothing_can_be_told() -> None:
    told = verdicts(*[group(f"g{k:02}", 3) for k in range(8)])
    assert re.fullmatch(
        r"No one of 8 variants is told to be better than another: each needs \d+ streams at least\.",
        told[0].sentence,
    )
    shown, folded = telling_and_folded(told)
    assert shown == told[:1]
    assert folded == told[1:]
    some = verdicts(
        group("a", 90, wait=0.3), group("b", 90, wait=0.9), group("c", 2), group("d", 2)
    )
    assert re.search(
        r"; 5 of 6 comparisons have too few streams: \d+ of each group are needed at least\.$",
        some[0].sentence,
    )
    shown, folded = telling_and_folded(some)
    assert [verdict.kind for verdict in shown] == ["ranking", "better"]
    assert {verdict.kind for verdict in folded} == {"too_few"}
    (alone,) = verdicts(group("a", 3), group("b", 3))
    assert telling_and_folded([alone]) == ([alone], [])


def test_many_groups_are_named_up_to_four() -> None:
    told = verdicts(*[group(name, 60, wait=0.3 + k / 5) for k, name in enumerate("abcdefgh")])
    assert told[0].sentence.endswith("better than variant b, variant c, variant d and 4 more.")
    assert len(told) == 29
    assert all("a" in (each.new, each.old) for each in told[1 : MOST_SHOWN + 1])


def test_several_groups_since_before_are_told_with_the_worse_first() -> None:
    now = [*group("a", wait=0.9), *group("b", wait=0.6), *group("c", wait=0.4)]
    before = [*group("a", wait=0.5), *group("b", wait=0.6), *group("c", wait=0.9)]
    told = verdicts(now, before=before)
    assert (
        told[0].sentence
        == "variant a is worse than before, variant c is better, and 1 is told to be neither."
    )
    assert told[1].new == "a"


def same_prompts(n: int, *, sooner: float, noise: float = 0.02) -> list[Timeline]:
    """Prompts whose answers begin after 0.5 to 3 s, and with B always a little sooner."""
    random = np.random.default_rng(1)
    made = []
    for k in range(n):
        for name, by in (("A", 0.0), ("B", sooner)):
            wait = 0.5 + 2.5 * k / n - by + random.normal(0, noise)
            arrivals = (wait + 0.05 * np.arange(5)).tolist()
            made.append(
                timeline(arrivals, tags={"variant": name}, prompt_hash=f"p{k}", stream=f"{name}{k}")
            )
    return made


def test_answers_to_the_same_prompts_are_compared_prompt_by_prompt() -> None:
    told = verdict(same_prompts(40, sooner=0.45))
    assert (told.kind, told.better) == ("better", "B")
    assert " first text 0.45 s sooner on the same prompts (0.4" in told.sentence
    (wait, *_) = told.to_json()["reasons"][1:]
    assert (wait["metric"], wait["prompts"]) == ("ttft.p50", 40)
    assert wait["interval"][0] < wait["difference"] < wait["interval"][1]


def test_failures_that_are_clear_by_prompt_alone_have_the_interval_by_prompt() -> None:
    # 13 prompts break whoever answers, 12 with B alone: of 25 against 13 of 40 chance is no wonder.
    streams = [
        timeline(
            [0.5, 0.6],
            ended=1.0,
            failed="ConnectionLostError" if k < (13 if name == "A" else 25) else None,
            tags={"variant": name},
            prompt_hash=f"p{k}",
        )
        for name in "AB"
        for k in range(40)
    ]
    told = verdict(streams)
    broke = told.to_json()["reasons"][0]
    assert (broke["metric"], broke["clear"], broke["prompts"]) == ("failed_share", True, 40)
    assert broke["difference"] == pytest.approx(0.3)
    assert 0 < broke["interval"][0] < 0.3 < broke["interval"][1]
    assert (told.kind, told.better) == ("better", "A")


def test_what_is_open_of_prompts_needs_more_prompts() -> None:
    told = verdict(same_prompts(8, sooner=0.45, noise=0.6))
    wait = next(reason for reason in told.reasons if reason.metric == "ttft.p50")
    assert wait.more is not None
    line = next(line for line in lines_of(told) if line.reason is wait)
    assert re.search(
        r"; (about \d+|a few) more prompts answered by both would decide it$", line.words
    )


HOSTILE = [
    "<script>alert(1)</script>",
    "a\nb",
    "\0new\0",
    "",
    "   ",
    "m" * 300,
    "עברית",
    "👩‍👩‍👧",
    "{x}%s",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names_on_one_line(name: str) -> None:
    told = (
        verdict(group("A", 30, wait=0.9), group(name, 30, wait=0.5)) if "\0" not in name else None
    )
    if told is None:
        measured = measure([*group("A", 30), *group(name, 30)], by="variant")
        (told,) = verdicts_of(measured)
    assert len(told.sentence) < 400
    assert "\n" not in told.sentence
    names = [text for text, is_name in told.parts if is_name]
    assert "".join(text for text, _ in told.parts) == told.sentence
    assert "variant A" in names


def test_of_nothing_there_is_no_verdict() -> None:
    assert verdicts_of(measure([])) == []


@pytest.mark.parametrize(
    ("tags", "by", "end"),
    [
        ({}, None, "yet: another log (--baseline) gives that."),
        ({"variant": "A"}, "variant", "yet: another log (--baseline) gives that."),
        (
            {"variant": "A"},
            None,
            "yet: a tag of this log (--by variant) or another log (--baseline) gives that.",
        ),
        ({"a b": 1, "c": 2}, None, "(--by 'a b', --by c) or another log (--baseline) gives that."),
        (dict.fromkeys("edcba", 1), "a", "(--by b, --by c, --by d, …) or another log"),
        ({"x" * 400: 1, "new\nline": 1}, None, "yet: another log (--baseline) gives that."),
    ],
)
def test_one_group_is_told_by_which_tags_its_log_can_be_grouped(
    tags: dict[str, Any], by: str | None, end: str
) -> None:
    (told,) = verdicts_of(measure([timeline([0.1, 0.2], tags=tags)], by=by))
    assert end in told.sentence
