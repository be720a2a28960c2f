"""What several commands have in common: whom to ask, and what to log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger

__all__ = ["make_client", "model_options"]

F = TypeVar("F", bound=Callable[..., Any])


def model_options(command: F) -> F:
    """Add the options that ``make_client`` takes."""
    options = (
        click.option(
            "-m",
            "--model",
            default="gpt-4o-mini",
            show_default=True,
            envvar="LM_DELUGE_MODEL",
            show_envvar=True,
            help="The model's name.",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            help="An OpenAI-compatible server, e.g. http://localhost:11434/v1.  "
            "[env var: OPENAI_BASE_URL]",
        ),
        click.option("--system", metavar="TEXT", help="The system message."),
        click.option("--temperature", type=float, metavar="NUMBER", help="0 to 2."),
        click.option("--max-tokens", type=int, metavar="N", help="The most tokens of an answer."),
        click.option(
            "--effort", metavar="WORD", help="Reasoning effort: none, minimal, low, medium, high."
        ),
        click.option(
            "--log",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Append the timeline to this file (see lm-deluge report).",
        ),
        click.option("--quiet", is_flag=True, help="Print the answer and nothing else."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def make_client(
    model: str,
    *,
    base_url: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    log: Path | None,
) -> LLMClient:
    """Return the client that the options describe."""
    return LLMClient(
        model,
        base_url=base_url,
        temperature=temperature,
        max_new_tokens=max_tokens,
        reasoning_effort=effort,  # type: ignore[arg-type]  # checked by SamplingParams
        handlers=[FileLogger(log)] if log is not None else [],
    )
