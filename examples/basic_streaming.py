# 1 basic
import asyncio
from lm_deluge import LLMClient

async def basic_streaming():
    client = LLMClient("gpt-4o")

    # stream() prints tokens as they arrive
    response = await client.stream("Write a short story about a robot learning to paint.")

    # The response contains the complete text
    print(f"\n\nFinal response length: {len(response.completion)} chars")

asyncio.run(basic_streaming())
