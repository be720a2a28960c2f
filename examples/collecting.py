# 5 collecting
import asyncio
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge import Conversation
from lm_deluge.config import SamplingParams

async def collect_while_streaming():
    conversation = Conversation().user("List 5 interesting facts about space.")
    sampling_params = SamplingParams(max_new_tokens=500)

    chunks = []

    async for item in stream_chat(
        model_name="gpt-4o-mini",
        prompt=conversation,
        sampling_params=sampling_params,
    ):
        if isinstance(item, str):
            chunks.append(item)
            print(item, end="", flush=True)
        else:
            # Final response
            full_text = "".join(chunks)
            print(f"\n\nCollected {len(chunks)} chunks, {len(full_text)} chars")
            return full_text

asyncio.run(collect_while_streaming())
