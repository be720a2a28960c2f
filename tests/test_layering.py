"""The import rule: values < wire < engine < consumers < cli; plugins see public names only.

Timeline and simulator stand beside the engine: neither knows it. Imports for type checkers alone
(``if TYPE_CHECKING``) are free; imports inside a function count, and the few that point up are named.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import lm_deluge
import lm_deluge_plugins
from programs import clean_environment

CORE = Path(str(lm_deluge.__file__)).parent
PLUGINS = Path(str(lm_deluge_plugins.__file__)).parent

#: From low to high: a module may import from its own room and from those before it.
ROOMS = {
    "values": "_version plain foreign errors disguises redaction secret_values pydantic_schema payloads "
    "config conversation response arrivals endpoint naming models",
    "wire": "wire",
    "engine": "locking signals cursor method_names handler_methods handlers arguments deadline interruption "
    "retrying http_errors aiohttp_errors connection exchange narration proxies quiet socks certificates "
    "sessions transport access plan dispatch attempt engine stream",
    "recording": "recording",
    "consumers": "many client api_requests",
    "public": "lm_deluge",  # __init__.py
    "testing": "testing",
    "cli": "cli __main__",
}
ORDER = list(ROOMS)

#: Rooms beside the tower, and what they may import from it.
ASIDE = {"timeline": ("values",), "simulator": (), "appending": ()}

#: Whoever is above the engine and works with what stands beside it.
SEES_ASIDE = {
    "recording": ("timeline", "appending"),
    "cli": ("timeline", "simulator"),
    "testing": ("simulator",),
}

#: Imports inside functions that may point up or aside, and why.
LAZY = {
    ("response", "timeline"),  # response.timeline builds one when it is asked for
    ("client", "lm_deluge_plugins"),  # client.stream prints by default
    ("timeline", "recording"),  # a recording is read as the log that it is, once one is met
    ("simulator", "recording"),  # and replayed, when that is asked for
}

#: Modules of lm_deluge whose ``__all__`` plugins, and anyone, may import from. The log's record is
#: one of them: whoever writes a logger of his own writes the same lines.
PUBLIC = (
    "lm_deluge",
    "lm_deluge.api_requests.openai",
    "lm_deluge.appending",
    "lm_deluge.config",
    "lm_deluge.errors",
    "lm_deluge.recording",
    "lm_deluge.signals",
    "lm_deluge.simulator",
    "lm_deluge.testing",
    "lm_deluge.timeline",
    "lm_deluge.timeline.record",
)


@attrs.frozen
class Import:
    """``module`` imported (absolute), the ``names`` taken from it, ``lazy`` inside a function."""

    module: str
    names: tuple[str, ...]
    lazy: bool
    line: int


def imports_of(path: Path) -> Iterator[Import]:
    """Yield what a file imports when it runs."""
    yield from _imports(ast.parse(path.read_text("utf-8")), lazy=False)


def _imports(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, (), lazy, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where they point"
            names = tuple(alias.name for alias in child.names)
            yield Import(child.module or "", names, lazy, child.lineno)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _imports(other, lazy=lazy)
        else:
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, lazy=lazy or inner)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def part_of(module: str) -> str:
    """The module or package right under lm_deluge, or the name of another package."""
    name, _, rest = module.partition(".")
    return rest.partition(".")[0] or name if name == "lm_deluge" else name


def part_of_file(path: Path) -> str:
    relative = path.relative_to(CORE).with_suffix("")
    return (
        "lm_deluge"
        if relative.name == "__init__" and len(relative.parts) == 1
        else relative.parts[0]
    )


def room_of(part: str) -> str:
    if part in ASIDE:
        return part
    rooms = [room for room in ROOMS if part in ROOMS[room].split()]
    assert rooms, f"{part} has no room yet: give it one in {Path(__file__).name}"
    return rooms[0]


def is_allowed(room: str, target: str) -> bool:
    if room == target:
        return True
    if room in ASIDE:
        return target in ASIDE[room]
    if target in ASIDE:
        return target in SEES_ASIDE.get(room, ())
    return ORDER.index(target) < ORDER.index(room)


@pytest.mark.parametrize("path", files(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_arrows_point_down(path: Path) -> None:
    part = part_of_file(path)
    room = room_of(part)
    broken = []
    for found in imports_of(path):
        if found.module.partition(".")[0] not in ("lm_deluge", "lm_deluge_plugins"):
            continue
        target = part_of(found.module)
        if found.lazy and (part, target) in LAZY:
            continue
        is_plugin = target == "lm_deluge_plugins"
        if not (room == "cli" if is_plugin else is_allowed(room, room_of(target))):
            broken.append(f"line {found.line}: {room} imports {found.module}")
    assert broken == []


@pytest.mark.parametrize("room", ["values", "wire"])
def test_values_and_protocol_do_no_io(room: str) -> None:
    forbidden = {"aiohttp", "asyncio", "blinker", "socket", "threading"}
    parts = ROOMS[room].split()
    found = {
        (path.name, imported.module)
        for path in files(CORE)
        if part_of_file(path) in parts
        for imported in imports_of(path)
        if imported.module.partition(".")[0] in forbidden
    }
    assert found == set()


def test_the_wire_runs_without_aiohttp_asyncio_and_blinker() -> None:
    """Not only its own imports: those of what it imports."""
    program = """
import importlib, sys, types
package = types.ModuleType("lm_deluge")  # without running __init__.py, which imports everything
package.__path__ = [sys.argv[1]]
sys.modules["lm_deluge"] = package
for name in sys.argv[2:]:
    importlib.import_module(f"lm_deluge.wire.{name}")
print(sorted({"aiohttp", "asyncio", "blinker"} & set(sys.modules)))
"""
    names = [path.stem for path in files(CORE / "wire") if path.stem != "__init__"]
    done = subprocess.run(
        [sys.executable, "-c", program, str(CORE), *names],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_the_engine_knows_no_handler() -> None:
    importers = {
        part_of_file(path)
        for path in files(CORE)
        for found in imports_of(path)
        if found.module.partition(".")[0] == "lm_deluge_plugins"
    }
    assert importers <= {"client", "cli"}
    in_client = [f for f in imports_of(CORE / "client.py") if "plugins" in f.module]
    assert all(found.lazy for found in in_client)


def test_importing_lm_deluge_imports_no_plugin_and_no_simulator() -> None:
    program = (
        "import sys, lm_deluge; "
        "print([m for m in ('lm_deluge_plugins', 'lm_deluge.simulator', 'click', 'rich', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", files(PLUGINS), ids=lambda path: path.name)
def test_plugins_import_public_names_only(path: Path) -> None:
    broken = []
    for found in imports_of(path):
        if found.module.partition(".")[0] != "lm_deluge":
            continue
        if found.module not in PUBLIC:
            broken.append(f"line {found.line}: {found.module} is not public")
            continue
        public = importlib.import_module(found.module).__all__
        broken += [f"line {found.line}: {found.module}.{n}" for n in found.names if n not in public]
    assert broken == []
