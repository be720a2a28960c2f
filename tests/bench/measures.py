"""What is measured, each in interleaved rounds."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from bench.clients import BARE, MODULES, OURS

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]

try:
    import uvloop  # noqa: F401 - whether it is there
except ImportError:
    LOOPS: tuple[str, ...] = ("asyncio",)
else:
    LOOPS = ("asyncio", "uvloop")

Row = dict[str, Any]


class Plan(NamedTuple):
    """How much is measured."""

    quick: bool = False
    full: bool = False
    rounds: int | None = None
    peers: tuple[str, ...] = ()
    streams: tuple[int, ...] = ()

    def times(self, usual: int) -> int:
        """Return the number of rounds of a measure that usually has ``usual``."""
        if self.rounds is not None:
            return self.rounds
        return max(3, usual // 3) if self.quick else usual


class Bench:
    """The server and the clients' processes of one run."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lm_deluge_bench")
        self._environment = {
            **{name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"},
            # Users' imports find bytecode: the first round of a measure writes it.
            "PYTHONPYCACHEPREFIX": str(Path(self._folder.name) / "bytecode"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
            "BENCH_LOG": str(Path(self._folder.name) / "timeline.jsonl"),
        }
        self._server = subprocess.Popen(
            [sys.executable, FOLDER / "server.py"], stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout is not None
        self.port = int(self._server.stdout.readline())

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.kill()
        self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()
        self._folder.cleanup()

    @contextlib.contextmanager
    def clients(self, names: Sequence[str], loop: str = "asyncio") -> Iterator[Ask]:
        """Start a process for each client; yield how to ask one: ``ask(client, do, **arguments)``."""
        processes = {
            name: subprocess.Popen(
                [sys.executable, FOLDER / "worker.py", name, str(self.port), loop],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._environment,
            )
            for name in names
        }

        def ask(client: str, do: str, **arguments: Any) -> dict[str, float]:
            process = processes[client]
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps({"do": do, **arguments}), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError(f"the client {client!r} gave up; its error is above")
            return dict(json.loads(answer))

        try:
            yield ask
        finally:
            for process in processes.values():
                process.communicate(timeout=60)

    def python(self, code: str) -> str:
        """Run code in a fresh interpreter; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self._environment,
            cwd=self._folder.name,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


Ask = Callable[..., dict[str, float]]


def interleaved(
    ask: Ask, clients: Sequence[str], do: str, rounds: int, each: Mapping[str, Any]
) -> dict[str, list[dict[str, float]]]:
    """Run ``rounds`` rounds of all clients; ``each``: the arguments per client."""
    taken: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    for number in range(rounds):
        # Whoever runs after the heaviest finds cold caches: turn the order round each time.
        for client in clients if number % 2 else reversed(clients):
            taken[client].append(ask(client, do, **each[client]))
    return taken


def row(
    what: str, client: str, taken: Mapping[str, list[dict[str, float]]], key: str, unit: str
) -> Row:
    """Return one line of results: median, quartiles and the median ratio to the bare loop."""
    values = [answer[key] for answer in taken[client]]
    ratios = [
        value / answer[key]
        for value, answer in zip(values, taken[BARE], strict=True)
        if answer[key]
    ]
    result: Row = {"what": what, "client": client, "unit": unit, "rounds": len(values)}
    result["median"] = statistics.median(values)
    result["low"], result["high"] = _quartiles(values)
    result["ratio"] = statistics.median(ratios)
    result["ratio_low"], result["ratio_high"] = _quartiles(ratios)
    return result


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _cpu_per_token(
    bench: Bench, plan: Plan, what: str, *, pause: int, tokens: int = 1000, rounds: int
) -> list[Row]:
    """One stream after the other, every client, about as long a round for each."""
    rows = []
    for loop in LOOPS:
        # Peers run on asyncio alone: they are two orders of magnitude away, whatever the loop.
        clients = [BARE, *OURS, *(plan.peers if loop == "asyncio" else ())]
        with bench.clients(clients, loop) as ask:
            each: dict[str, dict[str, Any]] = {}
            for client in clients:
                ask(client, "warm", tokens=tokens, pause=pause)
                streams = (1 if plan.quick else 2) if client in plan.peers else 20
                each[client] = dict(tokens=tokens, pause=pause, streams=streams, concurrency=1)
            taken = interleaved(ask, clients, "cpu", plan.times(rounds), each)
        rows += [row(f"{what}, {loop}", client, taken, "cpu_us", "µs/token") for client in clients]
    return rows


def burst(bench: Bench, plan: Plan) -> list[Row]:
    """CPU per token: 1,000 tokens in one burst, one stream after the other."""
    return _cpu_per_token(bench, plan, "burst", pause=0, rounds=30)


def packets(bench: Bench, plan: Plan) -> list[Row]:
    """CPU per token: 1,000 tokens, one write each, one stream after the other."""
    return _cpu_per_token(bench, plan, "packets", pause=-1, rounds=15)


def live(bench: Bench, plan: Plan) -> list[Row]:
    """CPU per token of concurrent streams at 20 tokens a second, connecting included; the pace kept
    is in tokens a second."""
    rows = []
    seconds = 5 if plan.quick else 10
    usual = (50, 1000) if plan.quick else (1, 50, 200, 1000)
    for streams in plan.streams or ((*usual, 2000) if plan.full else usual):
        for loop in LOOPS:
            clients = [BARE, "stream + handler", "stream_chat"]
            arguments = dict(tokens=20 * seconds, pause=50_000)
            arguments |= dict(streams=streams, concurrency=streams)
            with bench.clients(clients, loop) as ask:
                for client in clients:
                    ask(client, "warm", tokens=20, pause=0)
                each = dict.fromkeys(clients, arguments)
                taken = interleaved(ask, clients, "cpu", plan.times(9 if streams > 1 else 5), each)
            what = f"{streams:,} live, {loop}"
            rows += [row(what, client, taken, "cpu_us", "µs/token") for client in clients]
            rows += [row(what, client, taken, "per_s", "tokens/s") for client in clients]
    return rows


def long(bench: Bench, plan: Plan) -> list[Row]:
    """CPU per token of answers of 10², 10⁴ and 10⁶ tokens."""
    rows = []
    clients = [BARE, "stream + handler", "stream_chat"]
    with bench.clients(clients) as ask:
        for tokens, streams in ((100, 200), (10_000, 5), (1_000_000, 1)):
            for client in clients:
                ask(client, "warm", tokens=100, pause=0)
            each = {
                key: dict(tokens=tokens, pause=0, streams=streams, concurrency=1) for key in clients
            }
            rounds = plan.times(15 if tokens < 1_000_000 else 3)
            taken = interleaved(ask, clients, "cpu", rounds, each)
            what = f"{tokens:,} tokens"
            rows += [row(what, client, taken, "cpu_us", "µs/token") for client in clients]
    return rows


def memory(bench: Bench, plan: Plan) -> list[Row]:
    """Memory per open stream, 400 open, one token received; fresh processes."""
    clients = [BARE, *OURS[1:], *plan.peers]
    rows = []
    for traced in (False, True):
        taken: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
        for _ in range(plan.times(3 if traced else 5)):
            for client in clients:
                with bench.clients([client]) as ask:
                    answer = ask(client, "memory", streams=400, pause=60_000_000, traced=traced)
                taken[client].append(answer)
        what = "open stream, " + ("tracemalloc" if traced else "resident")
        rows += [row(what, client, taken, "bytes", "bytes") for client in clients]
    return rows


def answer(bench: Bench, plan: Plan) -> list[Row]:
    """Bytes a token by which the process grew at its highest, answer of 10⁶ tokens (7.9 bytes of
    text each); fresh processes."""
    clients = [BARE, "stream + handler", "stream_chat"]
    taken: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    for _ in range(plan.times(3)):
        for client in clients:
            with bench.clients([client]) as ask:
                taken[client].append(ask(client, "peak", tokens=1_000_000))
    return [row("10⁶ tokens", client, taken, "bytes", "bytes/token") for client in clients]


def imports(bench: Bench, plan: Plan) -> list[Row]:
    """Time of the import, fresh interpreters, the quickest of all rounds; for lm_deluge what it takes
    beyond ``import aiohttp``."""
    names = [BARE, "stream", *plan.peers]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(plan.times(15)):
        for name in names:
            before = "import aiohttp\n" if name == "stream" else ""
            code = (
                f"import time\n{before}begun = time.perf_counter()\nimport {MODULES[name]}\n"
                "print((time.perf_counter() - begun) * 1e3)"
            )
            times[name].append(float(bench.python(code)))
    shown = {BARE: "aiohttp", "stream": "lm_deluge beyond aiohttp"}
    return [
        {
            "what": "import",
            "client": shown.get(name, MODULES[name]),
            "unit": "ms",
            "rounds": len(times[name]),
            "median": min(times[name]),
            "low": min(times[name]),
            "high": max(times[name]),
            "ratio": min(times[name]) / min(times[BARE]),
        }
        for name in names
    ]


def wire(bench: Bench, plan: Plan) -> list[Row]:
    """Time from the call to the server's receipt of the request, on a pooled connection."""
    clients = [BARE, *OURS, *plan.peers]
    with bench.clients(clients) as ask:
        each = {key: dict(turns=20) for key in clients}
        for client in clients:
            ask(client, "wire", turns=3)
        taken = interleaved(ask, clients, "wire", plan.times(30), each)
    return [
        row(what, client, taken, key, "µs")
        for what, key in (("second turn", "wire_us"), ("second turn, quickest of 20", "least_us"))
        for client in clients
    ]


def arrival(bench: Bench, plan: Plan) -> list[Row]:
    """Time from the server's write of a token to the arrival that the client records, 20 tokens a
    second and stream; for stream_chat to the moment that the loop's body sees it."""
    rows = []
    seconds = 3 if plan.quick else 5
    clients = [BARE, "stream + handler", "stream_chat"]
    for streams in (50, 1000):
        for loop in LOOPS:
            with bench.clients(clients, loop) as ask:
                each = {
                    key: dict(tokens=20 * seconds, pause=50000, streams=streams) for key in clients
                }
                for client in clients:
                    ask(client, "lag", tokens=20, pause=-1, streams=1)
                taken = interleaved(ask, clients, "lag", plan.times(9), each)
            for key in ("p50_ms", "p99_ms"):
                what = f"{streams:,} live, {loop}, {key[:3]}"
                rows += [row(what, client, taken, key, "ms") for client in clients]
    return rows


MEASURES: dict[str, Callable[[Bench, Plan], list[Row]]] = {
    "burst": burst,
    "packets": packets,
    "live": live,
    "long": long,
    "memory": memory,
    "answer": answer,
    "import": imports,
    "wire": wire,
    "arrival": arrival,
}
