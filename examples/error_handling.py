# 6 error handling
import asyncio
from lm_deluge import LLMClient

async def safe_streaming():
    client = LLMClient("gpt-4o")

    try:
        response = await client.stream("Write something interesting.")
        print(f"\n\nSuccess: {len(response.completion)} chars")

    except ValueError as e:
        # Raised if trying to stream with non-OpenAI model
        print(f"Streaming not supported: {e}")

    except Exception as e:
        print(f"Streaming error: {e}")

asyncio.run(safe_streaming())
