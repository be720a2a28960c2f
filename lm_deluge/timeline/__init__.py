"""The timeline of a stream: its log record, reading logs, metrics, comparison, reports.

One stream in memory is a ``Timeline`` (``response.timeline``); logs are read by ``read_timelines``.
What measures groups of streams needs numpy, the page jinja2: both are imported when asked for
(``pip install numpy jinja2``); ``import *`` leaves out what needs a package that is not there::

    from lm_deluge.timeline import findings_of, measure, read_timelines

    measured = measure(read_timelines("logs/*.jsonl"), by="variant")
    measured.groups["B"].summary()["ttft"]["p95"]
    findings_of(measured)
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lm_deluge.timeline.measures.targets import Target, parse_target
from lm_deluge.timeline.reading import LogReader, Skipped, read_timelines
from lm_deluge.values.timeline import Ending, Stall, Timeline

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.budget.budget import Budget, parse_budget
    from lm_deluge.timeline.measures.budget.rule_texts import (
        FailIf,
        MaxRegression,
        parse_fail_if,
        parse_max_regression,
    )
    from lm_deluge.timeline.measures.budget.rules import (
        Judged,
        Problem,
        broken_rules,
        judge_rules,
    )
    from lm_deluge.timeline.measures.comparing.compare import (
        Comparison,
        compare_groups,
        pair_groups,
    )
    from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, compare_all
    from lm_deluge.timeline.measures.findings.findings import findings_of
    from lm_deluge.timeline.measures.groups import Group, Settings
    from lm_deluge.timeline.measures.metrics import Measured, measure
    from lm_deluge.timeline.measures.sampling import Sample
    from lm_deluge.timeline.measures.verdict.verdict import Verdict
    from lm_deluge.timeline.measures.verdict.verdicts import verdicts_of
    from lm_deluge.timeline.report.page import html_page

__all__ = [
    "Budget",
    "Comparison",
    "Comparisons",
    "Ending",
    "FailIf",
    "Group",
    "Judged",
    "LogReader",
    "MaxRegression",
    "Measured",
    "Problem",
    "Sample",
    "Settings",
    "Skipped",
    "Stall",
    "Target",
    "Timeline",
    "Verdict",
    "broken_rules",
    "compare_all",
    "compare_groups",
    "findings_of",
    "html_page",
    "judge_rules",
    "measure",
    "pair_groups",
    "parse_budget",
    "parse_fail_if",
    "parse_max_regression",
    "parse_target",
    "read_timelines",
    "verdicts_of",
]

_LATER = {
    "Comparison": "measures.comparing.compare",
    "Comparisons": "measures.comparing.comparisons",
    "FailIf": "measures.budget.rule_texts",
    "Group": "measures.groups",
    "MaxRegression": "measures.budget.rule_texts",
    "Measured": "measures.metrics",
    "Sample": "measures.sampling",
    "Settings": "measures.groups",
    "Verdict": "measures.verdict.verdict",
    "broken_rules": "measures.budget.rules",
    "judge_rules": "measures.budget.rules",
    "Judged": "measures.budget.rules",
    "Problem": "measures.budget.rules",
    "Budget": "measures.budget.budget",
    "parse_budget": "measures.budget.budget",
    "compare_all": "measures.comparing.comparisons",
    "compare_groups": "measures.comparing.compare",
    "findings_of": "measures.findings.findings",
    "html_page": "report.page",
    "measure": "measures.metrics",
    "pair_groups": "measures.comparing.compare",
    "parse_fail_if": "measures.budget.rule_texts",
    "parse_max_regression": "measures.budget.rule_texts",
    "verdicts_of": "measures.verdict.verdicts",
}

if not TYPE_CHECKING:
    _missing = {
        "numpy": _LATER.keys() if find_spec("numpy") is None else (),
        "jinja2": ("html_page",) if find_spec("jinja2") is None else (),
    }
    __all__ = [name for name in __all__ if not any(name in out for out in _missing.values())]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
