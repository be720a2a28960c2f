"""Counts the instructions of the protocol and of the bare loop, under ``valgrind --tool=callgrind``.

``count()`` runs this file as a program under callgrind, which writes its counts at every call of
``getppid`` and begins anew: marks that Python can set.
"""

from __future__ import annotations

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


def count() -> dict[str, float]:
    """Return instructions per token: ``bare`` loop, ``burst`` in reads of 64 KiB, ``live`` one a read."""
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
            ],
            check=True,
            capture_output=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, (root, root / "plugins", root / "tests"))),
                "PYTHONHASHSEED": "0",
                "PYTHONMALLOC": "pymalloc",
            },
        )
        # out.1 is what led to the first mark, then one file for each part.
        totals = [_total(Path(folder, f"out.{number}")) for number in range(2, 2 + len(_PARTS))]
    return {part: total / TOKENS for part, total in zip(_PARTS, totals, strict=True)}


def _total(path: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def _main() -> None:
    # Without ``lm_deluge/__init__.py``: aiohttp takes a minute to import under valgrind.
    package = types.ModuleType("lm_deluge")
    package.__path__ = [str(Path(__file__).parents[2] / "lm_deluge")]
    sys.modules["lm_deluge"] = package

    from bench.bare import read
    from bench.server import body
    from lm_deluge.wire.answer import Answer

    answer = body(TOKENS)
    reads = [answer[at : at + READ] for at in range(0, len(answer), READ)]
    events = [event + b"\n\n" for event in answer.split(b"\n\n")[:-1]]

    def ours(pieces: list[bytes]) -> None:
        receiving = Answer()
        for data in pieces:
            receiving.feed(data, 0.1)
        assert receiving.done

    for _ in range(3):  # the interpreter specializes what runs often
        read(answer)
        ours(reads)
        ours(events)
    os.getppid()
    read(answer)
    os.getppid()
    ours(reads)
    os.getppid()
    ours(events)
    os.getppid()


if __name__ == "__main__":
    _main()
