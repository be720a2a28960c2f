"""Which tool left a file, and the lines of a log that it is worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from lm_deluge.timeline.foreign import aiperf, guidellm, vllm
from lm_deluge.timeline.foreign.answers import BenchmarkedAnswer, NotMeasuredError

__all__ = ["BenchmarkTool", "lines_of", "tool_of"]


@frozen
class BenchmarkTool:
    """A benchmark: its ``name``, what its files lack, and how to tell and read them."""

    name: str
    lacks: str
    is_its_own: Callable[[bytes], bool]
    answers: Callable[[Mapping[str, Any]], Iterator[BenchmarkedAnswer]]


_TOOLS: Final = tuple(
    BenchmarkTool(each.NAME, each.LACKS, each.is_its_own, each.answers)
    for each in (vllm, aiperf, guidellm)
)


def tool_of(head: bytes) -> BenchmarkTool | None:
    """Return the tool that left a file, told by how it begins; ``None`` for any other file."""
    if head.lstrip()[:1] != b"{":
        return None
    return next((tool for tool in _TOOLS if tool.is_its_own(head)), None)


def lines_of(tool: BenchmarkTool, data: bytes) -> Iterator[bytes]:
    """Yield the lines of a log that a file is worth; raises ``NotMeasuredError`` for one that is worth none.

    The ids of its streams are the same at every reading, and others for every content.
    """
    name = hashlib.sha256(data).hexdigest()[:16]
    number = 0
    for document in _documents(data):
        if not isinstance(document, dict):
            raise NotMeasuredError(f"a file of {tool.name} with something else than objects in it")
        for answer in tool.answers(document):
            number += 1
            yield from answer.lines(f"{name}-{number}")


def _documents(data: bytes) -> Iterator[Any]:
    """Yield the objects of a file: one, or one after the other."""
    try:
        text = data.decode("utf-8")
        decoder, at = json.JSONDecoder(), 0
        while (at := _next(text, at)) < len(text):
            document, at = decoder.raw_decode(text, at)
            yield document
    except (ValueError, RecursionError) as error:
        raise NotMeasuredError(f"its JSON is damaged or cut ({error})") from None


def _next(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
