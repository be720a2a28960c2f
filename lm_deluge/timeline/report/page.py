"""The report as one self-contained page: no network, light and dark, content escaped.

A part of the page is a function that returns plain data and a template of the same name that shows
it; here they are put in order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.findings.finding import Finding
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.printing.figures import settings_in_words
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.verdict.verdict import Verdict
from lm_deluge.timeline.measures.verdict.verdict_lines import MOST_SHOWN
from lm_deluge.timeline.measures.verdict.verdicts import verdicts_of
from lm_deluge.timeline.report.by_prompt import pairs_part
from lm_deluge.timeline.report.charts import charts_part
from lm_deluge.timeline.report.examples import examples_part
from lm_deluge.timeline.report.head import TITLE, head_part
from lm_deluge.timeline.report.rendering import embedded_json, isolated, render
from lm_deluge.timeline.report.strips import strips_part
from lm_deluge.timeline.report.tables import (
    comparison_part,
    errors_part,
    glance_part,
    numbers_part,
)
from lm_deluge.timeline.report.verdict_cards import verdict_part
from lm_deluge.timeline.report.watch import watch_part
from lm_deluge.timeline.report.way import way_part
from lm_deluge.values.checks import checked_flag, checked_names, wrong_type

__all__ = ["html_page"]


def html_page(
    measured: Measured,
    findings: Sequence[str],
    sample: Sample,
    *,
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
    broken: Sequence[str] = (),
    verdicts: Sequence[Verdict] | None = None,
    title: str = TITLE,
    note: str = "",
    logs: Sequence[str] = (),
    baseline_logs: Sequence[str] = (),
    text: bool = True,
    baseline_sample: Sample | None = None,
) -> str:
    """Return the page, as HTML.

    Everything that comes from the log or the caller is escaped; the page's Content-Security-Policy lets
    no other script run and nothing be loaded.

    - ``findings``: sentences, ``findings_of(measured, baseline, comparisons)``; those with a subject point at
      its examples.
    - ``sample``: the streams to draw, chosen from what was measured (``Sample.of``) and filled, or kept by
      ``measure(keep=sample.keep)``.
    - ``baseline``: what it is compared with; ``baseline_sample``: streams of it, which are then watched
      beside those of now.
    - ``comparisons``, ``verdicts``: ``compare_all(measured, baseline)`` and ``verdicts_of(measured, baseline,
      comparisons)``, for whoever has them; made here otherwise.
    - ``broken``: a line for each broken rule.
    - ``title``, ``note``: the reader's own words at the head; ``logs``, ``baseline_logs``: what the logs are
      called there.
    - ``text``: whether prompts, as they begin, are shown. Answers are as ``sample`` has them.

    Raises ``TypeError`` for an argument of another type, one text in the place of several included, and
    ``ValueError`` for a ``baseline_sample`` without ``baseline``.
    """
    if isinstance(findings, Iterator):
        findings = tuple(findings)
    checked_names("findings", findings, what="str")
    broken = checked_names("broken", broken, what="str")
    logs = checked_names("logs", logs, what="str")
    baseline_logs = checked_names("baseline_logs", baseline_logs, what="str")
    for name, value in (("title", title), ("note", note)):
        if not isinstance(value, str):
            raise wrong_type(name, "a str", value)
    checked_flag("text", text)
    if baseline_sample is not None and baseline is None:
        raise ValueError("baseline_sample holds streams of a baseline: give baseline, too")
    comparisons = comparisons or compare_all(measured, baseline)
    if verdicts is None:
        verdicts = verdicts_of(measured, baseline, comparisons, broken=broken)
    told = [isolated(line, measured.groups) for line in findings]
    values: dict[str, Any] = {
        "nonce": secrets.token_urlsafe(16),
        "head": head_part(
            measured,
            baseline=baseline,
            title=title,
            note=note,
            logs=logs,
            baseline_logs=baseline_logs,
        ),
        "verdict": verdict_part(verdicts, comparisons),
        "kind": measured.kind,
        "findings": {
            "told": told[:MOST_SHOWN],
            "folded": told[MOST_SHOWN:],
            "subjects": [None] * len(told),
            "broken": [isolated(line, measured.groups) for line in broken],
        },
        "reading": settings_in_words(measured),
        "skipped": measured.skipped,
        "groups": list(measured.groups),
    }
    if measured.groups:
        values["glance"] = glance_part(measured)
        if baseline is not None:
            values["comparison"] = comparison_part(comparisons)
        values["charts"] = charts_part(measured, sample)
        values["pairs"] = pairs_part(
            measured,
            comparisons,
            sample,
            colors=values["charts"]["colors"],
            is_baseline=baseline is not None,
            before=baseline_sample,
            text=text,
        )
        values["examples"] = examples = examples_part(
            measured, sample, colors=values["charts"]["colors"]
        )
        there = {section["subject"] for section in examples}
        values["findings"]["subjects"] = [
            line.subject if isinstance(line, Finding) and line.subject in there else None
            for line in findings
        ]
        values["watch"] = watch_part(
            measured,
            sample,
            colors=values["charts"]["colors"],
            before=(baseline, baseline_sample) if baseline and baseline_sample else None,
        )
        values["strips"] = strips = strips_part(measured, sample)
        values["told_of_strips"] = embedded_json(strips["told"])
        values["way"] = way_part(measured)
        values["errors"] = errors_part(measured)
        values["numbers"] = numbers_part(measured)
    return render("page.html", values)
