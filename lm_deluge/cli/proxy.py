"""``lm-deluge proxy``: timelines of any app, which is told another base URL alone."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import click

from lm_deluge.cli.command import Command
from lm_deluge.cli.files import distinct
from lm_deluge.cli.options import log_option, make_recorder, record_option
from lm_deluge.cli.proxying.live import LiveStreams
from lm_deluge.cli.proxying.pasting import lines
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import OK, notice
from lm_deluge.proxy import Proxy
from lm_deluge_plugins import FileLogger

__all__ = ["proxy"]

_NAMED: Final = re.compile(r"([^=/:?]+)=(.*)", re.S)
_LISTEN: Final = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*):)?(?P<port>\d{1,5})")


@click.command(cls=Command)
@click.option(
    "--listen",
    default="127.0.0.1:4141",
    show_default=True,
    metavar="[HOST:]PORT",
    help="The address to listen on; port 0: a free one.",
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="URL|NAME=URL",
    help="Where requests go: what the app had as its base URL. NAME=URL: a further one, under /NAME/. "
    "Default: to OpenAI, Anthropic and Gemini, by path.",
)
@log_option
@record_option
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:ARG][@SHARE%]",
    help="Break streams on purpose, and mark them in the log: eof:3@5% cuts one in twenty after 3 pieces; "
    "also status:429, error-frame, reset:3, stall:3, pause:SECONDS, buffer:SECONDS … (all: "
    "pydoc lm_deluge.simulator.faults).",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    help="A tag of every stream in the log, for lm-deluge report --by.",
)
@click.option(
    "--body-tags",
    is_flag=True,
    help="Make tags of the metadata and user that requests have, too.",
)
@click.option(
    "--ask-usage",
    is_flag=True,
    help="Make chats that stream ask for usage, where the app does not: tokens are known then.",
)
@click.option(
    "--content-free",
    is_flag=True,
    help="Write lengths into the log instead of what was asked and answered.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name by which apps may call the proxy, as that of its container.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen on an address that other machines reach: they may use it, too.",
)
@click.option("--quiet", is_flag=True, help="Do not show streams, nor lines to paste.")
def proxy(
    listen: str,
    upstreams: tuple[str, ...],
    log: Path | None,
    record: Path | None,
    faults: tuple[str, ...],
    tags: tuple[str, ...],
    body_tags: bool,
    ask_usage: bool,
    content_free: bool,
    allow_hosts: tuple[str, ...],
    allow_remote: bool,
    quiet: bool,
) -> int:
    """Pass an app's requests on, unchanged, and write the timeline of every stream.

    Ctrl-C lets the streams that run end; once more cuts them.
    """
    host, port = _listen(listen)
    upstream, named = _upstreams(upstreams)
    distinct({"--log": log, "--record": record})
    if content_free and record is not None:
        raise click.UsageError("--content-free is about --log; a recording holds all that passed")
    if content_free and log is None:
        raise click.UsageError("--content-free is about --log: give a file")
    view = LiveStreams(quiet=quiet)
    logger = None if log is None else _logger(log, content_free=content_free)
    recorder = make_recorder(record)
    server = Proxy(
        upstream,
        named=named,
        handlers=[view] if logger is None else [logger, view],
        tags=_tags(tags),
        body_tags=body_tags,
        ask_usage=ask_usage,
        record=recorder,
        faults=faults,
        host=host,
        port=port,
        allow_remote=allow_remote,
        allow_hosts=allow_hosts,
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(server, view, log=log, allow_remote=allow_remote, quiet=quiet))
    finally:
        for writer in (logger, recorder):
            if writer is not None:
                writer.close()
    notice(view.summary() + (f" · lm-deluge report {log}" if log is not None else ""))
    return OK


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the quickest event loop that is installed: with uvloop a piece waits less."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _logger(path: Path, *, content_free: bool) -> FileLogger:
    try:
        return FileLogger(path, text=not content_free)
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="'--log'") from None


def _listen(text: str) -> tuple[str, int]:
    """Return host and port; raises ``UsageError``."""
    found = _LISTEN.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:
        raise click.UsageError(f"--listen: HOST:PORT or PORT is expected, not {text!r}")
    host = found["host"]
    return "127.0.0.1" if host is None else host.strip("[]") or "0.0.0.0", int(found["port"])  # noqa: S104 - only with --allow-remote


def _upstreams(given: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """Return the one without a name, and those by name; raises ``UsageError``."""
    main: str | None = None
    named: dict[str, str] = {}
    for text in given:
        if (found := _NAMED.fullmatch(text)) is not None:
            if found[1] in named:
                raise click.UsageError(f"--upstream {found[1]}= is given twice")
            named[found[1]] = found[2]
        elif main is not None:
            raise click.UsageError("--upstream is given twice without a name: NAME=URL has one")
        else:
            main = text
    return main, named


def _tags(given: Iterable[str]) -> dict[str, Any]:
    """Return the tags; raises ``UsageError``."""
    tags: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--tag: KEY=VALUE is expected, not {text!r}")
        if key in tags:
            raise click.UsageError(f"--tag {key} is given twice")
        tags[key] = value
    return tags


async def _serve(
    server: Proxy, view: LiveStreams, *, log: Path | None, allow_remote: bool, quiet: bool
) -> None:
    stop, cut = asyncio.Event(), asyncio.Event()

    def interrupted() -> None:
        if stop.is_set():
            cut.set()
        stop.set()

    with heard(signal.SIGINT, interrupted), heard(signal.SIGTERM, interrupted):
        async with server:
            _tell(server, log=log, allow_remote=allow_remote, quiet=quiet)
            with view:
                await stop.wait()
                if running := server.running:
                    requests = "request" if running == 1 else "requests"
                    notice(f"{running} {requests} to be answered yet (Ctrl-C once more cuts them)")
                finishing = asyncio.create_task(server.finish())
                cutting = asyncio.create_task(cut.wait())
                await asyncio.wait({finishing, cutting}, return_when=asyncio.FIRST_COMPLETED)
                cutting.cancel()
                await server.close()
                await finishing


def _tell(server: Proxy, *, log: Path | None, allow_remote: bool, quiet: bool) -> None:
    click.echo(f"lm-deluge passes requests on at {server.url} (Ctrl-C stops it)")
    if allow_remote:
        notice(
            "Whoever reaches this address can send requests through it, without any key of its own; keys "
            "of apps cross the network unencrypted on the way here."
        )
    if log is None:
        notice("No --log FILE was given: streams are shown, and written nowhere.")
    if not quiet:
        click.echo()
        for line in lines(server.url, server.routes):
            click.echo(line)
        click.echo()
