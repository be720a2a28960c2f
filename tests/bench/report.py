"""The results on the screen, and the machine they come from."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_PACKAGES = "aiohttp msgspec uvloop openai litellm langchain-openai".split()


def machine() -> list[str]:
    """Describe the machine and what is installed."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, load {load}",
        f"{platform.python_implementation()} {platform.python_version()}, " + ", ".join(versions),
    ]


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def print_results(name: str, doc: str, rows: list[dict[str, Any]], seconds: float) -> None:
    """Print one measure as a table; spreads are quartiles."""
    print(f"\n{name}: {' '.join(doc.split())} ({seconds:.0f} s)")
    print(
        f"{'':31} {'client':26} {'median':>9} {'':8} {'(quartiles)':>19}   {'× bare (quartiles)'}"
    )
    for line in rows:
        spread = f"({_number(line['low'])} – {_number(line['high'])})"
        ratio = f"{line['ratio']:7.2f}"
        if "ratio_low" in line:
            ratio += f"  ({line['ratio_low']:.2f} – {line['ratio_high']:.2f})"
        print(
            f"{line['what']:31} {line['client']:26} {_number(line['median']):>9} {line['unit']:8} "
            f"{spread:>19} {ratio}",
            flush=True,
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
