"""Which distribution this is: its name, its version, and whether its namesake lies beside it."""

from __future__ import annotations

import os
import re
import warnings
from typing import Final

__version__ = "0.1.0"

DISTRIBUTION: Final = "lm-deluge-streaming"
"""The name under which it is installed. ``lm-deluge`` is another project's, with the same import name."""

_NAMESAKE: Final = re.compile(r"lm[-_.]deluge-[^-]*(-.*)?\.(dist|egg)-info", re.IGNORECASE)


def warn_of_namesake(folder: str) -> None:
    """Warn, once, if the metadata of the other ``lm-deluge`` lies in a folder of packages.

    Both own ``lm_deluge/``: the one that was installed last has overwritten files of the other.
    """
    try:
        # Names alone: a folder of packages holds thousands, and this runs at every import.
        names = os.listdir(folder)  # noqa: PTH208
        found = next(filter(_NAMESAKE.fullmatch, names), None)
    except OSError:  # imported from an archive, or the like
        return
    if found is not None:
        warnings.warn(
            f"two distributions own the package lm_deluge: {DISTRIBUTION} and the one of {found}. "
            f"They cannot be installed together: pip uninstall lm-deluge {DISTRIBUTION}, then install "
            "the one you want",
            RuntimeWarning,
            stacklevel=3,
        )
