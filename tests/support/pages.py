"""The pages of the documentation, and the programs and commands in them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import attrs

from support.programs import ROOT

README = ROOT / "README.md"
PAGES = (
    README,
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/dialects").glob("*.md")),
)


@attrs.frozen
class Block:
    """One fenced block: ``heading`` it stands under, ``text`` without its indentation."""

    page: Path
    line: int
    language: str
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    heading, opened, language, lines = "", 0, "", []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if opened and line.strip() == "```":
            found.append(Block(page, opened, language, heading, "\n".join(lines) + "\n"))
            opened, lines = 0, []
        elif opened:
            lines.append(line)
        elif fence := re.fullmatch(r"\s*```(\w*)", line):
            opened, language = number, fence[1]
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    assert not opened, f"{page.name}:{opened}: a block without an end"
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]
#: What a block imports and only an extra has; who has not installed it tests the others.
EXTRA = {
    "from fastapi": "fastapi",
    "schema=": "jiter",
    "RichPrinter": "rich",
    "Smooth": "regex",
    "from openai": "openai",
    "import genai_prices": "genai_prices",
    "from redis": "redis",
    "import judge_rules": "numpy",
}

PYTHON = [
    block
    for block in BLOCKS
    if block.language == "python"
    and all(find_spec(package) for words, package in EXTRA.items() if words in block.text)
]
