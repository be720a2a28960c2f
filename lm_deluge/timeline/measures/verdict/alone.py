"""What is to be said of a group that nothing is compared with: against anchors, targets and rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from shlex import quote

from lm_deluge.timeline.measures.comparing.compare import hits
from lm_deluge.timeline.measures.comparing.noticeable import ATTENTION, FLOW_OF_THOUGHT, INSTANT
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.verdict.phrases import first_text, listed, seconds_phrase
from lm_deluge.timeline.measures.verdict.reasons import starts_with_text
from lm_deluge.timeline.measures.verdict.sentences import mark

__all__ = ["about_one", "options_of"]


_MOST_TAGS = 3
_LONGEST_TAG = 40


def about_one(group: Group, broken: Sequence[str] = (), *, has_tags: bool = False) -> str:
    """Return the sentence, as a template in which ``new`` is the group, without its end.

    ``has_tags``: whether ``tags`` in it is ``options_of`` what else the log can be grouped by.
    """
    said = [_broke(group)]
    wait = group.summary()["ttft"]["p50"]
    if wait is not None:
        text = first_text(is_text=starts_with_text(group))
        said.append(
            f"first {text} came after {seconds_phrase(wait)} s in the median ({_felt(wait)})"
        )
    stalled = hits(group, "stalls.streams")
    if stalled is not None:
        said.append(f"{_of(stalled, group.streams)} stalled")
    if group.settings.targets:
        met = " and ".join(map(str, group.settings.targets))
        said.append(f"{_of(group.good, group.streams)} met {met}")
    if broken:
        said.append(f"{len(broken)} rule{'' if len(broken) == 1 else 's'} of the budget broke")
    another = "another log (--baseline) gives that"
    if has_tags:
        another = f"a tag of this log ({mark('tags')}) or another log (--baseline) gives that"
    return f"Of {mark('new')}, {listed(said)}; there is nothing to compare it with yet: {another}"


def options_of(tags: Iterable[str]) -> str:
    """Return how the log is grouped by its tags, three at most, as a shell takes it.

    Tags that no line of words could hold are left out; ``""`` without any.
    """
    listed_tags = sorted(tag for tag in tags if len(tag) <= _LONGEST_TAG and tag.isprintable())
    more = ", …" if len(listed_tags) > _MOST_TAGS else ""
    return ", ".join(f"--by {quote(tag)}" for tag in listed_tags[:_MOST_TAGS]) + more


def _broke(group: Group) -> str:
    return f"{_of(group.failed, group.streams)} broke"


def _of(count: int, streams: int) -> str:
    if not count:
        return "no answer" if streams == 1 else f"none of {streams:,} answers"
    return f"{count:,} of {streams:,} answer{'' if streams == 1 else 's'}"


def _felt(wait: float) -> str:
    if wait <= INSTANT:
        return "felt as at once"
    if wait <= FLOW_OF_THOUGHT:
        return f"within the {FLOW_OF_THOUGHT:g} s in which thoughts flow on"
    if wait <= ATTENTION:
        return f"beyond the {FLOW_OF_THOUGHT:g} s in which thoughts flow on"
    return f"beyond the {ATTENTION:g} s for which attention lasts"
