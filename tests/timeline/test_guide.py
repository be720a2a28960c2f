"""docs/from-a-log-to-a-decision.md: its commands run, its decision holds, its pictures are there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from support.guides import check_pictures, made, pictures_in
from support.programs import ROOT, Run

GUIDE = ROOT / "docs" / "from-a-log-to-a-decision.md"
SCRIPT = ROOT / "docs" / "guide" / "make_guide.py"


def drawn(pattern: str) -> list[Path]:
    """The files that the script draws."""
    return list((GUIDE.parent / "guide").glob(pattern))


def commands(part: str) -> list[str]:
    return re.findall(r"^\$ (.*(?:(?<=\\)\n.*)*)", part, re.MULTILINE)


@pytest.fixture(scope="module")
def committed() -> str:
    return GUIDE.read_text("utf-8")


@pytest.mark.slow
async def test_the_commands_and_the_decision_hold(run: Run, committed: str, tmp_path: Path) -> None:
    # The script itself checks the exit codes, the rules that break, and what the report finds.
    done = await run(sys.executable, SCRIPT, "--quick", tmp_path, cwd=tmp_path, seconds=110)
    assert done.code == 0, done.err
    fresh = made((tmp_path / GUIDE.name).read_text("utf-8"))
    parts = made(committed)
    assert list(fresh) == list(parts) == ["report", "replay", "again", "gate", "fixed"]
    for name, part in parts.items():
        assert commands(part) == commands(fresh[name])
        assert re.findall(r"^\$ echo \$\?\n(\d)$", part, re.MULTILINE) == re.findall(
            r"^\$ echo \$\?\n(\d)$", fresh[name], re.MULTILINE
        )
    for guide in (parts, fresh):
        verdict = " ".join(guide["report"].split())
        assert re.search(r"is a trade-off: first text [\d.]+ s sooner", verdict)
        assert re.search(r"but \d+ of \d+ answers stalled, against 0", verdict)
        assert "variant B feels better than variant A" in " ".join(guide["again"].split())
        assert re.search(
            r"broken rule: stalls \(.*an answer that stops looks broken",
            " ".join(guide["gate"].split()),
        )
        assert "broken rule" not in guide["fixed"]


def test_its_budget_is_one(committed: str) -> None:
    from lm_deluge.timeline import parse_budget

    toml = committed.split("```toml\n")[1].split("```")[0]
    rules = parse_budget(toml, "ux.toml").rules
    assert len(rules) == 4
    assert "--budget ux.toml" in committed.split("```yaml")[1]


def test_its_pictures_are_there_and_small(committed: str) -> None:
    assert len(pictures_in(committed)) == 6
    check_pictures(GUIDE, [*drawn("*.png"), *drawn("*.svg")], (".png", ".svg"))


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_the_whole_script_takes_new_pictures(run: Run, tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    done = await run(sys.executable, SCRIPT, tmp_path, cwd=tmp_path, seconds=390)
    assert done.code == 0, done.err
    names = {picture.name for picture in (tmp_path / "guide").iterdir()}
    assert names == {picture.name for picture in (*drawn("*.png"), *drawn("*.svg"))}
