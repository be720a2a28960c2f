# 3 custom processing
import asyncio
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge import Conversation
from lm_deluge.config import SamplingParams

async def custom_streaming():
    conversation = Conversation().user("Explain quantum computing in simple terms.")
    sampling_params = SamplingParams(temperature=0.7, max_new_tokens=500)

    content = ""
    async for item in stream_chat(
        model_name="gpt-4o",
        prompt=conversation,
        sampling_params=sampling_params,
    ):
        if isinstance(item, str):
            # This is a token
            content += item
            print(item, end="", flush=True)
        else:
            # This is the final APIResponse
            print(f"\n\nStreaming complete!")
            print(f"Total tokens: {item.usage.total_tokens if item.usage else 'Unknown'}")
            return item

asyncio.run(custom_streaming())
