"""The part of the page that shows single streams for what the findings say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.findings.examples import SUBJECTS, examples_of
from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.wording import seconds
from lm_deluge.timeline.report.answers import answer_facts
from lm_deluge.values.timeline import Timeline

__all__ = ["examples_part", "streams_of_examples"]

_WIDE = 1000


def streams_of_examples(
    measured: Measured, baseline: Measured | None, comparisons: Comparisons
) -> Iterable[str]:
    """Return the ids of the streams that are examples."""
    return [example.id for example in examples_of(measured)]


def examples_part(
    measured: Measured, sample: Sample, *, colors: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return what templates/examples.html shows: by subject the streams, where they were kept."""
    sections = []
    found = examples_of(measured)
    for subject, heading in SUBJECTS.items():
        shown = [
            (example, timeline)
            for example in found
            if example.subject == subject and (timeline := sample.get(example.id)) is not None
        ]
        if shown:
            streams = [
                {
                    "group": example.group,
                    "color": colors.get(example.group),
                    "why": example.why,
                    "strip": _strip(timeline, measured.settings.stall),
                    "facts": answer_facts(timeline, measured.settings.stall),
                }
                for example, timeline in shown
            ]
            sections.append({"subject": subject, "heading": heading, "streams": streams})
    return sections


def _strip(timeline: Timeline, stall: float) -> dict[str, Any]:
    """Return a stream as paths in a picture 1,000 wide and 24 high: the wait, pieces, silences, the end."""
    end = max(last_moment(timeline), 1e-3)

    def place(t: float) -> int:
        return round(min(t, end) / end * _WIDE)

    first = timeline.ttft if timeline.ttft is not None else end
    pieces = dict.fromkeys(place(t) for t in timeline.times)
    silences = timeline.stalls(stall)
    return {
        "wait": f"M0 12H{place(first)}",
        "body": f"M{place(first)} 12H{_WIDE}",
        "pieces": "".join(f"M{x} 4v16" for x in pieces),
        "silences": "".join(f"M{place(s.start)} 12H{place(s.start + s.seconds)}" for s in silences),
        "attempts": [place(t) for t, _ in timeline.retry_moments],
        "end": seconds(end),
        "broke": timeline.failed,
        "told": f"{len(timeline):,} pieces in {seconds(end)}, {len(silences)} silences",
    }
