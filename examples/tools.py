"""Functions as tools: the model calls them, round by round, and answers with what they return."""

import asyncio
from typing import Annotated, Any, Literal

from lm_deluge import Conversation, Delta, LLMClient, Stream, StreamHandler, ToolCall


def get_weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, Any]:
    """The weather in a city, now.

    Args:
        city: its name in English.
        unit: of the temperature.
    """
    return {"city": city, "sky": "clear", "temperature": 18, "unit": unit}


async def local_time(zone: Annotated[str, 'like "Europe/Oslo"']) -> str:
    """The time in a zone, now."""
    await asyncio.sleep(0.01)  # stands for asking somebody
    return f"12:00 in {zone}"


class ShowCalls(StreamHandler):
    """Says of each result which call it is of."""

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        if delta.kind == "tool_result":
            print(f"[round {stream.tags['round']}: {delta.name} said {delta.text}]")


def approve(call: ToolCall) -> bool | str:
    """Stands for a person who is asked."""
    return True if call.name != "delete_everything" else "not without me"


async def main() -> None:
    client = LLMClient("gpt-6-sol", handlers=[ShowCalls()])
    conversation = Conversation().user("What is the weather like in Oslo, and how late is it?")
    response = await client.run_tools(
        conversation, tools=[get_weather, local_time], approve=approve, max_rounds=5, max_cost=0.10
    )
    print(f"\n{len(response.rounds)} rounds, {len(conversation)} messages, {response.ended_by}")
    if response.total_cost is not None:
        print(f"${response.total_cost:.6f}")


asyncio.run(main())
