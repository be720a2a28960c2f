"""The arguments of ``run_tools``, checked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from lm_deluge.client.configured import ConfiguredClient
from lm_deluge.client.default_printer import PRINT, checked_printer, default_printer
from lm_deluge.client.options import check_options
from lm_deluge.client.rounds import Bounds, run_rounds
from lm_deluge.client.tool_calls import Approve, Manner
from lm_deluge.engine.plan import Running
from lm_deluge.tools.kit import kit_of
from lm_deluge.values.checks import checked_integer, checked_number
from lm_deluge.values.conversation import Prompt
from lm_deluge.values.foreign import type_name
from lm_deluge.values.rounds import ToolsResponse

__all__ = ["run_of"]

#: What it takes by name beside the options of a stream.
_OTHERS: Final = (
    "max_rounds",
    "max_cost",
    "approve",
    "tool_timeout",
    "concurrency",
    "max_result_chars",
    "printer",
)


def run_of(
    client: ConfiguredClient,
    prompt: Prompt,
    tools: Any,
    *,
    max_rounds: Any,
    max_cost: Any,
    approve: Any,
    tool_timeout: Any,
    concurrency: Any,
    max_result_chars: Any,
    printer: Any,
    options: Mapping[str, Any],
) -> Callable[[], Coroutine[Any, Any, ToolsResponse]]:
    """Check what ``run_tools`` was given; return what begins the run."""
    checked = check_options(options, "run_tools", _OTHERS)
    bounds = _bounds(max_rounds, max_cost)
    manner = _manner(
        client._running,  # noqa: SLF001 - the client asks
        tools,
        approve,
        tool_timeout,
        concurrency,
        max_result_chars,
    )
    shown = client.printer if printer is PRINT else checked_printer(printer)
    if shown is PRINT:
        shown = default_printer()  # one for all rounds
    return partial(run_rounds, client._opened, prompt, manner, bounds, checked, shown)  # noqa: SLF001


def _bounds(max_rounds: Any, max_cost: Any) -> Bounds:
    """Return when a run ends at the latest; ``TypeError`` or ``ValueError`` for what says no such thing."""
    return Bounds(
        checked_integer("max_rounds", max_rounds, 1),
        checked_number(
            "max_cost", max_cost, 0, optional="no bound", unit="a number of US dollars,"
        ),
    )


def _manner(
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
