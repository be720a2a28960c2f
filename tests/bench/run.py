"""How fast lm_deluge is beside the least that a client can do, and beside other clients.

    python tests/bench/run.py                   everything that is installed (pip install -e '.[bench]')
    python tests/bench/run.py --quick           a few minutes, wider spreads
    python tests/bench/run.py --only burst,import --rounds 30 --json out.json

Every client runs in a process of its own, all against one server process, in interleaved rounds: one
short round of each client, then the next round. A ratio is the median of the rounds' ratios to the
bare loop of the same round, so that a slow spell of the machine hits both sides. CPU is the time of
the client's process, its threads included, not of the server.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.clients import PEERS
from bench.measures import MEASURES, Bench, Plan
from bench.report import machine, print_results


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help=f"some of: {', '.join(MEASURES)}")
    parser.add_argument("--rounds", type=int, help="of every measure, instead of its own number")
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument("--full", action="store_true", help="2,000 live streams, too")
    parser.add_argument(
        "--streams", metavar="N,N", help="so many live streams, instead of 1 to 1,000"
    )
    parser.add_argument("--no-peers", action="store_true", help="lm_deluge and the bare loop only")
    parser.add_argument("--json", type=Path, metavar="OUT", help="save the results")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(MEASURES)
    if unknown := sorted(set(names) - set(MEASURES)):
        parser.error(f"no measure is called {', '.join(unknown)}: {', '.join(MEASURES)}")
    plan = Plan(
        quick=options.quick,
        full=options.full,
        rounds=options.rounds,
        peers=() if options.no_peers else PEERS,
        streams=tuple(map(int, options.streams.split(","))) if options.streams else (),
    )
    results: dict[str, Any] = {"machine": machine(), "command": " ".join(sys.argv), "measures": {}}
    for line in results["machine"]:
        print(line)
    with Bench() as bench:
        for name in names:
            measure: Callable[[Bench, Plan], list[dict[str, Any]]] = MEASURES[name]
            begun = time.perf_counter()
            rows = measure(bench, plan)
            results["measures"][name] = rows
            doc = (measure.__doc__ or "").strip()
            print_results(name, doc, rows, time.perf_counter() - begun)
            if options.json is not None:  # what is measured stays, should a later one fail
                options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
