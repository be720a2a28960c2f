"""``lm-deluge``: the command line. Needs the packages of the extra ``cli`` (click, rich)."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    try:
        from lm_deluge.cli.app import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("click", "rich"):
            raise
        sys.stderr.write(
            f"lm-deluge: the command line needs the package {error.name}, which is not "
            "installed: pip install click rich\n"
        )
        sys.exit(1)
    except KeyboardInterrupt:  # Ctrl-C while it still loads
        sys.exit(130)
    sys.exit(run())
