"""A relative path is fixed when it is given: what is written does not follow ``os.chdir``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.appending import Appender
from lm_deluge.recording import Recorder
from lm_deluge_plugins import FileLogger
from support.clients import client_for
from support.programs import clean_environment
from support.scripted import ScriptedServer, answer

LOGGERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "FileLogger": lambda path: {"handlers": [FileLogger(path)]},
    "Recorder": lambda path: {"record": Recorder(path)},
    "record=": lambda path: {"record": path},
}


@pytest.mark.parametrize("name", LOGGERS)
@pytest.mark.parametrize(
    "given", ["log.jsonl", "./log.jsonl", "../one/log.jsonl", "logs/log.jsonl"]
)
async def test_a_log_stays_one_file_when_the_directory_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, given: str
) -> None:
    for folder in ("one", "two", "one/logs"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    expected = Path(given).resolve()
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, **LOGGERS[name](given))
        monkeypatch.chdir(tmp_path / "two")
        await client.stream("before")
        monkeypatch.chdir(tmp_path / "one/logs")
        await client.stream("after")
        monkeypatch.chdir(tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [expected]
    assert expected.read_text("utf-8").count('"start"') == 2


def test_a_logger_of_ones_own_stays_where_it_began(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    appender: Appender[str] = Appender(Path("log"), lambda s: "".join(s).encode(), name="own")
    monkeypatch.chdir(tmp_path / "elsewhere")
    appender.add("a")
    appender.close()
    assert (tmp_path / "log").read_text("utf-8") == "a"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", [FileLogger, Recorder])
def test_the_path_that_is_told_leads_to_the_file_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Callable[[str], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert kind("log").path == tmp_path / "log"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs a flag that shows")
def test_lines_are_written_as_bytes_where_a_platform_asks_for_that(tmp_path: Path) -> None:
    """Windows has ``O_BINARY``; here a flag that refuses symbolic links stands for it."""
    (tmp_path / "link").symlink_to(tmp_path / "log")
    program = f"""
import os, pathlib
os.O_BINARY = os.O_NOFOLLOW
from lm_deluge.appending import Appender
appender = Appender(pathlib.Path({str(tmp_path / "link")!r}), b"".join, name="a")
appender.add(b"a")
appender.close()
print(type(appender.last_failure).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout == "OSError\n"
    assert not (tmp_path / "log").exists()
