"""``lm-deluge simulate``: the simulator for clients of any dialect."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal

import click

from lm_deluge.cli.command import Command, Finite, Whole, was_given
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import OK, notice
from lm_deluge.simulator import Fault, ReceivedRequest, Simulator

__all__ = ["simulate"]

#: Requests whose bodies are kept; none is looked at after it was told of.
_KEPT = 100

_DAY = 86_400.0


@click.command(
    cls=Command,
    epilog="Faults: " + ", ".join(Fault.names()) + ". What each does, and its arguments: "
    "pydoc lm_deluge.simulator.faults",
)
@click.option("--port", type=Whole(0, 65535), default=0, metavar="N", help="Default: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--ttft",
    default="0.3",
    show_default=True,
    metavar="GAP",
    help="Seconds to the first token, as for --gap.",
)
@click.option(
    "--gap",
    default="0.02",
    show_default=True,
    metavar="GAP",
    help="Between tokens: seconds, or exponential:MEAN, lognormal:MEDIAN:SIGMA, bursty:N:PAUSE.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of texts, waits and faults.")
@click.option("--text", metavar="TEXT", help="What to say.")
@click.option("--tokens", type=Whole(min=0), metavar="N", help="How much to say.")
@click.option("--reasoning", type=Whole(min=0), metavar="N", help="Pieces of visible reasoning.")
@click.option("--api-key", metavar="KEY", help="Accept this key only.")
@click.option(
    "--model-less", "any_model", is_flag=True, help="Serve any model name, not just the providers'."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:ARG]",
    help="What goes wrong with every request; given several times: in turns (none: nothing).",
)
@click.option(
    "--fault-rate",
    type=Finite(0, 1),
    metavar="P",
    help="A fault with this probability, not with every request.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Serve what was recorded (--record) in place of simulated answers.",
)
@click.option(
    "--speed", default="1", show_default=True, metavar="N", help="Of the replay: a factor, or max."
)
@click.option(
    "--by",
    "replay_by",
    type=click.Choice(("order", "hash", "loop")),
    default="order",
    show_default=True,
    help="A request gets the next recorded answer; that of an equal request; the next, for ever.",
)
@click.option(
    "--cors",
    is_flag=False,
    flag_value="*",
    metavar="[ORIGIN]",
    help="Let web pages ask: those of one origin, like http://localhost:5173, or of any.",
)
@click.option("--quiet", is_flag=True, help="Do not tell of requests.")
def simulate(
    port: int,
    host: str,
    ttft: str,
    gap: str,
    seed: int,
    text: str | None,
    tokens: int | None,
    reasoning: int | None,
    api_key: str | None,
    any_model: bool,
    faults: tuple[str, ...],
    fault_rate: float | None,
    replay: str | None,
    speed: str,
    replay_by: Literal["order", "hash", "loop"],
    cors: str | None,
    quiet: bool,
) -> int:
    """Serve simulated answers to clients of OpenAI, Anthropic and Gemini. Ctrl-C stops it.

    With --replay: recorded ones, with the same bytes, cuts and pace.
    """
    _check_together(replay)
    simulator = Simulator(
        port,
        host,
        seed=seed,
        text=text,
        tokens=tokens,
        ttft=ttft,
        gap=gap,
        reasoning=reasoning,
        api_key=api_key,
        models=_AnyModel() if any_model else None,
        faults=() if replay is not None else _plan(faults, fault_rate),
        replay=replay,
        speed=_speed(speed),
        replay_by=replay_by,
        cors=cors if cors is not None else False,
        keep_requests=_KEPT,
    )
    try:
        asyncio.run(_serve(simulator, key=api_key or "sk-simulated", quiet=quiet))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
    return OK


#: Options that say what a simulated answer is like; a recorded one is as it was.
_OF_ANSWERS: Final = {
    "ttft": "--ttft",
    "gap": "--gap",
    "seed": "--seed",
    "text": "--text",
    "tokens": "--tokens",
    "reasoning": "--reasoning",
    "api_key": "--api-key",
    "any_model": "--model-less",
    "faults": "--fault",
    "fault_rate": "--fault-rate",
}

_OF_REPLAYS: Final = {"speed": "--speed", "replay_by": "--by"}


def _check_together(replay: str | None) -> None:
    """Raise ``UsageError`` for an option that would change nothing."""
    for name, option in (_OF_REPLAYS if replay is None else _OF_ANSWERS).items():
        if was_given(name):
            why = "is about --replay: give a recording" if replay is None else "changes no replay"
            raise click.UsageError(f"{option} {why}")
    if was_given("text") and was_given("tokens"):
        raise click.UsageError("--text says all that is said: give no --tokens")


def _speed(text: str) -> float | Literal["max"]:
    try:
        return "max" if text == "max" else float(text)
    except ValueError:
        raise click.UsageError(f"--speed: a number or max, not {text!r}") from None


class _AnyModel(Collection[str]):
    """Holds every name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("any",))

    def __len__(self) -> int:
        return 1


def _plan(
    specs: tuple[str, ...], rate: float | None
) -> Fault | Mapping[str | Fault, float] | Callable[[int], Fault | None]:
    """Say which request gets which fault; raises ``ValueError`` for a fault nobody knows."""
    faults = [None if spec == "none" else Fault(spec) for spec in specs]
    broken = [fault for fault in faults if fault is not None]
    if rate is not None:
        if not broken:
            raise click.UsageError("--fault-rate needs a --fault")
        if len(broken) < len(faults):
            raise click.UsageError(
                "--fault none is for turns; --fault-rate says how often nothing is"
            )
        return {fault: rate * count / len(broken) for fault, count in Counter(broken).items()}
    if len(faults) == 1 and faults[0] is not None:
        return faults[0]
    return lambda index: faults[index % len(faults)] if faults else None


async def _serve(simulator: Simulator, *, key: str, quiet: bool) -> None:
    serving = asyncio.current_task()
    assert serving is not None
    with heard(signal.SIGTERM, serving.cancel):
        await _tell_all(simulator, key=key, quiet=quiet)


async def _tell_all(simulator: Simulator, *, key: str, quiet: bool) -> None:
    async with simulator:
        click.echo(f"A simulated model answers at {simulator.base_url} (Ctrl-C stops it)\n")
        click.echo(f"export OPENAI_BASE_URL={simulator.base_url}")
        click.echo(f"export OPENAI_API_KEY={key}")
        click.echo(f"export ANTHROPIC_BASE_URL={simulator.url}\nexport ANTHROPIC_API_KEY={key}")
        click.echo(f"export GOOGLE_GEMINI_BASE_URL={simulator.url}\nexport GEMINI_API_KEY={key}\n")
        told = 0
        telling: set[asyncio.Task[None]] = set()
        while True:
            try:
                await simulator.wait_request(told + 1, timeout=_DAY)
            except TimeoutError:
                continue
            new = simulator.request_count - told
            told += new
            if quiet:
                continue
            for request in simulator.requests[-new:]:
                task = asyncio.create_task(_tell(request))
                telling.add(task)
                task.add_done_callback(telling.discard)


async def _tell(request: ReceivedRequest) -> None:
    """Say what was asked and what became of it, once that is known."""
    await request.finished.wait()
    body: Any = request.json
    model = body.get("model", "-") if isinstance(body, dict) else "-"
    ending = "  the client left" if request.disconnected else ""
    fault = f"  {request.fault}" if request.fault else ""
    notice(
        f"{request.method} {request.path}  {model!s:.60}  {request.status or '-'}  "
        f"{request.sent} pieces{fault}{ending}"
    )
