"""Whom the page may talk to: the models that were named, and the simulator at its paces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.cli.browsing.paces import PACES
from lm_deluge.errors import AuthenticationError

if TYPE_CHECKING:
    from lm_deluge.cli.options import AskingOptions
    from lm_deluge.recording import Recorder

__all__ = ["Choice", "close", "model_choices", "simulated_choices"]


@define(eq=False)
class Choice:
    """Somebody to talk to. ``name``: by which the page asks; ``lacks``: why it cannot be asked, in words."""

    name: str
    label: str
    about: str
    client: LLMClient
    is_simulated: bool = False
    lacks: str = ""

    def shown(self) -> dict[str, Any]:
        """Return what the page is told of it."""
        return {
            "name": self.name,
            "label": self.label,
            "about": self.about,
            "simulated": self.is_simulated,
            "lacks": self.lacks,
        }


async def model_choices(
    models: Iterable[str],
    options: AskingOptions,
    *,
    handlers: list[object],
    recorder: Recorder | None,
) -> list[Choice]:
    """Return a choice for each model, each once.

    Raises what ``open_stream`` does for a model that is not served; that a key is missing is told in
    ``lacks``.
    """
    choices: list[Choice] = []
    for model in dict.fromkeys(models):
        client = LLMClient(
            model,
            base_url=options["base_url"],
            dialect=options["dialect"],
            temperature=options["temperature"],
            max_new_tokens=options["max_tokens"],
            reasoning_effort=options["effort"],  # type: ignore[arg-type]  # of EFFORTS: click has checked
            printer=None,
            record=recorder,
            handlers=handlers,
        )
        choices.append(Choice(model, model, "", client, lacks=await _lack(client)))
    return choices


async def _lack(client: LLMClient) -> str:
    try:
        async with client.open_stream("Hello"):
            return ""
    except AuthenticationError as error:
        if error.missing_key is None:
            raise
        return f"no API key: set the environment variable {error.missing_key}"


def simulated_choices(
    urls: Mapping[str, str], *, handlers: list[object], recorder: Recorder | None
) -> list[Choice]:
    """Return a choice for each pace of the simulator; ``urls``: where each plays."""
    return [
        Choice(
            pace.name,
            f"simulator, {pace.label}",
            pace.about,
            LLMClient(
                pace.name,
                base_url=urls[pace.name],
                api_key="sk-simulated",
                printer=None,
                retries=RetryPolicy.none(),
                record=recorder,
                handlers=handlers,
            ),
            is_simulated=True,
        )
        for pace in PACES
    ]


async def close(choices: Iterable[Choice]) -> None:
    """Close the clients."""
    await asyncio.gather(*(choice.client.close() for choice in choices))
