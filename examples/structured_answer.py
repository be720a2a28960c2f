"""A recipe as an object of a class, shown while it is written."""

import asyncio
from dataclasses import dataclass

from lm_deluge import LLMClient
from lm_deluge.errors import SchemaError


@dataclass
class Ingredient:
    name: str
    grams: float | None


@dataclass
class Recipe:
    title: str
    ingredients: list[Ingredient]
    steps: list[str]


async def main() -> None:
    client = LLMClient("gpt-6-sol")
    objects = client.open_stream("A pancake recipe, please.", schema=Recipe).objects()
    try:
        async for partial in objects:
            if isinstance(partial, Recipe):
                print(f"{partial.title}: {len(partial.steps)} steps")
            else:
                print(f"... {', '.join(partial)}")
    except SchemaError as error:
        print(f"no recipe: {error}; so far: {error.value}")


asyncio.run(main())
