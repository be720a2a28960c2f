"""``lm-deluge web``: a page on this machine to talk to a model, and to see how its answers arrive."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import click
from attrs import define

from lm_deluge.cli.browsing.admission import PageGuard, is_local
from lm_deluge.cli.browsing.choices import Partner, close, model_partners, simulated_partners
from lm_deluge.cli.browsing.paces import playing
from lm_deluge.cli.browsing.site import error_words, listening, make_app
from lm_deluge.cli.command import Command, Whole
from lm_deluge.cli.files import distinct
from lm_deluge.cli.options import (
    DEFAULT_MODEL,
    AskingOptions,
    asking_options,
    make_log,
    make_recorder,
)
from lm_deluge.cli.proxying.live import LiveStreams
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import OK, notice
from lm_deluge_plugins.relay import MemoryStore, Relay

if TYPE_CHECKING:
    from typing import Unpack

    from lm_deluge.recording import Recorder
    from lm_deluge_plugins import FileLogger

__all__ = ["web"]

#: Seconds that an answer can be read again after its end: a reload, a network that was away.
_KEPT = 3600.0


@define
class _PagePlace:
    """Where the page is, and who may come."""

    host: str
    port: int
    guard: PageGuard
    opens: bool


@click.command(
    cls=Command,
    epilog="Without a key, and always beside the models, the page talks to a simulator at several paces.",
)
@click.argument("models", nargs=-1, metavar="[MODEL]...", envvar="LM_DELUGE_MODEL")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=Whole(0, 65535), default=0, metavar="N", help="Default: a free one.")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name by which browsers may call the page.",
)
@click.option("--no-open", is_flag=True, help="Do not open the page in the browser.")
@click.option("--quiet", is_flag=True, help="Do not show the streams.")
@asking_options
def web(
    models: tuple[str, ...],
    host: str,
    port: int,
    allow_hosts: tuple[str, ...],
    no_open: bool,
    quiet: bool,
    system: str | None,
    **options: Unpack[AskingOptions],
) -> int:
    """Open a page to talk to models, and see how their answers arrive. Ctrl-C stops it.

    MODEL: as for "lm-deluge stream -m", as many as you like; without any gpt-5.4-mini, if there is a key.
    """
    log, record = options["log"], options["record"]
    distinct({"--log": log, "--record": record})
    place = _PagePlace(host, port, PageGuard.of(host, allow_hosts), opens=not no_open)
    view = LiveStreams(quiet=quiet)
    logs, recorder = make_log(log), make_recorder(record)
    try:
        with asyncio.Runner() as runner:
            runner.run(_serve(place, models, options, system, view, logs, recorder))
    finally:
        for writer in (*logs, recorder):
            if writer is not None:
                writer.close()
    notice(view.summary() + (f" · lm-deluge report {log}" if log is not None else ""))
    return OK


async def _serve(
    place: _PagePlace,
    models: Sequence[str],
    options: AskingOptions,
    system: str | None,
    view: LiveStreams,
    logs: list[FileLogger],
    recorder: Recorder | None,
) -> None:
    stop = asyncio.Event()
    handlers: list[object] = [*logs, view]
    with heard(signal.SIGINT, stop.set), heard(signal.SIGTERM, stop.set):
        async with AsyncExitStack() as stack:
            named = models or (DEFAULT_MODEL,)
            asked = await model_partners(named, options, handlers=handlers, recorder=recorder)
            if not models:
                asked = [choice for choice in asked if not choice.lacks]
            urls = await stack.enter_async_context(playing())
            simulated = simulated_partners(urls, handlers=handlers, recorder=recorder)
            choices = [*asked, *simulated]
            stack.push_async_callback(close, choices)
            relay = Relay(
                MemoryStore(keep=_KEPT),
                on_disconnect="continue",
                words=error_words,
                seen=logs[0] if logs else None,
            )
            app = make_app(relay, choices, place.guard, system=system, has_log=bool(logs))
            url = await stack.enter_async_context(listening(app, place.host, place.port))
            if place.guard.token is not None:
                url += f"?token={place.guard.token}"
            _tell(place, url, asked, models)
            with view:
                await stop.wait()


def _tell(place: _PagePlace, url: str, asked: Sequence[Partner], models: Sequence[str]) -> None:
    click.echo(f"lm-deluge is at {url} (Ctrl-C stops it)")
    for choice in asked:
        if choice.lacks:
            notice(f"{choice.name} cannot be asked: {choice.lacks}")
    able = [choice.name for choice in asked if not choice.lacks]
    if not able:
        why = "" if models else "No API key was found: "
        rest = "the page talks to a simulator, which makes up what it says."
        notice(f"{why}{rest}" if why else rest.capitalize())
    else:
        notice(f"The page talks to {', '.join(able)}, and to a simulator.")
    if not is_local(place.host):
        notice(
            "Other machines reach this address. Whoever has the link can ask with your key; what is "
            "said crosses the network unencrypted."
        )
    if place.opens and _has_browser():
        # A browser may run in the foreground as long as it likes: nobody waits for it.
        threading.Thread(target=_open, args=(url,), name="lm_deluge browser", daemon=True).start()


def _has_browser() -> bool:
    """Whether a browser with windows can be opened; one of the terminal would take it from us."""
    if os.environ.get("BROWSER"):
        return True
    return not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _open(url: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(url)
