"""The page of the terminal shows what its script draws."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support.guides import check_pictures
from support.programs import ROOT, Run, clean_environment

PICTURE = "terminal/answer.png"


def test_its_picture_is_there_and_small() -> None:
    check_pictures(ROOT / "docs/terminal.md", [ROOT / "docs/guide" / PICTURE])


@pytest.mark.slow
async def test_the_script_takes_a_new_picture(run: Run, tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    for module in ("pyte", "rich", "PIL"):
        pytest.importorskip(
            module, reason="drawing a terminal needs the extras cli, report and test"
        )
    script = ROOT / "docs/guide/make_terminal.py"
    done = await run(sys.executable, script, tmp_path, env=clean_environment())
    assert done.code == 0, done.err
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")
