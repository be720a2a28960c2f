"""An async handler: every answer, whole or broken, goes into a database while it streams.

sqlite3 blocks, so it works in a thread. The methods of one handler are awaited in order, beside the
stream: however slow the disk is, no token is late for it. Usage: save_to_database.py [FILE]
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lm_deluge import APIResponse, LLMClient, Stream, StreamHandler, Token
from lm_deluge.errors import StreamError


class Database(StreamHandler):
    """One row per answer in the table ``answers``; its text grows as it arrives."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()  # one statement at a time, however many streams there are
        connection.execute(
            "CREATE TABLE IF NOT EXISTS answers "
            "(stream TEXT PRIMARY KEY, model TEXT, text TEXT DEFAULT '', outcome TEXT)"
        )

    async def _execute(self, statement: str, *values: object) -> None:
        def work() -> None:
            with self._connection:
                self._connection.execute(statement, values)

        async with self._lock:
            await asyncio.to_thread(work)

    async def on_start(self, stream: Stream) -> None:
        await self._execute(
            "INSERT INTO answers (stream, model) VALUES (?, ?)", stream.id, stream.model
        )

    async def on_token(self, stream: Stream, token: Token) -> None:
        await self._execute(
            "UPDATE answers SET text = text || ? WHERE stream = ?", token.text, stream.id
        )

    async def on_complete(self, stream: Stream, response: APIResponse) -> None:
        await self._execute(
            "UPDATE answers SET outcome = ? WHERE stream = ?", response.finish_reason, stream.id
        )

    async def on_error(self, stream: Stream, error: StreamError) -> None:
        await self._execute(
            "UPDATE answers SET outcome = ? WHERE stream = ?", type(error).__name__, stream.id
        )


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        yield connection
    finally:
        connection.close()


async def main(path: str) -> None:
    with opened(path) as connection:
        # A handler of the client hears all of its streams.
        client = LLMClient("gpt-6-sol", handlers=[Database(connection)], printer=None)
        prompts = ["Describe a fox.", "Describe an owl.", "Describe a heron."]
        await asyncio.gather(*(client.stream(prompt) for prompt in prompts))
        for text, outcome in connection.execute("SELECT text, outcome FROM answers"):
            print(f"{outcome}: {len(text)} characters: {text[:40]!r} ...")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ":memory:"))
