"""Prompt by prompt: which streams belong together, and what comes out of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from lm_deluge.timeline import Timeline
from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.comparing.pairs import Prompts, prompts_of
from lm_deluge.timeline.measures.findings.about_pairs import pairs_json
from lm_deluge.timeline.measures.findings.findings import findings_of
from lm_deluge.timeline.measures.metrics import group_name, measure
from support.timelines import timeline


def stream(prompt: str | None, wait: float, *, model: str = "a", **fields: Any) -> Timeline:
    arrivals = [wait + 0.05 * k for k in range(5)]
    return timeline(arrivals, model=model, prompt_hash=prompt, prompt=prompt, **fields)


def silent(prompt: str, model: str) -> Timeline:
    return timeline(
        [],
        ended=30.0,
        failed="APITimeoutError",
        phase="first_token",
        model=model,
        prompt_hash=prompt,
    )


def compared(streams: Iterable[Timeline], **options: Any) -> Comparisons:
    return compare_all(measure(streams, **options))


def only(comparisons: Comparisons) -> Prompts:
    (pair,) = comparisons.pairs
    assert pair.prompts is not None
    return pair.prompts


def easy_and_hard(n: int, *, sooner: float = 0.2) -> list[Timeline]:
    """Prompts that wait from 0.5 to 20 s, and b everywhere a little sooner than a."""
    numbers = random.Random(1)
    made = []
    for k in range(n):
        hard = 0.5 * 40 ** (k / max(n - 1, 1))
        made.append(stream(f"p{k}", hard + numbers.gauss(0, 0.02), model="a"))
        made.append(stream(f"p{k}", hard - sooner + numbers.gauss(0, 0.02), model="b"))
    return made


def test_a_small_difference_shows_by_prompt_where_prompts_differ_more() -> None:
    comparisons = compared(easy_and_hard(40))
    (pair,) = comparisons.pairs
    assert not pair.with_interval("ttft.p50").is_clear
    prompts = only(comparisons)
    ttft = prompts.comparisons["ttft.p50"]
    assert ttft.is_clear
    assert ttft.difference == pytest.approx(-0.2, abs=0.02)
    assert ttft.low is not None
    assert ttft.high is not None
    assert -0.25 < ttft.low < ttft.difference < ttft.high < -0.15
    assert prompts.unpaired == (0, 0)
    # Of long waits a fifth of a second is not noticed, of short ones it is.
    assert (ttft.better + ttft.same, ttft.worse) == (40, 0)
    assert 5 < ttft.better < 35


def test_comparisons_by_prompt_are_corrected_with_all_others() -> None:
    comparisons = compared(easy_and_hard(40))
    without = compared(stream(None, 0.5 + 0.01 * k, model="ab"[k % 2]) for k in range(80))
    judged = sum(each.chance is not None for each in only(comparisons).comparisons.values())
    assert comparisons.n == without.n + judged
    ttft = only(comparisons).comparisons["ttft.p50"]
    assert ttft.corrected == pytest.approx((ttft.chance or 0) * comparisons.n)


def test_what_more_streams_would_need_is_by_all_comparisons_that_are_not_clear() -> None:
    comparisons = compared(easy_and_hard(40))
    (_pair,) = comparisons.pairs
    clear = [each.metric for each in only(comparisons).comparisons.values() if each.is_clear]
    assert clear
    assert not list(comparisons.clear())
    assert comparisons.not_clear == comparisons.n - len(clear)


def test_groups_that_are_swapped_have_the_same_interval_mirrored() -> None:
    streams = easy_and_hard(41)
    streams = [*streams[:41:2], *streams[1::2][::-1], *streams[42::2]]
    (pair,) = compared(streams).pairs
    swapped = prompts_of(pair.old, pair.new, is_named=False)
    assert pair.prompts is not None
    assert swapped is not None
    for metric in ("ttft.p50", "tpot.p50", "starvation.mean"):
        one, other = pair.prompts.comparisons[metric], swapped.comparisons[metric]
        assert one.low is not None
        assert one.high is not None
        assert (one.low, one.high) == pytest.approx((-(other.high or 0), -(other.low or 0))), metric
        assert (one.better, one.worse) == (other.worse, other.better)


@pytest.mark.parametrize(("pace", "noticed"), [(0.02, 0), (0.5, 12)])
def test_a_pace_is_noticed_where_the_text_is_slower_than_its_reader(
    pace: float, noticed: int
) -> None:
    # As the verdict has it: twice as fast, and both faster than anybody reads.
    streams = [
        timeline([0.5 + step * k for k in range(6)], model=model, prompt_hash=f"p{prompt}")
        for model, step in (("a", pace), ("b", pace / 2))
        for prompt in range(12)
    ]
    tpot = only(compared(streams)).comparisons["tpot.p50"]
    assert (tpot.better, tpot.worse, tpot.same) == (noticed, 0, 12 - noticed)


def test_repeats_of_a_prompt_are_one_number() -> None:
    streams = [
        stream(f"p{k}", wait, model=model)
        for k in range(6)
        for model, waits in (("a", (1.0, 2.0, 9.0)), ("b", (1.5, 2.5)))
        for wait in waits
    ]
    ttft = only(compared(streams)).comparisons["ttft.p50"]
    assert (ttft.n, ttft.old, ttft.new, ttft.difference) == (6, 2.0, 2.0, 0.0)
    assert ttft.same == 6


@pytest.mark.parametrize(
    ("shared", "alone", "paired"), [(5, 5, True), (4, 0, False), (5, 6, False), (60, 60, True)]
)
def test_without_a_tag_half_of_the_streams_and_five_prompts_have_to_be_shared(
    shared: int, alone: int, paired: bool
) -> None:
    streams = [
        stream(f"p{k}" if k < shared else f"{model}{k}", 1.0, model=model)
        for k in range(shared + alone)
        for model in "ab"
    ]
    (pair,) = compared(streams).pairs
    assert (pair.prompts is not None) == paired
    if pair.prompts is not None:
        assert pair.prompts.unpaired == (alone, alone)
        assert len(pair.prompts.keys) == shared


def test_a_hundred_streams_of_one_prompt_are_no_pairs() -> None:
    (pair,) = compared(stream("p", 1.0 + k / 100, model="ab"[k % 2]) for k in range(100)).pairs
    assert pair.prompts is None


def test_a_tag_of_the_users_says_what_belongs_together_and_one_prompt_is_enough() -> None:
    streams = [
        stream(f"h{k}", 1.0, model=model, tags={"case": {"no": k % 3}, "run": k})
        for k in range(6)
        for model in "ab"
    ]
    prompts = only(compared([*streams, stream("x", 1.0, model="b")], pair="case"))
    assert prompts.keys == ['{"no": 0}', '{"no": 1}', '{"no": 2}']
    assert prompts.unpaired == (1, 0)
    assert prompts.most_repeats == 2


def test_what_never_came_is_later_than_any_and_failures_come_first() -> None:
    streams = [stream(f"p{k}", 1.0 + k / 10, model="a") for k in range(20)]
    streams += [
        silent(f"p{k}", "b") if k < 12 else stream(f"p{k}", 0.2, model="b") for k in range(20)
    ]
    prompts = only(compared(streams))
    failed, ttft, *_ = prompts.comparisons.values()
    assert (failed.metric, failed.new, failed.old) == ("failed_share", 0.6, 0.0)
    assert failed.is_clear
    assert (failed.better, failed.worse, failed.same) == (0, 12, 8)
    # Two in five began sooner; and yet b is not the sooner one.
    assert (ttft.better, ttft.worse) == (8, 12)
    assert ttft.new == ttft.difference == float("inf")
    assert not ttft.is_clear
    json.dumps(pairs_json(compared(streams)), allow_nan=False)
    told = findings_of(measure(streams))
    assert any("12" in line and "broke more often" in line for line in told)


def test_prompts_that_failed_in_both_groups_are_no_difference() -> None:
    streams = [silent(f"p{k}", model) for k in range(30) for model in "ab"]
    prompts = only(compared(streams))
    assert prompts.comparisons["ttft.p50"].same == 30
    assert not any(each.is_clear for each in prompts.comparisons.values())
    assert prompts.comparisons["failed_share"].low is not None


def test_unpaired_streams_are_counted_and_said() -> None:
    streams = [*easy_and_hard(30), *(stream(f"more{k}", 1.0, model="b") for k in range(7))]
    told = [line for line in findings_of(measure(streams)) if line.startswith("Prompt by prompt")]
    assert told[0].startswith("Prompt by prompt: of 30 prompts that b and a both answered, ")
    assert " noticeably began sooner with b, 0 with a, " in told[0]
    assert told[0].endswith("; left out, without a counterpart: 7 streams of b.")


def test_alike_groups_are_told_to_be_no_different_by_prompt() -> None:
    told = findings_of(measure(easy_and_hard(30, sooner=0.0)))
    assert (
        "Prompt by prompt there is no clear difference between b and a (30 prompts that both answered)."
        in told
    )


def test_a_named_tag_without_a_shared_value_is_told() -> None:
    streams = [
        stream("p", 1.0, model=model, tags={"case": model}) for model in "ab" for _ in range(3)
    ]
    told = findings_of(measure(streams, pair="case"))
    assert any(
        line.startswith("No prompt (by the tag case) was answered by b and by a") for line in told
    )


def test_json_has_what_was_found() -> None:
    (found,) = pairs_json(compared([*easy_and_hard(30), stream("p0", 9.0), stream("x", 1.0)]))
    assert (found["new"], found["old"], found["by"], found["prompts"]) == (
        "b",
        "a",
        "prompt_hash",
        30,
    )
    assert (found["streams"], found["unpaired"]) == ([30, 31], [0, 1])
    ttft = found["comparisons"]["ttft.p50"]
    assert ttft["clear"]
    assert ttft["interval"][0] < ttft["difference"] < ttft["interval"][1]
    assert len(found["largest_changes"]) == 5
    assert found["largest_changes"][0]["begins"] == "p0"


def test_a_baseline_is_compared_prompt_by_prompt_too() -> None:
    old = [stream(f"p{k}", 1.0 + k, model="m") for k in range(20)]
    new = [stream(f"p{k}", 1.4 + 1.4 * k, model="m") for k in range(20)]
    comparisons = compare_all(measure(new), measure(old))
    ttft = only(comparisons).comparisons["ttft.p50"]
    assert ttft.is_clear
    assert ttft.worse == 20
    told = findings_of(measure(new), measure(old), comparisons)
    assert any(
        "that m answered now and before, " in line and "began later now, 0 before" in line
        for line in told
    )


def crossed(*names: str) -> list[tuple[str, str]]:
    by = ("variant", "region")
    streams = [
        timeline([0.5], tags=dict(zip(by, name.split("/"), strict=True)))
        for name in names
        for _ in range(3)
    ]
    comparisons = compared(streams, by=by)
    short = {group_name(each, by): "/".join(each.tags.values()) for each in streams}
    return [(short[pair.old.name], short[pair.new.name]) for pair in comparisons.pairs]


def test_of_crossed_tags_the_first_is_compared_within_the_others() -> None:
    assert crossed("A/eu", "A/us", "B/eu", "B/us") == [("A/eu", "B/eu"), ("A/us", "B/us")]
    assert crossed("A/eu, west", 'A/"us"', 'B/"us"') == [('A/"us"', 'B/"us"')]
    # Nothing to compare within: all with all.
    assert crossed("A/eu", "B/us", "C/x") == [("A/eu", "B/us"), ("A/eu", "C/x"), ("B/us", "C/x")]


def test_forty_crossed_groups_are_all_compared_and_of_five_hundred_the_largest() -> None:
    forty = [f"{variant}/{region}" for variant in "ABCD" for region in range(10)]
    assert len(crossed(*forty)) == 60
    many = [timeline([0.5], model=f"m{k:03}") for k in range(500) for _ in range(1 + (k < 12))]
    comparisons = compared(many)
    assert len(comparisons.pairs) == 66
    assert len(comparisons.left_out) == 488


def test_of_repeats_a_share_is_their_mean_and_not_whether_any_broke() -> None:
    streams = [
        timeline(
            [0.5],
            ended=1.0,
            failed="ConnectionLostError" if model == "b" or again else None,
            model=model,
            prompt_hash=f"p{k}",
        )
        for model in "ab"
        for k in range(20)
        for again in (0, 1)
    ]
    broke = only(compared(streams)).comparisons["failed_share"]
    assert (broke.new, broke.old, broke.difference) == (1.0, 0.5, 0.5)
    assert (broke.low, broke.high) == (0.5, 0.5)
    assert broke.is_clear
