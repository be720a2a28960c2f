"""The other distribution that owns the folder lm_deluge/."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from lm_deluge._version import DISTRIBUTION, warn_of_namesake
from support.programs import ROOT, Run, clean_environment

MESSAGE = rf"two distributions own the package lm_deluge: {DISTRIBUTION} and the one of lm_deluge"


@pytest.mark.parametrize(
    "name", ["lm_deluge-0.0.57.dist-info", "lm_deluge-1.0-py3.11.egg-info", "LM-Deluge-2.dist-info"]
)
def test_its_metadata_beside_the_package_is_warned_of(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.warns(RuntimeWarning, match=rf"(?i){MESSAGE.replace('lm_deluge', 'lm.deluge')}"):
        warn_of_namesake(str(tmp_path))


@pytest.mark.parametrize(
    "name",
    ["lm_deluge_streaming-0.1.0.dist-info", "lm_deluge", "lm_deluge_plugins", "x-1.dist-info"],
)
def test_nothing_else_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_namesake(str(tmp_path))
        warn_of_namesake(str(tmp_path / "nowhere"))
    assert told == []


async def test_an_import_says_so_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lm_deluge").symlink_to(ROOT / "lm_deluge")
    (tmp_path / "lm_deluge-0.0.57.dist-info").mkdir()
    program = "import lm_deluge, lm_deluge.signals, lm_deluge.errors; import lm_deluge"
    done = await run(
        sys.executable, "-c", program, env=clean_environment(PYTHONPATH=str(tmp_path)), cwd=tmp_path
    )
    assert (done.code, done.err.count("two distributions own")) == (0, 1), done.err
