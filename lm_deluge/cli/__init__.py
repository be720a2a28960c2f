"""``lm-deluge``: the command line. Needs the packages of the extra ``cli`` (click, rich)."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    try:
        import click  # noqa: F401 - what is missing is said here, whichever command needs it
        import rich  # noqa: F401
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"lm-deluge: the command line needs the package {error.name}, which is not "
            "installed: pip install click rich\n"
        )
        sys.exit(1)
    try:
        from lm_deluge.cli.app import run
    except KeyboardInterrupt:  # Ctrl-C while it still loads
        sys.exit(130)
    sys.exit(run())
