"""``lm-deluge demo``: the whole path, with nothing to set up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lm_deluge import APIResponse, LLMClient, RetryPolicy
from lm_deluge.cli.command import Command
from lm_deluge.cli.files import distinct
from lm_deluge.cli.options import log_option, make_log
from lm_deluge.cli.summary import print_summary
from lm_deluge.cli.terminal import LineEnd, make_console
from lm_deluge.simulator import Gap, Simulator

__all__ = ["demo"]

_PROMPT = "Write a short story about a robot learning to paint."


@click.command(cls=Command)
@click.argument("prompt", default=_PROMPT)
@click.option(
    "--seed", type=int, default=7, show_default=True, help="Another number, another story."
)
@log_option
def demo(prompt: str, seed: int, log: Path | None) -> None:
    """Stream a simulated answer, and show how it felt.

    It comes over real HTTP from a server on this machine; no key and no network are needed.
    """
    distinct({"--log": log})
    line = LineEnd()
    try:
        response = asyncio.run(_demo(prompt, seed, [line, *make_log(log)]))
    finally:
        line.close()
    console = make_console()
    console.print()
    print_summary(response, console)
    console.print(
        "\nThe model was a simulator. For a real one: export OPENAI_API_KEY=..., then\n"
        '  lm-deluge stream "Write a short story about a robot learning to paint."',
        style="dim",
        soft_wrap=True,
    )


async def _demo(prompt: str, seed: int, handlers: list[object]) -> APIResponse:
    gap = Gap.lognormal(median=0.018, sigma=0.6)
    async with Simulator(seed=seed, tokens=110, ttft=0.35, gap=gap) as simulator:
        client = LLMClient(
            "gpt-6-sol",
            base_url=simulator.base_url,
            api_key="sk-simulated",
            retries=RetryPolicy.none(),
            handlers=handlers,
        )
        async with client:
            return await client.stream(prompt)
