"""Handlers in an app: a progress line while the answer arrives, and a word count at its end."""

import asyncio
import sys
from typing import TextIO

from lm_deluge import APIResponse, LLMClient, Stream, StreamHandler, Token
from lm_deluge.errors import StreamError


class WordCount(StreamHandler):
    """Counts words as they arrive; one may come in several pieces."""

    def __init__(self) -> None:
        self.words = 0
        self._inside = False

    def on_token(self, stream: Stream, token: Token) -> None:
        for character in token.text:
            inside = not character.isspace()
            self.words += inside and not self._inside
            self._inside = inside


class ProgressLine(StreamHandler):
    """Rewrites one line of the terminal with every piece."""

    def __init__(self, count: WordCount, file: TextIO = sys.stdout) -> None:
        self._count = count
        self._file = file

    def _show(self, text: str, end: str = "") -> None:
        print(f"\r{text:<40}", end=end, file=self._file, flush=True)

    def on_start(self, stream: Stream) -> None:
        self._show(f"{stream.model} is thinking ...")

    def on_token(self, stream: Stream, token: Token) -> None:
        self._show(f"{self._count.words} words after {token.arrived:.1f} s")

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self._show(f"{self._count.words} words in {response.elapsed:.1f} s", end="\n")

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self._show(f"stopped after {self._count.words} words: {error}", end="\n")


async def main() -> None:
    count = WordCount()
    # Handlers of one stream are called in the order given; printer=None: nothing else is printed.
    client = LLMClient("gpt-6-sol", printer=None)
    response = await client.stream("Why is the sky blue?", handlers=[count, ProgressLine(count)])
    print(
        f"{len(response.completion)} characters, the first word: {response.completion.split()[0]}"
    )


asyncio.run(main())
