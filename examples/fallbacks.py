"""Patience and its limits: retries, another model where one cannot answer, and what is left."""

import asyncio

from lm_deluge import LLMClient, Retry, RetryPolicy, Stream, StreamHandler, Timeouts
from lm_deluge.errors import StreamError


class Impatient(StreamHandler):
    """Tells the user why nothing happens yet."""

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        print(f"[{retry.error}; asking {retry.next_model} in {retry.delay:.1f} s]")


async def main() -> None:
    client = LLMClient(
        "gpt-6-sol",
        fallback_models=["gpt-6-luna"],
        timeouts=Timeouts(first_token=20, between_tokens=10, total=120),
        retries=RetryPolicy(max_attempts=2, initial_delay=0.1),
        handlers=[Impatient()],
    )
    try:
        response = await client.stream("Name three rivers.")
    except StreamError as error:
        # Nothing that was received is lost.
        kept = error.partial.text if error.partial else ""
        print(f"\n{type(error).__name__}: {error}; {len(kept)} characters are kept")
    else:
        print(f"\nanswered by {response.model_used} in attempt {response.attempts}")


asyncio.run(main())
