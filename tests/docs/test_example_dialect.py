"""``examples/dialect`` is a package of its own: installed, and spoken from outside."""

from __future__ import annotations

import tomllib
import venv
from pathlib import Path

import aiohttp
import attrs
import blinker
import msgspec
import pytest

from support.programs import ROOT, Run, bare_environment
from support.scripted import END, HEADERS, Received, ScriptedServer, Step, http, reply

PACKAGE = ROOT / "examples" / "dialect"

PROGRAM = """
import asyncio, sys
from lm_deluge import LLMClient, RetryPolicy, register_model
from lm_deluge.errors import StreamError

async def main():
    async with LLMClient(
        "parrot", dialect="say", base_url=sys.argv[1], api_key="k-1", max_new_tokens=9, printer=None,
        retries=RetryPolicy.none(),
    ) as client:
        try:
            response = await client.stream("Hi")
        except StreamError as error:
            print(type(error).__name__, error.message, error.partial.completion, sep="|")
        else:
            usage = response.usage
            print(response.completion, response.finish_reason, response.finish_reason_raw, sep="|")
            print(usage.input_tokens, usage.output_tokens, response.ttft is not None)

asyncio.run(main())
"""

WORDS = [HEADERS, http(b'data: {"word": "Good "}\n\n'), http(b'data: {"word": "d\xc3\xa4y."}\n\n')]
WHOLE = [
    *WORDS,
    http(b'data: {"over": "done", "counts": {"in": 3, "out": 2}}\n\n') + END,
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the package, as an installer leaves it, and this library beside it."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    # What the library needs is not fetched again.
    needed = [
        Path(module.__file__ or "").parents[1] for module in (aiohttp, attrs, blinker, msgspec)
    ]
    paths = dict.fromkeys(map(str, [ROOT, ROOT / "plugins", *needed]))
    (site / "here.pth").write_text("\n".join(paths) + "\n", "utf-8")
    (site / "lm_deluge_say.py").write_bytes((PACKAGE / "lm_deluge_say.py").read_bytes())
    info = site / "lm_deluge_say-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lm-deluge-say\nVersion: 1.0\n")
    entries = entry_points()
    (info / "entry_points.txt").write_text(f"[lm_deluge.dialects]\n{entries}\n", "utf-8")
    return folder / "venv" / "bin" / "python"


def entry_points() -> str:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    found = project["entry-points"]["lm_deluge.dialects"]
    return "\n".join(f"{name} = {value}" for name, value in found.items())


async def heard(
    run: Run, python: Path, folder: Path, script: list[Step]
) -> tuple[list[str], list[Received]]:
    async with ScriptedServer(script) as server:
        done = await run(python, "-c", PROGRAM, server.base_url, env=bare_environment(), cwd=folder)
        assert done.code == 0, done.err
        return done.out.splitlines(), server.requests


@pytest.mark.slow
async def test_the_answer_of_its_server_is_heard(run: Run, python: Path, tmp_path: Path) -> None:
    out, (request,) = await heard(run, python, tmp_path, WHOLE)
    assert out == ["Good däy.|stop|done", "3 2 True"]
    assert request.line == "POST /v1/say HTTP/1.1"
    assert request.headers["x-say-key"] == "k-1"
    assert request.json == {
        "model": "parrot",
        "ask": [{"role": "user", "content": "Hi"}],
        "most": 9,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([*WORDS, END], "AnswerCutError"),
        (
            [*WORDS, http(b'data: {"fault": "no more words"}\n\n') + END],
            "ProviderError|no more words|",
        ),
        ([*WORDS, http(b"data: {\n\n") + END], "ProtocolError"),
        (reply("404 Not Found", '{"error": {"message": "no parrot"}}'), "NotFoundError|no parrot"),
    ],
)
async def test_what_goes_wrong_is_told_as_of_every_dialect(
    run: Run, python: Path, tmp_path: Path, script: list[Step], said: str
) -> None:
    (line,), _ = await heard(run, python, tmp_path, script)
    assert line.startswith(said)
    assert line.endswith("|" if "404" in str(script[0]) else "|Good däy.")
