# 2 conversation
import asyncio
from lm_deluge import LLMClient, Conversation, Message

async def conversation_streaming():
    client = LLMClient("gpt-4o")

    conversation = Conversation()
    conversation.add(Message.system("You are a creative writing assistant."))
    conversation.add(Message.user("Write a haiku about artificial intelligence."))

    response = await client.stream(conversation)

    print(f"\n\nComplete: {response.completion}")

asyncio.run(conversation_streaming())
