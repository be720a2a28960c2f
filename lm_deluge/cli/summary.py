"""What a finished stream felt like, in a line or a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from lm_deluge import APIResponse
from lm_deluge.timeline.measures.targets import percentile

__all__ = ["one_line", "print_summary"]


def one_line(response: APIResponse) -> str:
    """Return the timing of one answer in a line."""
    timeline = response.timeline
    parts = []
    visible = timeline.ttfa if timeline is not None else None
    if response.ttft is not None and response.ttft != visible:
        what = "first reasoning" if response.reasoning is not None else "first output"
        parts.append(f"{what} after {response.ttft:.2f} s")
    if visible is not None:
        parts.append(f"first token after {visible:.2f} s")
    if response.usage is not None and response.usage.output_tokens is not None:
        parts.append(f"{response.usage.output_tokens} tokens")
    if timeline is not None and timeline.rate is not None:
        parts.append(f"{timeline.rate:.0f} tokens/s")
    if response.cost is not None:
        parts.append(f"${response.cost:.4f}")
    parts.append(f"{response.elapsed:.2f} s")
    if response.finish_reason not in ("stop", "tool_calls", None):
        parts.append(f"finish reason: {response.finish_reason}")
    if response.attempts > 1:
        parts.append(f"{response.attempts} attempts")
    return " · ".join(parts)


def print_summary(response: APIResponse, console: Console) -> None:
    """Print the timeline of one answer as a small table."""
    timeline = response.timeline
    assert timeline is not None
    gaps = sorted(timeline.gaps)
    stalls = timeline.stalls()
    table = Table(title="How it felt", title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("time to first token", _seconds(response.ttft))
    if timeline.ttfa != response.ttft:
        table.add_row("time to first visible token", _seconds(timeline.ttfa))
    table.add_row("gap between pieces, median", _seconds(_at(gaps, 50)))
    table.add_row("                    95 %", _seconds(_at(gaps, 95)))
    table.add_row("                    longest", _seconds(gaps[-1] if gaps else None))
    rate = timeline.rate
    table.add_row("output rate", f"{rate:.0f} tokens/s" if rate is not None else "-")
    table.add_row("stalls over 1 s", str(len(stalls)))
    quality = timeline.qoe()
    table.add_row("quality of experience", f"{quality:.2f}" if quality is not None else "-")
    table.add_row("pieces, tokens", f"{len(timeline)}, {_tokens(response)}")
    table.add_row("whole answer after", _seconds(response.elapsed))
    console.print(table)


def _at(values: list[float], q: float) -> float | None:
    """Return a percentile; ``None`` of nothing."""
    return percentile(values, q) if values else None


def _seconds(value: float | None) -> str:
    return f"{value:.3f} s" if value is not None else "-"


def _tokens(response: APIResponse) -> str:
    usage = response.usage
    return str(usage.output_tokens) if usage and usage.output_tokens is not None else "unknown"
