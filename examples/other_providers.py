"""Asks four APIs the same, and tells how each of them answered."""

import asyncio

from lm_deluge import LLMClient
from lm_deluge.errors import AuthenticationError, StreamError

MODELS = [
    "openai:gpt-6-sol",
    "openai-responses:gpt-6-sol",
    "anthropic:claude-sonnet-5-5",
    "gemini:gemini-3.8-flash",
]


async def main() -> None:
    for model in MODELS:
        client = LLMClient(model, printer=None)
        try:
            response = await client.stream("Name one river in Africa.")
        except AuthenticationError as error:
            print(f"{model}: {error}")  # names the variable where there is no key
        except StreamError as error:
            received = error.partial.text if error.partial else ""
            print(f"{model}: {received!r}, then {type(error).__name__}: {error}")
        else:
            cost = "not known" if response.cost is None else f"${response.cost:.6f}"
            print(
                f"{model}: {response.completion!r} after {response.elapsed:.1f} s; "
                f"end: {response.finish_reason} ({response.finish_reason_raw}); cost: {cost}"
            )


asyncio.run(main())
