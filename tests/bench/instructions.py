"""Counts the instructions of the protocol, and of whole clients, under ``valgrind --tool=callgrind``.

    python tests/bench/instructions.py              all that is counted, beside the bare loop

This file runs itself as a program under callgrind, which writes its counts at every call of
``getppid`` and begins anew: marks that Python can set.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path

TOKENS = 1000
READ = 65_536
_PARTS = ("bare", "burst", "live")
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"

#: Tokens of the answers of which the difference is counted, and microseconds between two of them: many
#: times what callgrind makes of the work for one, so that each is read alone on a busy machine, too.
_SHORT, _LONG, _PAUSE = 50, 200, 15_000

#: Streams that are counted together.
_STREAMS = 20


def count() -> dict[str, float]:
    """Return instructions per token: ``bare`` loop, ``burst`` in reads of 64 KiB, ``live`` one a read."""
    totals = _counted("protocol")
    return {part: total / TOKENS for part, total in zip(_PARTS, totals, strict=True)}


def count_dialect(dialect: str) -> dict[str, float]:
    """Return what ``count`` does of another dialect: a key of ``bench.wires.BODIES``."""
    totals = _counted("protocol", dialect)
    return {part: total / TOKENS for part, total in zip(_PARTS, totals, strict=True)}


def count_client(client: str, port: int, loop: str = "asyncio") -> float:
    """Return instructions per token of a whole client while one stream is live, its event loop included.

    ``client``: a key of ``bench.clients.CLIENTS``. ``port``: of ``bench.server``. What the kernel does
    is not counted, nor what a request costs: a short answer is taken from a long one.
    """
    short, long = _counted("client", client, str(port), loop)
    return (long - short) / (_LONG - _SHORT)


def count_stream(client: str, port: int, tokens: int) -> float:
    """Return the instructions of one whole stream, its request included, whose answer comes in one go.

    ``client``, ``port``: as for ``count_client``. Connections are warm.
    """
    (total,) = _counted("stream", client, str(port), "asyncio", str(tokens))
    return total / _STREAMS


def count_imports() -> tuple[int, int]:
    """Return the instructions of ``import aiohttp``, and those of ``import lm_deluge`` after it.

    Of a fresh interpreter that finds bytecode, as users' do.
    """
    _counted("import")  # writes the bytecode
    first, ours = _counted("import")
    return first, ours


def _counted(*arguments: str) -> list[int]:
    """Run this file under callgrind; return the instructions between each two marks."""
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--dump-before=getppid",
                f"--callgrind-out-file={folder}/out",
                sys.executable,
                __file__,
                *arguments,
            ],
            check=True,
            capture_output=True,
            env={
                **{name: value for name, value in os.environ.items() if name != _NO_BYTECODE},
                "PYTHONPATH": os.pathsep.join(map(str, (root, root / "plugins", root / "tests"))),
                "PYTHONHASHSEED": "0",
                "PYTHONMALLOC": "pymalloc",
            },
        )
        # out.1 is what led to the first mark; what follows the last one has no number.
        last = len(list(Path(folder).glob("out.*")))
        return [_total(Path(folder, f"out.{number}")) for number in range(2, last + 1)]


def _total(path: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def _import() -> None:
    os.getppid()
    import aiohttp  # noqa: F401

    os.getppid()
    import lm_deluge  # noqa: F401

    os.getppid()


def _protocol(dialect: str = "chat") -> None:
    # Without ``lm_deluge/__init__.py``: aiohttp takes a minute to import under valgrind.
    package = types.ModuleType("lm_deluge")
    package.__path__ = [str(Path(__file__).parents[2] / "lm_deluge")]
    sys.modules["lm_deluge"] = package

    if dialect == "chat":
        from bench.bare import read
        from bench.server import body
    else:
        from bench.wires import BARE, BODIES

        read, body = BARE[dialect], BODIES[dialect]
    answers = importlib.import_module(f"lm_deluge.dialects.{dialect}.answer")
    new_answer = getattr(answers, f"{dialect.title()}Answer")
    answer = body(TOKENS)
    reads = [answer[at : at + READ] for at in range(0, len(answer), READ)]
    events = [event + b"\n\n" for event in answer.split(b"\n\n")[:-1]]

    def ours(pieces: list[bytes]) -> None:
        receiving = new_answer()
        for data in pieces:
            receiving.feed(data, 0.1)
        receiving.close(0.1)
        assert receiving.whole

    for _ in range(3):  # the interpreter specializes what runs often
        read(answer)
        ours(reads)
        ours(events)
    os.getppid()
    assert read(answer) == TOKENS
    os.getppid()
    ours(reads)
    os.getppid()
    ours(events)
    os.getppid()


async def _stream(name: str, port: str, tokens: str) -> None:
    from bench.clients import CLIENTS

    go, _ = await CLIENTS[name](f"http://127.0.0.1:{port}/b/{tokens}/0/v1", None)
    for _ in range(_STREAMS):  # connects, and the interpreter specializes what runs often
        await go()
    gc.collect()
    gc.disable()
    os.getppid()
    for _ in range(_STREAMS):
        assert await go() == int(tokens)
    os.getppid()


async def _client(name: str, port: str) -> None:
    from bench.clients import CLIENTS

    goes = {}
    for tokens in (_SHORT, _LONG):
        url = f"http://127.0.0.1:{port}/b/{tokens}/{_PAUSE}/v1"
        goes[tokens], _ = await CLIENTS[name](url, None)
    for go in goes.values():  # connects, and the interpreter specializes what runs often
        await go()
        await go()
    gc.collect()
    gc.disable()
    os.getppid()
    for tokens, go in goes.items():
        assert await go() == tokens
        os.getppid()


def _print() -> None:
    from bench.measures import LOOPS, Bench

    for part, instructions in count().items():
        print(f"protocol, {part:12} {instructions:10,.0f} a token")
    for dialect in ("messages", "responses", "gemini"):
        counted = count_dialect(dialect)
        for part in ("burst", "live"):
            ratio = counted[part] / counted["bare"]
            print(
                f"{dialect:10} {part:10} {counted[part]:10,.0f} a token, {ratio:.2f} of its bare loop's"
            )
    aiohttps, ours = count_imports()
    print(f"import aiohttp {aiohttps:,}, lm_deluge beyond it {ours:,}: {ours / aiohttps:.3f}")
    with Bench() as bench:
        for tokens in (1, 20, 100):
            bare = count_stream("bare loop", bench.port, tokens)
            for client in ("stream", "stream + handler", "stream_chat"):
                whole = count_stream(client, bench.port, tokens)
                print(
                    f"{tokens:3} tokens in one burst, {client:18} {whole / 1000:8,.0f} thousand a stream, "
                    f"{whole / bare:.2f} of the bare loop's",
                    flush=True,
                )
        for loop in LOOPS:
            for client in ("bare loop", "stream + handler", "stream_chat"):
                instructions = count_client(client, bench.port, loop)
                print(f"{loop:8} {client:18} {instructions:10,.0f} a live token", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        _print()
    elif sys.argv[1] == "protocol":
        _protocol(*sys.argv[2:])
    elif sys.argv[1] == "import":
        _import()
    else:
        measured = (
            _stream(*sys.argv[2:4], sys.argv[5])
            if sys.argv[1] == "stream"
            else _client(*sys.argv[2:4])
        )
        loop = sys.argv[4]
        if loop == "uvloop":
            import uvloop

            uvloop.run(measured)
        else:
            asyncio.run(measured)
        os._exit(0)  # nobody closed the clients: that is not counted
