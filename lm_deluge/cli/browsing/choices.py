"""Whom the page may talk to: the models that were named, and the simulator at its paces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.cli.browsing.paces import PACES
from lm_deluge.cli.options import AskingOptions, asking_client
from lm_deluge.errors import AuthenticationError

if TYPE_CHECKING:
    from lm_deluge.recording import Recorder

__all__ = ["Partner", "close", "model_partners", "simulated_partners"]


@define(eq=False)
class Partner:
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


async def model_partners(
    models: Iterable[str],
    options: AskingOptions,
    *,
    handlers: list[object],
    recorder: Recorder | None,
) -> list[Partner]:
    """Return a choice for each model, each once.

    Raises what ``open_stream`` does for a model that is not served; that a key is missing is told in
    ``lacks``.
    """
    choices: list[Partner] = []
    for model in dict.fromkeys(models):
        client = asking_client(model, options, printer=None, record=recorder, handlers=handlers)
        choices.append(Partner(model, model, "", client, lacks=await _lack(client)))
    return choices


async def _lack(client: LLMClient) -> str:
    try:
        async with client.open_stream("Hello"):
            return ""
    except AuthenticationError as error:
        if error.missing_key is None:
            raise
        return f"no API key: set the environment variable {error.missing_key}"


def simulated_partners(
    urls: Mapping[str, str], *, handlers: list[object], recorder: Recorder | None
) -> list[Partner]:
    """Return a choice for each pace of the simulator; ``urls``: where each plays."""
    return [
        Partner(
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


async def close(choices: Iterable[Partner]) -> None:
    """Close the clients."""
    await asyncio.gather(*(choice.client.close() for choice in choices))
