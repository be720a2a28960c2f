"""What several commands have in common: whom to ask, and what to log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import click

from lm_deluge import LLMClient
from lm_deluge.cli.command import Finite, Whole
from lm_deluge.cli.files import OutputFile
from lm_deluge.cli.terminal import RetryNotice, make_printer
from lm_deluge.config import EFFORTS
from lm_deluge.recording import Recorder
from lm_deluge_plugins import FileLogger

if TYPE_CHECKING:
    from typing import Unpack

__all__ = [
    "DEFAULT_MODEL",
    "AskingOptions",
    "ModelOptions",
    "asking_client",
    "asking_options",
    "dialect_option",
    "log_option",
    "make_client",
    "make_log",
    "make_recorder",
    "model_options",
    "record_option",
]

F = TypeVar("F", bound=Callable[..., Any])

#: The model that is asked where none is named: small, and one that takes ``--temperature``.
DEFAULT_MODEL: Final = "gpt-5.4-mini"


class AskingOptions(TypedDict):
    """What ``asking_options`` gives a command, besides ``system``."""

    base_url: str | None
    dialect: str | None
    temperature: float | None
    max_tokens: int | None
    effort: str | None
    log: Path | None
    record: Path | None


class ModelOptions(AskingOptions):
    """What ``model_options`` gives a command, besides ``system``."""

    model: str
    plain: bool
    quiet: bool


def log_option(command: F) -> F:
    """Add ``--log FILE``, for ``make_log``."""
    option = click.option(
        "--log",
        type=OutputFile("timelines"),
        metavar="FILE",
        help="Append the timeline to this file (see lm-deluge report).",
    )
    return option(command)


def record_option(command: F) -> F:
    """Add ``--record FILE``, for ``make_recorder``."""
    option = click.option(
        "--record",
        type=OutputFile("recordings"),
        metavar="FILE",
        help="Append the raw bytes to this file (see lm-deluge simulate --replay).",
    )
    return option(command)


def dialect_option(command: F) -> F:
    """Add ``--dialect NAME``, the client's ``dialect``."""
    option = click.option(
        "--dialect",
        metavar="NAME",
        help="Ask by this API: chat, responses, messages, gemini, or one that a package brings; "
        "the model's name is sent as it is written.",
    )
    return option(command)


def asking_options(command: F) -> F:
    """Add the options of ``make_client`` that say how a model is asked, whichever it is."""
    options: tuple[Callable[[F], F], ...] = (
        click.option(
            "--base-url",
            metavar="URL",
            help="Where to ask, e.g. http://localhost:11434/v1.  [env var: OPENAI_BASE_URL; of "
            "anthropic: and gemini:, ANTHROPIC_BASE_URL and GOOGLE_GEMINI_BASE_URL]",
        ),
        dialect_option,
        click.option("--system", metavar="TEXT", help="The system message."),
        click.option(
            "--temperature",
            type=Finite(0, 2),
            metavar="NUMBER",
            help="0 (the likeliest answer) to 2.",
        ),
        click.option(
            "--max-tokens",
            type=Whole(min=1),
            metavar="N",
            help="The most tokens of an answer, reasoning included.",
        ),
        click.option(
            "--effort",
            type=click.Choice(EFFORTS),
            help="How hard a reasoning model is to think.",
        ),
        log_option,
        record_option,
    )
    return _with(command, options)


def model_options(command: F) -> F:
    """Add the options that ``make_client`` takes."""
    options: tuple[Callable[[F], F], ...] = (
        click.option(
            "-m",
            "--model",
            default=DEFAULT_MODEL,
            show_default=True,
            envvar="LM_DELUGE_MODEL",
            show_envvar=True,
            metavar="NAME",
            help="The model's name; anthropic:, gemini: or openai-responses: before it says whom to ask.",
        ),
        asking_options,
        click.option(
            "--plain",
            is_flag=True,
            help="Print the text as it comes; on a terminal it is drawn as Markdown otherwise.",
        ),
        click.option("--quiet", is_flag=True, help="Print the answer and nothing else."),
    )
    return _with(command, options)


def _with(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def make_log(path: Path | None) -> list[FileLogger]:
    """Return the handler that ``--log`` asks for, in a list; or none."""
    if path is None:
        return []
    try:
        return [FileLogger(path)]
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="'--log'") from None


def make_recorder(path: Path | None) -> Recorder | None:
    """Return the recorder that ``--record`` asks for."""
    if path is None:
        return None
    try:
        return Recorder(path)
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="'--record'") from None


def asking_client(model: str, options: AskingOptions, **more: Any) -> LLMClient:
    """Return the client of a model that ``asking_options`` describe; ``more``: what else it is to be."""
    return LLMClient(
        model,
        base_url=options["base_url"],
        dialect=options["dialect"],
        temperature=options["temperature"],
        max_new_tokens=options["max_tokens"],
        reasoning_effort=options["effort"],  # type: ignore[arg-type]  # of EFFORTS: click has checked
        **more,
    )


def make_client(*, json_mode: bool = False, **options: Unpack[ModelOptions]) -> LLMClient:
    """Return the client that the options describe."""
    quiet = options["quiet"]
    return asking_client(
        options["model"],
        options,
        json_mode=json_mode,
        printer=make_printer(plain=options["plain"], quiet=quiet),
        record=make_recorder(options["record"]),
        handlers=[*make_log(options["log"]), *([] if quiet else [RetryNotice()])],
    )
