"""The arguments of ``run_tools``, checked."""

from __future__ import annotations

from typing import Any, Final

from lm_deluge.client.rounds import Bounds
from lm_deluge.client.tool_calls import Approve, Manner
from lm_deluge.engine.plan import Running
from lm_deluge.tools.kit import kit_of
from lm_deluge.values.checks import checked_integer, checked_number
from lm_deluge.values.foreign import type_name

__all__ = ["OTHERS", "checked_bounds", "checked_manner"]

OTHERS: Final = (
    "max_rounds",
    "max_cost",
    "approve",
    "tool_timeout",
    "concurrency",
    "max_result_chars",
    "printer",
)
"""What it takes by name beside the options of a stream."""


def checked_bounds(max_rounds: Any, max_cost: Any) -> Bounds:
    """Return when a run ends at the latest; ``TypeError`` or ``ValueError`` for what says no such thing."""
    return Bounds(
        checked_integer("max_rounds", max_rounds, 1),
        checked_number(
            "max_cost", max_cost, 0, optional="no bound", unit="a number of US dollars,"
        ),
    )


def checked_manner(
    running: Running,
    tools: Any,
    approve: Any,
    tool_timeout: Any,
    concurrency: Any,
    max_result_chars: Any,
) -> Manner:
    """Return how calls are run; ``TypeError`` or ``ValueError`` naming what makes no sense."""
    if approve is not None and not callable(approve):
        raise TypeError(
            f"approve must be a function of a ToolCall, or None, not {type_name(approve)}"
        )
    given: Approve | None = approve
    return Manner(
        running=running,
        kit=kit_of(tools),
        approve=given,
        timeout=checked_number(
            "tool_timeout",
            tool_timeout,
            0,
            above=True,
            optional="no limit",
            unit="a number of seconds,",
        ),
        most=checked_integer("concurrency", concurrency, 1),
        chars=checked_integer("max_result_chars", max_result_chars, 1, optional="no bound"),
    )
