"""The lines of a timeline log, and a stream that a test writes itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lm_deluge import Token


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; every one that is not blank has to be whole."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def kinds_of(path: Path) -> list[str]:
    return [line["e"] for line in lines_of(path)]


def fake_stream(id_: str = "s1", **fields: Any) -> Any:
    """A stream that a test writes itself: nothing but what a handler may look at."""
    return SimpleNamespace(
        id=id_,
        model="m",
        base_url="http://user:secret@h/v1?secret#secret",
        tags={},
        started_at=None,
        queued=0.0,
        prompt_chars=0,
        prompt="",
        prompt_hash="",
        busy=0.0,
        elapsed=0.0,
        **fields,
    )


def token(index: int, text: str = "x") -> Token:
    return Token(text, index, 0.5, index)
