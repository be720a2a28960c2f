"""The report as one self-contained page: no network, light and dark, content escaped.

A part of the page is a function that returns plain data and a template of the same name that shows
it; here they are put in order.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from lm_deluge.timeline.measures.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.figures import settings_in_words
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.report.charts import charts_part
from lm_deluge.timeline.report.rendering import embedded_json, render
from lm_deluge.timeline.report.strips import strips_part
from lm_deluge.timeline.report.tables import (
    comparison_part,
    errors_part,
    glance_part,
    numbers_part,
)
from lm_deluge.timeline.report.watch import watch_part

__all__ = ["html_page"]


def html_page(
    measured: Measured,
    findings: Sequence[str],
    sample: Sample,
    *,
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
    broken: Sequence[str] = (),
    title: str = "How the streams felt",
) -> str:
    """Return the page.

    ``sample`` holds the streams to draw: chosen from what was measured (``Sample.of``) and filled,
    or kept by ``measure(keep=sample.keep)``. Everything that comes from the log or the caller is
    escaped; the page's Content-Security-Policy lets no other script run and nothing be loaded.
    """
    values: dict[str, Any] = {
        "nonce": secrets.token_urlsafe(16),
        "title": title,
        "subtitle": _subtitle(measured),
        "kind": measured.kind,
        "findings": {"told": findings, "broken": broken},
        "reading": settings_in_words(measured),
        "skipped": measured.skipped,
        "groups": list(measured.groups),
    }
    if measured.groups:
        values["glance"] = glance_part(measured)
        if baseline is not None:
            values["comparison"] = comparison_part(comparisons or compare_all(measured, baseline))
        values["charts"] = charts_part(measured, sample)
        values["watch"] = watch_part(measured, sample, colors=values["charts"]["colors"])
        values["strips"] = strips = strips_part(measured, sample)
        values["told_of_strips"] = embedded_json(strips["told"])
        values["errors"] = errors_part(measured)
        values["numbers"] = numbers_part(measured)
    return render("page.html", values)


def _subtitle(measured: Measured) -> str:
    count = sum(group.streams for group in measured.groups.values())
    groups = len(measured.groups)
    by = measured.kind
    return f"{count:,} streams in {groups} group{'' if groups == 1 else 's'}, by {by}."
