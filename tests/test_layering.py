"""The house's one rule, as `lm_deluge/README.md` has it: a room imports only rooms before it.

Imports for type checkers and inside functions count. Plugins import public names only.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import lm_deluge
import lm_deluge_plugins
from support.programs import clean_environment

CORE = Path(str(lm_deluge.__file__)).parent
PLUGINS = Path(str(lm_deluge_plugins.__file__)).parent
HOUSE = (CORE / "README.md").read_text("utf-8")

_ROWS = re.findall(r"^\| `(\w+)` \| (public|) ?\|", HOUSE, re.M)

#: From low to high.
ORDER = [room for room, _ in _ROWS]

#: Whose ``__all__`` anyone may import from. The log's record is beside its room: whoever writes a logger
#: of his own writes the same lines; ``stream_chat`` is in the module of its vendor.
PUBLIC = {
    *(f"lm_deluge.{room}" for room, word in _ROWS if word and room.isidentifier()),
    "lm_deluge.api_requests.openai",
    "lm_deluge.timeline.record",
} - {"lm_deluge.api_requests", "lm_deluge.__init__", "lm_deluge.lm_deluge_plugins"} | {"lm_deluge"}

#: (module under lm_deluge, room that it may import though it is above), with a reason each.
UP = set(re.findall(r"^- `([\w.]+)` → `(\w+)`: \S", HOUSE, re.M))


@attrs.frozen
class Import:
    """``module`` imported (absolute), the ``names`` taken from it."""

    module: str
    names: tuple[str, ...]
    line: int


def imports_of(path: Path) -> Iterator[Import]:
    """Yield what a file imports, whenever it does."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            yield Import(node.module or "", tuple(alias.name for alias in node.names), node.lineno)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's module, ``lm_deluge`` left out: ``"wire.sse"``, ``"wire"``, ``"__init__"``."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room_of(module: str) -> str:
    """The room of an imported module (absolute), or of one of our files' names."""
    name, _, rest = module.partition(".")
    if name == "lm_deluge":
        return rest.partition(".")[0] or "__init__"
    return name


MODULES = {name_of(path): path for path in files(CORE)}


def ours(found: Import) -> bool:
    return found.module.partition(".")[0] in ("lm_deluge", "lm_deluge_plugins")


def test_the_house_says_of_every_file_and_folder_which_place_it_has() -> None:
    here = {
        entry.stem for entry in CORE.iterdir() if entry.suffix == ".py" or any(entry.glob("*.py"))
    }
    assert {*here, "lm_deluge_plugins"} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


def test_at_most_ten_files_are_doors() -> None:
    assert len(list(CORE.glob("*.py"))) <= 10


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_down(name: str) -> None:
    room = room_of(name)
    broken = [
        f"line {found.line}: {room} imports {found.module}"
        for found in imports_of(MODULES[name])
        if ours(found)
        and ORDER.index(room_of(found.module)) > ORDER.index(room)
        and (name, room_of(found.module)) not in UP
    ]
    assert broken == []


def test_every_arrow_up_that_is_named_is_there() -> None:
    assert {
        (name, room)
        for name, room in UP
        if room in {room_of(found.module) for found in imports_of(MODULES[name])}
    } == UP


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {
        name: {
            target
            for found in imports_of(path)
            if found.module.partition(".")[0] == "lm_deluge"
            for target in _targets(found)
            if target != name
        }
        for name, path in MODULES.items()
    }
    while open_ends := {name for name, targets in arrows.items() if not targets}:
        arrows = {
            name: targets - open_ends for name, targets in arrows.items() if name not in open_ends
        }
    assert arrows == {}


def _targets(found: Import) -> set[str]:
    """The modules that an import names: those taken out of a package by name are meant themselves."""
    name = found.module.partition(".")[2] or "__init__"
    inner = {f"{name}.{taken}" for taken in found.names} & set(MODULES)
    return inner or {name}


@pytest.mark.parametrize("room", ["values", "wire", "dialects"])
def test_values_and_protocol_do_no_io(room: str) -> None:
    forbidden = {"aiohttp", "asyncio", "blinker", "socket", "threading"}
    found = {
        (name, imported.module)
        for name, path in MODULES.items()
        if room_of(name) == room
        for imported in imports_of(path)
        if imported.module.partition(".")[0] in forbidden
    }
    # The one lock over what threads share.
    assert found - {("values.locking", "threading")} == set()


def test_aiohttp_is_touched_in_one_room_and_the_simulator() -> None:
    importers = {
        room_of(name)
        for name, path in MODULES.items()
        for found in imports_of(path)
        if found.module.partition(".")[0] == "aiohttp"
        # The server of `lm-deluge web`, as an app of a user's would stand on the relay.
        and name != "cli.browsing.site"
    }
    assert importers <= {"http", "simulator", "client"}


def test_the_wire_runs_without_aiohttp_asyncio_and_blinker() -> None:
    """Not only its own imports: those of what it imports."""
    program = """
import importlib, sys, types
package = types.ModuleType("lm_deluge")  # without running __init__.py, which imports everything
package.__path__ = [sys.argv[1]]
sys.modules["lm_deluge"] = package
for name in sys.argv[2:]:
    importlib.import_module(f"lm_deluge.{name}")
print(sorted({"aiohttp", "asyncio", "blinker"} & set(sys.modules)))
"""
    names = [name for name in MODULES if room_of(name) in ("wire", "dialects")]
    done = subprocess.run(
        [sys.executable, "-c", program, str(CORE), *names],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_importing_lm_deluge_imports_no_plugin_and_no_simulator() -> None:
    program = (
        "import sys, lm_deluge; "
        "print([m for m in ('lm_deluge_plugins', 'lm_deluge.simulator', 'lm_deluge.proxy', 'lm_deluge.sync',"
        " 'click', 'rich', 'numpy') if m in sys.modules])"
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


NAMESAKES = {("sync", "LLMClient"), ("sync", "Stream")}


def test_no_two_classes_have_the_same_name() -> None:
    """Private ones included: whoever searches for a name finds one thing. But for those of ``sync``, which
    are called as what they stand for."""
    places: dict[str, list[str]] = {}
    for path in (*files(CORE), *files(PLUGINS)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and (path.parent.name, node.name) not in NAMESAKES:
                places.setdefault(node.name.lstrip("_"), []).append(f"{path.name}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
