"""Many prompts, some at a time: answers as they finish, failures beside them.

python examples/many_prompts.py
"""

import asyncio
from collections.abc import Iterator

from lm_deluge import APIResponse, LLMClient

WORDS = ["sea", "rain", "dust", "moss", "salt", "fog", "ash", "tide"]


def prompts() -> Iterator[str]:
    """Taken one by one as there is room: a million of them would need no more memory."""
    for word in WORDS:
        yield f"A haiku about {word}."


async def main() -> None:
    client = LLMClient("gpt-6-luna")
    characters = failed = 0
    async for index, outcome in client.stream_many(
        prompts(), concurrency=4, tags=lambda index, prompt: {"word": WORDS[index]}
    ):
        if isinstance(outcome, APIResponse):
            characters += len(outcome.completion)
            print(f"{outcome.tags['word']}: {outcome.completion}")
        else:  # a StreamError: what had been received is in outcome.partial
            failed += 1
            print(f"{WORDS[index]}: {type(outcome).__name__}: {outcome}")
    print(f"{len(WORDS) - failed} answers, {characters} characters, {failed} failed")


asyncio.run(main())
