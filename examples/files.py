# Ask about files, keep the conversation, go on from a fork of it.
import asyncio
import sys
from pathlib import Path

from lm_deluge import Conversation, LLMClient

KEPT = Path("conversation.json")


async def main(paths: list[str]) -> None:
    client = LLMClient("gpt-6-sol")
    conversation = Conversation().user("What do these say?", files=paths)
    response = await client.stream(conversation)
    conversation.add(response.content)
    await asyncio.to_thread(KEPT.write_text, conversation.to_json(indent=2), "utf-8")

    again = Conversation.from_json(await asyncio.to_thread(KEPT.read_bytes))
    print(f"\n{len(again)} messages, about {again.count_tokens(client.model)} tokens")
    shorter = again.user("In five words?").trimmed(100_000, model=client.model)
    await client.stream(shorter)


asyncio.run(main(sys.argv[1:] or [__file__]))
