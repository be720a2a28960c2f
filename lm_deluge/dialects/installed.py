"""Dialects of other packages, found by name: the entry points of ``lm_deluge.dialects``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lm_deluge.dialects.dialect import Dialect

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "installed_dialect"]

#: The group in which a package names its dialects: ``latin = "package.module:LATIN"``.
GROUP: Final = "lm_deluge.dialects"

_METHODS: Final = ("auth", "write", "answer", "refusal", "is_passing")


def installed_dialect(name: str) -> Dialect | None:
    """Return the dialect of that name that an installed package has; ``None`` where none has.

    Raises ``ImportError``, which names the package and the entry point, for one that cannot be used.
    """
    # Only who asks for a dialect that is not ours pays for it.
    from importlib.metadata import entry_points

    found = list(entry_points(group=GROUP, name=name))
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        raise ImportError(
            f"dialect {name!r} is in several packages: {', '.join(map(_shown, found))}"
        )
    entry = found[0]
    try:
        dialect = entry.load()
    except Exception as error:
        raise _broken(name, entry, f"{type(error).__name__}: {error}") from error
    if isinstance(dialect, type):
        raise _broken(name, entry, "it is a class, and an object of it is expected")
    missing = [method for method in _METHODS if not callable(getattr(dialect, method, None))]
    if missing:
        raise _broken(name, entry, f"it has no {', '.join(missing)}")
    if (own := getattr(dialect, "name", None)) != name:
        raise _broken(name, entry, f"its own name is {own!r}")
    known: Dialect = dialect
    return known


def _shown(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "a package"
    return f"{entry.value} of {package}"


def _broken(name: str, entry: EntryPoint, why: str) -> ImportError:
    return ImportError(f"dialect {name!r}, {_shown(entry)}, cannot be used: {why}")
