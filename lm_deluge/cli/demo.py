"""``lm-deluge demo``: the whole path, with nothing to set up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console

from lm_deluge import APIResponse, LLMClient, RetryPolicy
from lm_deluge.cli.summary import print_summary
from lm_deluge_plugins import FileLogger

__all__ = ["demo"]

_PROMPT = "Write a short story about a robot learning to paint."


@click.command()
@click.argument("prompt", default=_PROMPT)
@click.option("--seed", type=int, default=7, show_default=True, help="What the simulator says.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the timeline to this file.",
)
def demo(prompt: str, seed: int, log: Path | None) -> None:
    """Stream an answer from a simulated server on this machine, and show how it felt.

    A real HTTP stream over loopback; no key and no network are needed.
    """
    response = asyncio.run(_demo(prompt, seed, log))
    console = Console()
    console.print("\n")
    print_summary(response, console)
    console.print(
        "\n[dim]The model was a simulator. For a real one: "
        "export OPENAI_API_KEY=..., then lm-deluge stream 'Hello'[/dim]"
    )


async def _demo(prompt: str, seed: int, log: Path | None) -> APIResponse:
    from lm_deluge.simulator import Gap, Simulator

    handlers = [FileLogger(log)] if log is not None else []
    gap = Gap.lognormal(median=0.018, sigma=0.6)
    async with Simulator(seed=seed, tokens=110, ttft=0.35, gap=gap) as simulator:
        client = LLMClient(
            "gpt-4o",
            base_url=simulator.base_url,
            api_key="sk-simulated",
            retries=RetryPolicy.none(),
            handlers=handlers,
        )
        async with client:
            return await client.stream(prompt)
