"""``lm-deluge stream``: one prompt, one answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lm_deluge import APIResponse, Conversation
from lm_deluge.cli.options import make_client, model_options
from lm_deluge.cli.summary import one_line

__all__ = ["stream"]


@click.command()
@click.argument("prompt")
@model_options
@click.option("--json", "json_mode", is_flag=True, help="Ask for a JSON object.")
def stream(
    prompt: str,
    model: str,
    base_url: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    log: Path | None,
    json_mode: bool,  # noqa: FBT001 - click calls by keyword
    quiet: bool,  # noqa: FBT001
) -> None:
    """Print the answer to PROMPT as it arrives; PROMPT "-" reads standard input."""
    if prompt == "-":
        prompt = click.get_binary_stream("stdin").read().decode("utf-8", "replace")
    conversation = Conversation()
    if system is not None:
        conversation.system(system)
    if not prompt.strip():
        raise ValueError("the prompt is empty")
    conversation.user(prompt)
    client = make_client(
        model,
        base_url=base_url,
        temperature=temperature,
        max_tokens=max_tokens,
        effort=effort,
        log=log,
    )
    if json_mode:
        client.sampling_params = client.sampling_params.merged(json_mode=True)
    response: APIResponse | None = None
    try:
        response = asyncio.run(_stream(client, conversation))
    finally:
        if response is None and click.get_text_stream("stdout").isatty():
            click.echo()
    if not response.completion.endswith("\n"):
        click.echo()
    for call in response.tool_calls:
        click.echo(f"[tool call] {call.name}({call.arguments})")
    if not quiet and click.get_text_stream("stderr").isatty():
        click.secho(one_line(response), err=True, dim=True)


async def _stream(client: object, conversation: Conversation) -> APIResponse:
    from lm_deluge import LLMClient

    assert isinstance(client, LLMClient)
    return await client.stream(conversation)
