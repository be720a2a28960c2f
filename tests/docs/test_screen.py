"""docs/from-a-model-to-a-screen.md: what it shows is what its sentences say, and can be made anew."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support.guides import check_pictures, made
from support.programs import ROOT, Run

PAGE = ROOT / "docs" / "from-a-model-to-a-screen.md"
SCRIPT = ROOT / "docs" / "guide" / "make_screen.py"


def holds(page: str) -> None:
    """Whether the page's parts say what its sentences make of them."""
    parts = {name: " ".join(part.split()) for name, part in made(page).items()}
    assert list(parts) == ["web", "direct", "buffered"]
    assert "No API key was found: the page talks to a simulator" in parts["web"]
    assert "streams ended · lm-deluge report direct.jsonl" in parts["web"]
    for part in (parts["direct"], parts["buffered"]):
        assert "queued provider process network painting" in part
        assert "the first text is on the screen after" in part
    assert "something between them buffers" in parts["buffered"]
    assert "something between them buffers" not in parts["direct"]


def test_it_shows_what_its_sentences_say() -> None:
    holds(PAGE.read_text("utf-8"))


def test_its_pictures_are_there_and_small() -> None:
    check_pictures(PAGE, (PAGE.parent / "guide/screen").iterdir())


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_its_script_finds_the_proxy_that_buffers_again(run: Run, tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        pytest.skip("no nginx on this machine (Debian: apt-get install nginx-light)")
    done = await run(sys.executable, SCRIPT, "--quick", tmp_path, cwd=tmp_path, seconds=280)
    assert done.code == 0, done.err
    holds((tmp_path / PAGE.name).read_text("utf-8"))
