"""A tool loop: the model asks for a function, gets its result, and answers with it."""

import asyncio
import json

from lm_deluge import Conversation, LLMClient

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city, now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def get_weather(city: str) -> str:
    """Stands for a real one."""
    return json.dumps({"city": city, "sky": "clear", "celsius": 18})


async def main() -> None:
    client = LLMClient("gpt-6-sol")
    conversation = Conversation().user("What is the weather like in Oslo?")
    for _turn in range(5):  # a model that only ever calls tools must not keep us for ever
        response = await client.stream(conversation, tools=TOOLS)
        conversation.add(response.content)  # tool calls included
        if not response.tool_calls:
            break
        for call in response.tool_calls:
            print(f"[{call.name}({call.arguments})]")
            try:
                result = get_weather(**call.parsed())
            except (TypeError, ValueError) as error:  # models do write wrong arguments
                result = f"error: {error}"
            conversation.tool(call.id or "", result)
    print(f"\n{len(conversation.messages)} messages")


asyncio.run(main())
