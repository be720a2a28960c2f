"""Logs of a run and of one before it, and the command that reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from support.programs import Call
from support.timelines import streams, write


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write(tmp_path / "new.jsonl", streams(1, slow=2.0))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old.jsonl", streams(2))


@pytest.fixture
def report(call: Call) -> Call:
    """``report(…)`` runs the command."""
    return partial(call, "report")
