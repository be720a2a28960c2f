# 4 chat loop (reads stdin)
import asyncio
from lm_deluge import LLMClient, Conversation, Message

async def streaming_chat():
    conversation = Conversation().system("You are a helpful assistant.")
    client = LLMClient("gpt-4o")

    print("Streaming chat! Type 'quit' to exit.\n")

    while True:
        user_input = input("\nYou: ").strip()

        if user_input.lower() == "quit":
            break

        if not user_input:
            continue

        conversation.add(Message.user(user_input))

        print("Assistant: ", end="", flush=True)

        try:
            response = await client.stream(conversation)
            print()  # Newline after streamed response

            if response and response.completion:
                conversation.add(Message.ai(response.completion))

        except Exception as e:
            print(f"\nError: {e}")
            conversation.messages.pop()

asyncio.run(streaming_chat())
