"""The timeline of a stream: its log record, reading logs, metrics, comparison, reports.

One stream in memory is a ``Timeline`` (``response.timeline``); logs are read by ``read_timelines``.
What measures groups of streams needs numpy, the page bokeh: both are imported when asked for
(``pip install numpy bokeh``)::

    from lm_deluge.timeline import findings_of, measure, read_timelines

    measured = measure(read_timelines("logs/*.jsonl"), by="variant")
    measured.groups["B"].summary()["ttft"]["p95"]
    findings_of(measured)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lm_deluge.timeline.reading import LogReader, Skipped, read_timelines
from lm_deluge.timeline.targets import Target, parse_target
from lm_deluge.timeline.values import Ending, Stall, Timeline

if TYPE_CHECKING:
    from lm_deluge.timeline.compare import Comparison, compare_groups, pair_groups
    from lm_deluge.timeline.comparisons import Comparisons, compare_all
    from lm_deluge.timeline.findings import findings_of
    from lm_deluge.timeline.groups import Group, Settings
    from lm_deluge.timeline.metrics import Measured, measure
    from lm_deluge.timeline.page import html_page
    from lm_deluge.timeline.rules import (
        FailIf,
        MaxRegression,
        broken_rules,
        parse_fail_if,
        parse_max_regression,
    )
    from lm_deluge.timeline.sampling import Sample

__all__ = [
    "Comparison",
    "Comparisons",
    "Ending",
    "FailIf",
    "Group",
    "LogReader",
    "MaxRegression",
    "Measured",
    "Sample",
    "Settings",
    "Skipped",
    "Stall",
    "Target",
    "Timeline",
    "broken_rules",
    "compare_all",
    "compare_groups",
    "findings_of",
    "html_page",
    "measure",
    "pair_groups",
    "parse_fail_if",
    "parse_max_regression",
    "parse_target",
    "read_timelines",
]

_LATER = {
    "Comparison": "compare",
    "Comparisons": "comparisons",
    "FailIf": "rules",
    "Group": "groups",
    "MaxRegression": "rules",
    "Measured": "metrics",
    "Sample": "sampling",
    "Settings": "groups",
    "broken_rules": "rules",
    "compare_all": "comparisons",
    "compare_groups": "compare",
    "findings_of": "findings",
    "html_page": "page",
    "measure": "metrics",
    "pair_groups": "compare",
    "parse_fail_if": "rules",
    "parse_max_regression": "rules",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
